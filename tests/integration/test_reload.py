"""Reload, the plain part: all or nothing; what did not change is not touched."""
import signal

import holdfast


def test_added_changed_removed_unchanged(daemon, upstream):
    server = upstream()
    same, old = holdfast.fixed("same", server.address), holdfast.fixed("old", server.address)
    one = daemon(same + old + holdfast.fixed("changed", server.address))
    for service in ("same", "old", "changed"):
        one.wait_connected(service)
    with one.client("same") as client, one.client("old") as leaving:
        assert client.ask("1") == b"1\n" and leaving.ask("1") == b"1\n"
        before = one.status("same")
        one.configure(same + holdfast.fixed("changed", server.address, "warm = 2;")
                      + holdfast.fixed("new", server.address))
        answer = one.command("reload")
        assert answer["added"] and answer["changed"] and answer["removed"]
        assert client.ask("2") == b"2\n" and leaving.ask("2") == b"2\n", "attached clients finish"
        after = one.status("same")
        assert (after["connects"], after["since"]) == (before["connects"], before["since"])
    one.wait_connected("new")
    one.wait_status("changed", warm=2)
    assert not one.command_raw("status old")["ok"]
    with one.client("new") as client:
        assert client.ask("3") == b"3\n"


def test_with_an_error_nothing_changes(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    one.configure(holdfast.fixed("s", server.address, "nonsense = 1;") + holdfast.fixed("t", server.address))
    answer = one.command_raw("reload")
    assert answer["ok"] is False and "nonsense" in str(answer)
    assert [s["service"] for s in one.status()["services"]] == ["s"]
    assert one.status()["config_error"]
    done = one.ctl("reload")
    assert done.returncode == 1 and "nonsense" in done.stderr
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"


def test_by_signal(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    one.configure(holdfast.fixed("s", server.address) + holdfast.fixed("t", server.address))
    one.process.send_signal(signal.SIGHUP)
    holdfast.until(lambda: one.command_raw("status t")["ok"], "service t")
    one.wait_connected("t")


def test_the_reloaded_configuration_outlives_the_worker(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    one.configure(holdfast.fixed("t", server.address))
    one.command("reload")
    one.configure("broken")
    one.kill_worker()
    one.wait_connected("t")
    assert [s["service"] for s in one.status()["services"]] == ["t"]


def test_clients_of_a_removed_service_are_seen_and_ended(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("old", server.address))
    with one.client("old") as client:
        assert client.ask("1") == b"1\n"
        one.configure(holdfast.fixed("new", server.address))
        one.command("reload")
        assert [c["service"] for c in one.command("clients")["clients"]] == ["old"]
        assert one.command_raw("drain --all --wait 0")["ok"] is False
        assert one.command("kill old --user root" if holdfast.os.getuid() == 0 else "kill old --id 1")["killed"] == 1
        assert client.at_end()
    assert one.command("drain --all --wait 5")
