"""Workers that die in the midst of a reload: nobody misses a socket, no session ends, nothing is left undone."""
import contextlib
import os
import signal

import pytest

import holdfast
import manager
import scrape
from upstream import named
from visitor import Visitor, at, reloaded

pytestmark = pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")

WANTED = 20 if holdfast.LONG else 3
STOP = str(int(signal.SIGSTOP))


def crash(text, **more):
    return dict(build=holdfast.CRASH_BUILD, environment_more={"HOLDFAST_CRASH": text, **more})


class Places:
    """Who has which socket in which turn: a and b exchange theirs, c, d and e go round, m moves to a new path, o.sock
    is always a new service's."""

    def __init__(self, servers):
        self.servers = servers

    def holder(self, turn):
        """Which server is behind each path."""
        pair, ring = "ab", "cde"
        return ({pair[(i + turn) % 2]: pair[i] for i in range(2)} | {ring[(i + turn) % 3]: ring[i] for i in range(3)}
                | {f"m{turn}": "m", "o": "o"})

    def text(self, turn):
        services = ""
        for path, name in self.holder(turn).items():
            service = f"o{turn}" if name == "o" else name
            services += at(service, self.servers[name].address, f"{path}.sock", f'mode = "06{turn % 2}0";'
                           ).replace("warm = 1;", "warm = 4;", 1)
        return services


def turn_places(one, places, visitors, moving, turn):
    """One reload, and all is where it should be."""
    moving.paths.append(one.path(f"m{turn}.sock"))
    one.configure(places.text(turn))
    reloaded(one)
    for path, name in places.holder(turn).items():
        with one.client(path) as client:
            assert client.ask("y") == f"{name} y\n".encode(), (turn, path)
    for visitor in visitors:
        seen = visitor.visits
        holdfast.until(lambda: visitor.visits > seen + 1 or visitor.failures, "a visit")
        assert not visitor.failures, (turn, one.log()[-3000:])


@pytest.mark.parametrize("point", [
    "reload.committed:2", "reload.applying:23", "listener.opened:3", "listener.given:1", "listener.given:2",
    "listener.unlinked:2", "listener.shut:2", "listener.named:2", "listener.named:3", "recover.service:11"])
def test_nobody_misses_a_socket_and_no_session_ends(daemon, upstream, figure, point):
    servers = {name: upstream(named(name)) for name in "abcdemo"}
    places = Places(servers)
    name = point.partition(":")[0]
    one = daemon(places.text(0), **crash(point))
    moving = Visitor([one.path("m0.sock")])
    visitors = [moving] + [Visitor([one.path(f"{path}.sock")]) for path in "abcdeo"]
    with contextlib.ExitStack() as stack:
        stay = {path: stack.enter_context(one.client(path)) for path in ("a", "b", "c", "d", "e", "m0", "o")}
        for path, client in stay.items():
            assert client.ask("1") == f"{path[0]} 1\n".encode()
        before = one.log().count(f"crash point {name}\n")
        for visitor in visitors:
            stack.enter_context(visitor)
        turn = 0
        while turn < 2 or one.log().count(f"crash point {name}\n") < before + WANTED:
            turn += 1
            assert turn < WANTED * 10
            turn_places(one, places, visitors, moving, turn)
        for path, client in stay.items():
            assert client.ask("2") == f"{path[0]} 2\n".encode()
    assert not any(visitor.failures for visitor in visitors)
    assert "is not started" not in one.log() and " error " not in one.log()
    figure(f"{sum(visitor.visits for visitor in visitors)} visits over {turn} reloads with {point}")


def test_a_new_socket_that_was_not_in_force_yet_goes_along_over_a_restart(daemon, upstream):
    """Who has connected to it is served by the next program, which does the reload."""
    server = upstream()
    one = daemon(at("s", server.address, "a.sock"), kind=manager.Managed,
                 **crash("listener.opened:2", HOLDFAST_CRASH_SIGNAL=STOP))
    with one.client("a") as stays:
        assert stays.ask("1") == b"1\n"
        one.configure(at("s", server.address, "b.sock"))
        one.process.send_signal(signal.SIGHUP)
        one.wait_log("crash point listener.opened\n")
        with one.client("b") as early:
            early.send(b"early\n")
            one.restart()
            assert early.line() == b"early\n"
        assert stays.ask("2") == b"2\n"
    assert one.status("s")["socket"] == one.path("b.sock") and not os.path.exists(one.path("a.sock"))
    assert one.store == []


