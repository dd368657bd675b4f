"""A service with several listeners: each is as lasting as the only one of another service, and minds no other."""
import contextlib
import os
import socket
import stat

import pytest

import holdfast
import manager
from upstream import named
from visitor import TcpClient, Visitor, expect_backlog_served, reloaded

PROGRAM = os.path.join(holdfast.BUILD, "holdfastd")
MOST = 8


def service(name, address, *listeners):
    return holdfast.fixed(name, address, f"listen = ( {', '.join(listeners)} );")


def text(path):
    return f'"{path}"'


def group(path, more):
    return f'{{ path = "{path}"; {more} }}'


def connect(one, path):
    host, _, port = path.rpartition(":")
    return TcpClient(port, host) if host else holdfast.Client(one.path(path))


def assert_served(one, *paths):
    for path in paths:
        with connect(one, path) as client:
            assert client.ask(path) == path.encode() + b"\n"


@pytest.fixture
def tcp():
    return f"127.0.0.1:{holdfast.free_port()}"


def test_all_of_them_serve_and_are_shown(daemon, upstream, tcp):
    one = daemon(service("s", upstream().address, text("a.sock"), group("b.sock", 'mode = "0600";'), text(tcp)))
    assert [stat.S_IMODE(os.stat(one.path(path)).st_mode) for path in ("a.sock", "b.sock")] == [0o660, 0o600]
    shown = one.status("s")
    assert shown["socket"] == f"{one.path('a.sock')}, {one.path('b.sock')}, {tcp}"
    assert [entry["socket"] for entry in shown["sockets"]] == shown["socket"].split(", ")
    with contextlib.ExitStack() as stack:
        for path in ("a.sock", "b.sock", "b.sock", tcp):
            assert stack.enter_context(connect(one, path)).ask("x") == b"x\n"
        clients = one.command("clients s")["clients"]
        assert {client["socket"] for client in clients} == set(shown["socket"].split(", "))
        assert one.command("clients s --by socket")["counts"][0] == {"socket": one.path("b.sock"), "clients": 2,
                                                                     "held": 0}
    assert one.status("s")["clients_total"] == 4


def test_who_may_come_in_is_each_ones_own_after_a_death_too(daemon, upstream, tcp):
    me = os.getuid()
    one = daemon(service("s", upstream().address, group("mine.sock", f"allow_users = [\"{me}\"];"),
                         group("others.sock", 'allow_users = ["4000000"];'), text(tcp)))
    for _ in range(2):
        assert_served(one, "mine.sock", tcp)
        with connect(one, "others.sock") as client:
            assert client.line() == b""
        one.kill_worker()
    assert one.status("s")["refused"]["permission"] == 2


def test_a_reload_adds_removes_exchanges_and_changes_some_and_leaves_the_others(daemon, upstream, figure, tcp):
    server = upstream()
    one = daemon(service("s", server.address, text("a.sock"), text("b.sock")))
    one.wait_connected("s")
    orders = [["b.sock", "a.sock"], ["c.sock", "a.sock", tcp], ["a.sock"], [tcp, "b.sock", "a.sock", "d.sock"],
              [f"{i}.sock" for i in range(MOST - 1)] + ["a.sock"]]
    inode = os.stat(one.path("a.sock")).st_ino
    with Visitor([one.path("a.sock")]) as visitor, connect(one, "b.sock") as stays:
        assert stays.ask("1") == b"1\n"
        for turn in range(3):
            for order in orders:
                mode = f'mode = "06{turn % 2}0";'
                one.configure(service("s", server.address, *(group(path, "" if ":" in path else mode)
                                                             for path in order)))
                one.command("reload")
                assert_served(one, *order)
                assert {name for name in os.listdir(one.folder) if name.endswith(".sock")} == {
                    path for path in [*order, "control.sock"] if ":" not in path}
                seen = visitor.visits
                holdfast.until(lambda: visitor.visits > seen or visitor.failures, "a visit")
        assert stays.ask("2") == b"2\n"
    assert not visitor.failures and os.stat(one.path("a.sock")).st_ino == inode
    figure(f"{visitor.visits} visits over {3 * len(orders)} reloads")


def test_the_backlogs_of_those_that_stay_and_of_one_that_goes_are_served(daemon, upstream):
    server = upstream()
    one = daemon(service("s", server.address, text("a.sock"), text("b.sock"), text("c.sock")))
    one.wait_connected("s")
    expect_backlog_served(one, lambda path: connect(one, path), ["a.sock", "b.sock", "c.sock"] * 5,
                          service("s", server.address, text("c.sock"), text("a.sock")))


