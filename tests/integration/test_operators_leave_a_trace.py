"""Who has closed, drained, opened or changed a service stands in explain and the log; all are opened at once."""
import os
import pwd

import holdfast


def notes(one, service):
    return [entry["text"] for entry in one.command(f"explain {service}")["entries"] if entry["event"] == "note"]


def test_orders_are_explained_with_who_gave_them(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    for command in ("close s", "open s", "drain s", "open s"):
        one.command(command)
    told = notes(one, "s")
    me = pwd.getpwuid(os.getuid()).pw_name
    assert told[-4:] == [f"{what} by {me}" for what in ("closed", "opened", "drained", "opened")], told
    assert f"s: closed by {me}" in one.log()


def test_a_reload_is_explained(daemon, upstream):
    server, other = upstream(), upstream()
    one = daemon(holdfast.fixed("s", server.address) + holdfast.fixed("t", server.address))
    one.configure(holdfast.fixed("s", other.address) + holdfast.fixed("t", server.address, "max_held = 5;"))
    one.command("reload")
    assert "a reload has changed its settings; its upstream side starts afresh" in notes(one, "s")
    assert "a reload has changed its settings in place" in notes(one, "t")


def test_all_can_be_opened_at_once(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address) + holdfast.fixed("t", server.address) +
                 holdfast.fixed("u", server.address))
    one.command("pause t")
    one.command("drain s")
    one.command("close t")
    done = one.ctl("open", "--all")
    assert (done.returncode, done.stdout) == (0, "opened: 2 of all services\n")
    one.wait_connected("s")
    assert "still paused" in one.ctl("open", "t").stdout


def test_the_configured_log_level_comes_back(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address), top='log: { level = "warning"; target = "stderr"; };')
    one.command("log debug")
    assert one.command("log")["level"] == "debug"
    assert one.command("log default")["level"] == "warning"
    one.kill_worker()
    holdfast.until(lambda: one.status()["worker_restarts"], "another worker")
    assert one.command("log")["level"] == "warning"
    assert "default" in one.command_raw("log loud")["error"]


def test_an_upgrade_tells_of_bad_files(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address), start=False)
    one.install(f"{one.build}/holdfastd")
    one.start()
    one.configure("s: { addres = 1; };")
    done = one.ctl("upgrade")
    assert done.returncode == 0
    assert "configuration files are bad" in done.stderr and "addres" in done.stderr
