"""A configuration without services: more often a file is missing than all services are meant to go."""
import os
import signal

import holdfast
import manager

WARNING = 1


def test_a_reload_removes_all_services_only_by_force(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address) + holdfast.fixed("t", server.address))
    with one.client("s") as client:
        assert client.ask("1") == b"1\n"
        one.configure("")
        dry, real = one.ctl("reload", "--dry-run"), one.ctl("reload")
        for done in (dry, real):
            assert done.returncode == 1 and "would remove all 2 services" in done.stderr, done
            assert "holdfastctl reload --force" in done.stderr
        assert [service["service"] for service in one.status()["services"]] == ["s", "t"]
        assert "no services" in one.status()["config_error"]
        check = one.ctl("check")
        assert check.returncode == WARNING and "no services" in check.stdout
        with one.client("t") as other:
            assert other.ask("2") == b"2\n"
        planned = one.ctl("reload", "--dry-run", "--force")
        assert planned.returncode == 0 and "removed s:" in planned.stdout and "removed t:" in planned.stdout
        assert one.ctl("reload").returncode == 1, "what is forced in a dry run is not forced afterwards"
        forced = one.ctl("reload", "--force")
        assert forced.returncode == 0 and "removed s:" in forced.stdout
        assert one.status()["services"] == [] and one.status()["config_error"] is None
        assert not os.path.exists(one.socket("s"))
        assert client.ask("3") == b"3\n", "attached clients finish"
    check = one.ctl("check")
    assert check.returncode == WARNING
    assert "0 of 0 services up; the configuration has no services" in check.stdout
    assert one.ctl("reload").returncode == 0, "there is nothing left that could be removed"


def test_a_signal_a_restart_of_the_worker_and_an_upgrade_remove_no_service(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    one.configure("")
    one.process.send_signal(signal.SIGHUP)
    one.wait_log("no services: the reload would remove 1 service")
    one.wait_log("reload refused, the configuration in force stays")
    one.kill_worker()
    one.wait_status("s", up=True)
    assert one.ctl("upgrade").returncode == 0
    one.wait_log("reload refused, the configuration in force stays", 2)
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"


def test_a_restart_that_keeps_clients_keeps_the_services_too(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), kind=manager.Managed)
    with one.client("s") as client:
        assert client.ask("1") == b"1\n"
        one.configure("")
        one.restart()
        assert client.ask("2") == b"2\n"
        assert "no services" in one.status()["config_error"]
        with one.client("s") as other:
            assert other.ask("3") == b"3\n"


def test_a_start_without_services_warns(daemon):
    one = daemon("")
    one.wait_log("no services")
    assert one.ctl("check").returncode == WARNING
    one.configure(holdfast.fixed("s", "127.0.0.1:9"))
    assert one.ctl("reload").returncode == 0