def test_sockets_that_were_given_away_go_along_over_a_restart(daemon, upstream):
    servers = {name: upstream(named(name)) for name in "st"}
    exchanged = ["".join(at(name, servers[name].address, f"{path}.sock") for name, path in zip("st", paths))
                 for paths in ("st", "ts")]
    one = daemon(exchanged[1], kind=manager.Managed, **crash("listener.given:3", HOLDFAST_CRASH_SIGNAL=STOP))
    one.configure(exchanged[0])
    one.command("reload")
    with one.client("s") as stays:
        assert stays.ask("1") == b"s 1\n"
        one.configure(exchanged[1])
        one.process.send_signal(signal.SIGHUP)
        one.wait_log("crash point listener.given\n")
        with one.client("s") as early:
            early.send(b"early\n")
            one.restart()
            assert early.line() == b"t early\n"
        assert stays.ask("2") == b"s 2\n"


@pytest.mark.parametrize("point", ["metrics.opened:2", "metrics.named:2", "reload.committed:2"])
def test_the_metrics_move_over_a_death(daemon, folder, point):
    """From one Unix socket to the next, again and again."""
    name = point.partition(":")[0]
    place = f"unix:{folder}/m0.sock"
    one = daemon("", top=scrape.listening(place), **crash(point))
    turn = 0
    while one.log().count(f"crash point {name}\n") < WANTED:
        turn += 1
        assert turn < WANTED * 10
        last, place = place, f"unix:{folder}/m{turn}.sock"
        one.configure("", scrape.listening(place))
        reloaded(one)
        assert scrape.text(place).endswith("# EOF\n")
        assert not os.path.exists(last[5:])
    assert "another live server" not in one.log()


@pytest.mark.parametrize("point", ["metrics.opened", "reload.committed"])
def test_who_waits_at_the_new_socket_of_the_metrics_is_answered_over_a_death(daemon, folder, point):
    """The worker stops there, and is killed when somebody has come."""
    one = daemon("", top=scrape.listening(f"unix:{folder}/m0.sock"),
                 **crash(f"{point}:2", HOLDFAST_CRASH_SIGNAL=STOP))
    if point == "reload.committed":
        one.command("reload")
    one.configure("", scrape.listening(f"unix:{folder}/m1.sock"))
    one.process.send_signal(signal.SIGHUP)
    one.wait_log(f"crash point {point}\n")
    with scrape.connect(f"unix:{folder}/m1.sock") as early:
        early.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        one.kill_worker()
        assert b" 200 " in early.recv(65536)
    assert "another live server" not in one.log()


def test_a_new_socket_that_was_not_in_force_yet_goes_along_over_an_upgrade(daemon, upstream):
    """The keeper comes to execute the new program when the worker has gone on, and is in the midst of a reload."""
    server = upstream()
    late = holdfast.fixed("late", f"127.0.0.1:{holdfast.free_port()}")
    one = daemon(at("s", server.address, "a.sock") + late, start=False,
                 **crash("listener.opened:3", HOLDFAST_CRASH_SIGNAL=STOP))
    one.install(os.path.join(holdfast.CRASH_BUILD, "holdfastd"))
    one.start()
    with one.client("a") as stays:
        assert stays.ask("1") == b"1\n"
        one.process.send_signal(signal.SIGSTOP)
        one.command("upgrade")
        assert not one.command_raw("wait late 1")["ok"]  # longer than the worker gives its answers time to go out
        one.configure(at("s", server.address, "b.sock") + late)
        with holdfast.Client(one.control) as control:
            control.send(b"reload\n")
            one.wait_log("crash point listener.opened\n")
        with one.client("b") as early:
            early.send(b"early\n")
            one.process.send_signal(signal.SIGCONT)
            assert early.line() == b"early\n"
        assert stays.ask("2") == b"2\n"
    assert one.status()["upgrades"] == 1