def test_one_that_cannot_be_opened_leaves_the_others_serving(daemon, upstream):
    server = upstream()
    one = daemon(service("s", server.address, text("a.sock"), text("b.sock")), start=False)
    os.mkdir(one.path("b.sock"))
    one.start()
    assert_served(one, "a.sock")
    shown = one.status("s")
    assert shown["up"] and "not a socket" in shown["socket_error"] and shown["sockets_missing"] == 1
    assert [entry["error"] is None for entry in shown["sockets"]] == [True, False]
    assert "nobody can connect there" in one.log()
    check = one.ctl("check")
    assert check.returncode == 1 and f"s: socket {one.path('b.sock')}: there is a file" in check.stdout
    os.rmdir(one.path("b.sock"))
    holdfast.until(lambda: one.status("s")["socket_error"] is None, "its socket")
    assert_served(one, "b.sock")
    assert one.ctl("check").returncode == 0


def test_one_that_somebody_removes_is_made_again(daemon, upstream):
    one = daemon(service("s", upstream().address, text("a.sock"), text("b.sock")))
    inode = os.stat(one.path("a.sock")).st_ino
    os.unlink(one.path("b.sock"))
    one.wait_log(f"socket {one.path('b.sock')} was removed; created again")
    assert_served(one, "a.sock", "b.sock")
    assert os.stat(one.path("a.sock")).st_ino == inode


def test_they_go_along_over_deaths_upgrade_and_restart(daemon, upstream, tcp):
    paths = ("a.sock", "b.sock", tcp)
    one = daemon(service("s", upstream().address, *map(text, paths)), start=False, kind=manager.Managed)
    one.install(PROGRAM)
    one.start()
    with contextlib.ExitStack() as stack:
        stay = [stack.enter_context(connect(one, path)) for path in paths]
        for step in range(4):
            for client in stay:
                assert client.ask("x") == b"x\n"
            assert_served(one, *paths)
            if step == 0:
                one.kill_worker()
            elif step == 1:
                one.install(PROGRAM)
                assert one.ctl("upgrade").returncode == 0, one.log()
            elif step == 2:
                assert one.term() == 0
                between = [stack.enter_context(connect(one, path)) for path in paths]  # nobody is there now
                one.start()
                for client in between:
                    assert client.ask("y") == b"y\n"


def test_systemd_hands_over_those_that_it_has(daemon, upstream, tcp, folder):
    """Under one name, as one socket unit does; told apart by their paths."""
    path, server = os.path.join(folder, "unit.sock"), upstream()
    host, port = tcp.rsplit(":", 1)
    with socket.socket(socket.AF_UNIX) as first, socket.create_server((host, int(port))) as second:
        first.bind(path)
        first.listen()
        one = daemon(service("s", server.address, text("own.sock"), text(tcp), text(path)),
                     **holdfast.given("s", first, second))
        for _ in range(2):
            with holdfast.Client(path) as client:
                assert client.ask("x") == b"x\n"
            assert_served(one, "own.sock", tcp)
            one.kill_worker()
        one.configure(service("s", server.address, text(path), text("own.sock")))
        one.command("reload")
        with holdfast.Client(path) as client:
            assert client.ask("x") == b"x\n"
        assert_served(one, "own.sock")
        assert os.path.exists(path) and "is closed" not in one.log()


@pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")
@pytest.mark.parametrize("point", ["reload.applying:5", "listener.given:2", "listener.unlinked:2", "listener.shut:2",
                                   "listener.named:3", "listener.opened:4", "accept.accepted:7"])
def test_a_worker_that_dies_over_a_reload_leaves_none_behind(daemon, upstream, point):
    server, name = upstream(named("s")), point.partition(":")[0]
    orders = ["ab", "ba", "cab", "b", "bcda"]
    one = daemon(service("s", server.address, text("a.sock"), text("b.sock")), build=holdfast.CRASH_BUILD,
                 environment_more={"HOLDFAST_CRASH": point})
    with Visitor([one.path("b.sock")]) as visitor, connect(one, "a.sock") as stays:
        assert stays.ask("1") == b"s 1\n"
        turn = 0
        while one.log().count(f"crash point {name}\n") < 3:
            turn += 1
            assert turn < 60
            order = orders[turn % len(orders)]
            one.configure(service("s", server.address, *(text(f"{letter}.sock") for letter in order)))
            reloaded(one)
            for letter in order:
                with connect(one, f"{letter}.sock") as client:
                    assert client.ask("x") == b"s x\n"
            assert {name[0] for name in os.listdir(one.folder) if name[1:] == ".sock"} == set(order)
            assert not visitor.failures, one.log()[-3000:]
        assert stays.ask("2") == b"s 2\n"
    assert not visitor.failures
