"""Reload, the plain part: all or nothing; what did not change is not touched."""
import os
import signal

import pytest

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


def wait_status_text(one, beginning, refused):
    """Waits until the service manager is told in STATUS= how the services are, and of a refused reload or not."""
    def matches(line):
        return (line.startswith("STATUS=" + beginning) and bool(refused) == ("refused" in line)
                and line.partition("; reload refused: ")[2].startswith(refused))
    while not any(map(matches, one.wait_notice("STATUS=").splitlines())):
        pass


@pytest.mark.parametrize("how", ["command", "signal"])
def test_errors_go_to_the_caller_the_log_and_the_service_manager(daemon, upstream, how):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    one.configure(holdfast.fixed("s", server.address, "\nnonsense = 1;\nwarm = -1;"))
    if how == "command":
        answer = one.command_raw("reload")
        assert len(answer["errors"]) == 2 and all(f"{one.config}:" in error for error in answer["errors"])
    else:
        one.process.send_signal(signal.SIGHUP)
    wrong = f"{one.config}:8: services.s.nonsense: "
    one.wait_log(f"error {wrong}")
    one.wait_log(f"error {one.config}:9: services.s.warm: ")
    one.wait_log("error reload refused, the configuration in force stays errors=2")
    wait_status_text(one, "1 of 1 services up, 0 clients, 0 held", wrong)
    assert one.status()["config_error"].startswith(wrong)
    one.configure(holdfast.fixed("s", server.address, "warm = 2;"))
    if how == "command":
        one.command("reload")
    else:
        one.process.send_signal(signal.SIGHUP)
    one.wait_log("info reloaded added=0 changed=1 removed=0")
    wait_status_text(one, "1 of 1 services up, 0 clients, 0 held", "")
    assert one.status()["config_error"] is None


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
        peer = one.command("clients old")["clients"][0]
        one.configure(holdfast.fixed("new", server.address))
        one.command("reload")
        assert [c["service"] for c in one.command("clients")["clients"]] == ["old"]
        assert one.status()["removed"] == [{"service": "old", "clients": 1, "closed_in_seconds": None}]
        assert "old was removed by a reload; 1 client is left" in one.ctl("status").stdout
        now = one.command("clients old")["clients"][0]
        for key in ("id", "pid", "uid", "user", "unit", "container"):
            assert now[key] == peer[key], key
        assert now["pid"] == os.getpid() and now["uid"] == os.getuid()
        assert one.command("clients old --by user")["counts"] == [{"user": peer["user"], "clients": 1, "held": 0}]
        assert one.command_raw("drain --all --wait 0")["ok"] is False
        one.kill_worker()
        assert one.status()["removed"][0]["clients"] == 1, "another worker knows it too"
        assert client.ask("2") == b"2\n"
        assert one.command(f"kill old --user {os.getuid()}")["killed"] == 1
        assert client.at_end()
    assert one.command("drain --all --wait 5")
    assert one.status()["removed"] == [] and not one.command_raw("clients old")["ok"]


def test_drain_timeout_ends_the_clients_of_a_removed_service(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("old", server.address, "drain_timeout = 0.3;"))
    with one.client("old") as client:
        assert client.ask("1") == b"1\n"
        one.configure(holdfast.fixed("new", server.address))
        one.command("reload")
        assert 0 <= one.status()["removed"][0]["closed_in_seconds"] <= 0.3
        assert client.at_end()
    holdfast.until(lambda: one.status()["removed"] == [], "the end")
    one.wait_log("drain_timeout over: the last 1 clients are closed")
