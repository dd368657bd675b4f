"""A lookup script that stays says where the service is: no other run is needed, and nothing is lost without it."""
import os
import signal

import pytest

import holdfast
from lookup_script import Watched
from upstream import named


def server_of(one):
    with one.client("s") as client:
        return client.ask("x").split()[0]


def is_alive(pid):
    return os.path.exists(f"/proc/{pid}")


@pytest.fixture
def two(upstream):
    return upstream(named("a")), upstream(named("b"))


def test_new_clients_follow_at_once_and_the_script_is_run_once(daemon, folder, two):
    a, b = two
    source = Watched(folder, a.address)
    one = daemon(source.service())
    one.wait_connected("s")
    assert server_of(one) == b"a"
    for server, name in ((b, b"b"), (a, b"a"), (b, b"b")):
        source.say(server.address)
        holdfast.until(lambda: server_of(one) == name, "the new server")
    assert len(source.watching()) == 1 and source.once() == []
    assert one.status("s")["lookup"] == f"script {source.path} --watch"


def test_an_attempt_that_waits_is_woken(daemon, folder, two):
    a, b = two
    a.stop()
    source = Watched(folder, a.address)
    one = daemon(source.service(more="retry: { delay = 3600; }; hold_retry = 3600;"))
    with one.client("s") as client:
        one.wait_status("s", state="waiting")
        source.say(b.address)
        assert client.ask("x") == b"b x\n"


@pytest.mark.parametrize("shared", (False, True))
def test_a_workers_death_withdraws_nothing_and_the_script_is_run_again(daemon, folder, two, shared):
    a, b = two
    source = Watched(folder, a.address, b.address)
    more = "warm = 1;" if not shared else 'mode = "shared"; framing = "line";'
    one = daemon(source.service(more=more + ' on_withdrawn = "drop";'))
    with one.client("s") as client:
        assert client.ask("x") == b"a x\n"
        for i in range(1, 6):
            holdfast.until(lambda: len(source.watching()) == i, "it watches")
            one.kill_worker()
            assert client.ask("y") == b"a y\n"
            holdfast.until(lambda: not is_alive(source.watching()[i - 1]), "the old one is ended")
        endpoints = one.command("endpoints s")["endpoints"]
        assert [endpoint["state"] for endpoint in endpoints] == ["ok", "ok"]
    assert one.status("s")["disconnects"] == 0


def test_one_that_dies_is_run_again_and_lookups_go_on(daemon, folder, two):
    a, b = two
    source = Watched(folder, a.address)
    one = daemon(source.service("refresh = 0.2;", "warm = 1; retry: { delay = 0.5; };"))
    one.wait_connected("s")
    for i in range(1, 4):
        holdfast.until(lambda: len(source.watching()) == i, "it watches")
        os.kill(source.watching()[-1], signal.SIGKILL)
    assert "lookup script --watch: killed by SIGKILL; it is run again in" in one.ctl("explain", "s").stdout
    source.say(b.address)
    holdfast.until(lambda: server_of(one) == b"b", "the new server")


def test_one_that_is_silent_is_not_trusted(daemon, folder, two):
    a, b = two
    source = Watched(folder, a.address)
    one = daemon(source.service("refresh = 0.3;"))
    one.wait_connected("s")
    with open(source.silent, "w"):
        pass
    source.say(b.address)
    holdfast.until(lambda: server_of(one) == b"b", "the new server")
    assert len(source.once()) > 0 and len(source.watching()) == 1


def test_it_is_ended_with_the_service(daemon, folder, two):
    source = Watched(folder, two[0].address)
    one = daemon(source.service(more="warm = 1; retry: { delay = 0.2; };"))
    one.wait_connected("s")
    holdfast.until(lambda: len(source.watching()) == 1, "it watches")
    one.ctl("close", "s")
    holdfast.until(lambda: not is_alive(source.watching()[0]), "its end")
    one.ctl("open", "s")
    holdfast.until(lambda: len(source.watching()) == 2, "another watches")
    one.stop()
    assert not is_alive(source.watching()[1])
