"""A shared service's script gives another address while the old server lives: the connection stays, moves when
nothing is in flight, or is dropped, as on_withdrawn says; clients stay."""
import json
import threading
import time

import pytest

import holdfast
from lookup_script import Source
from test_withdrawn_session import GRACE, NOTICED, REFRESH, SLACK

pytestmark = pytest.mark.long

MORE = 'mode = "shared"; framing = "line"; retry: { delay = 0.2; }; '


class Server:
    """Answers with its name, "slow" only when it is let."""

    def __init__(self, name):
        self.name = name.encode()
        self.let = threading.Event()

    def serve(self, connection):
        with connection.makefile("rb") as lines:
            for line in lines:
                if b"slow" in line:
                    self.let.wait(holdfast.BOUND)
                connection.sendall(self.name + b" " + line)


@pytest.fixture
def pair(upstream):
    makers = Server("a"), Server("b")
    yield [(maker, upstream(maker.serve)) for maker in makers]
    for maker in makers:
        maker.let.set()


def begin(daemon, folder, pair, policy, more=""):
    source = Source(folder, pair[0][1].address)
    one = daemon(source.service(f"refresh = {REFRESH};", f'{MORE} on_withdrawn = "{policy}"; {more}'))
    one.wait_connected("s")
    return source, one


def is_withdrawn(one, address):
    return any(each["address"] == address and each["state"] == "withdrawn"
               for each in one.command("endpoints s")["endpoints"])


def wait_withdrawn(one, address):
    holdfast.until(lambda: is_withdrawn(one, address), f"{address} is withdrawn", NOTICED)


def test_keep(daemon, folder, pair):
    (_, a), (_, b) = pair
    source, one = begin(daemon, folder, pair, "keep")
    with one.client("s") as client:
        source.say(b.address)
        wait_withdrawn(one, a.address)
        assert client.ask("x") == b"a x\n"
        with one.client("s") as new:
            assert new.ask("x") == b"a x\n"
        assert f"{a.address} withdrawn by the lookup" in one.ctl("explain", "s").stdout
        a.stop()
        one.wait_status("s", address=b.address, up=True)
        assert client.ask("x") == b"b x\n"


@pytest.mark.parametrize("policy", ["drain", "drop"])
def test_it_moves_there_and_back_and_the_events_tell(daemon, folder, pair, policy):
    (_, a), (_, b) = pair
    source, one = begin(daemon, folder, pair, policy)
    with one.client("s") as client, holdfast.Client(one.control) as control:
        control.send(b"events s\n")
        while json.loads(control.line()).get("event") != "connected":
            pass
        for server, name in ((b, "b"), (a, "a"), (b, "b")):
            source.say(server.address)
            events = [json.loads(control.line()) for _ in range(4)]
            assert [each["event"] for each in events] == ["disconnected", "attempting_to_connect", "obtained_address",
                                                          "connected"]
            assert "withdrawn" in json.dumps(events[0]), events
            assert client.ask("x") == f"{name} x\n".encode()
            with one.client("s") as new:
                assert new.ask("x") == f"{name} x\n".encode()
    status = one.status("s")
    assert (status["losses"], status["outages"]) == (0, 0), status
    assert len(a.connections) + len(b.connections) == 1, "the old connection is closed"


def test_drain_waits_for_what_is_in_flight(daemon, folder, pair):
    (maker, a), (_, b) = pair
    source, one = begin(daemon, folder, pair, "drain")
    with one.client("s") as client:
        client.send(b"slow\n")
        one.wait_status("s", in_flight=1)
        source.say(b.address)
        wait_withdrawn(one, a.address)
        assert one.status("s")["in_flight"] == 1
        maker.let.set()
        assert client.line() == b"a slow\n"
        one.wait_status("s", address=b.address, up=True)
        assert client.ask("x") == b"b x\n"
    assert one.status("s")["losses"] == 0


def test_a_standby_has_the_clients_when_nothing_is_in_flight(daemon, folder, pair):
    (maker, a), (_, b) = pair
    source = Source(folder, a.address, b.address)
    one = daemon(source.service(f"refresh = {REFRESH};", f'{MORE} on_withdrawn = "drain"; standby = 1;'))
    one.wait_status("s", address=a.address, up=True, standby=1)
    with one.client("s") as client, one.client("s") as other:
        client.send(b"slow\n")
        one.wait_status("s", in_flight=1)
        source.say(b.address)
        wait_withdrawn(one, a.address)
        other.send(b"x\n")
        maker.let.set()
        assert client.line() == b"a slow\n"
        assert other.line() == b"b x\n"
        one.wait_status("s", address=b.address, up=True)
    status = one.status("s")
    assert (status["losses"], status["outages"], b.accepted) == (0, 0, 1), status


def test_withdrawn_timeout_ends_what_is_in_flight(daemon, folder, pair, figure):
    (_, a), (_, b) = pair
    source, one = begin(daemon, folder, pair, "drain", 'withdrawn_timeout = 1.5; loss_reply = "lost";')
    with one.client("s") as client:
        client.send(b"slow\n")
        one.wait_status("s", in_flight=1)
        source.say(b.address)
        wait_withdrawn(one, a.address)
        begun = time.monotonic()
        assert client.line() == b"lost\n"
        took = time.monotonic() - begun
        figure(f"ended {took:.2f} s after it was withdrawn; withdrawn_timeout = 1.5")
        assert 1.2 < took < 1.5 + SLACK
        assert client.ask("x") == b"b x\n"


def test_drop_ends_what_is_in_flight(daemon, folder, pair):
    (_, a), (_, b) = pair
    source, one = begin(daemon, folder, pair, "drop", 'loss_reply = "lost";')
    with one.client("s") as client:
        client.send(b"slow\n")
        one.wait_status("s", in_flight=1)
        begun = time.monotonic()
        source.say(b.address)
        assert client.line() == b"lost\n"
        assert GRACE < time.monotonic() - begun < NOTICED
        assert client.ask("x") == b"b x\n"
    assert one.status("s")["losses"] == 1


def test_drain_moves_under_load(daemon, folder, pair, ask, figure):
    """There is never a moment in which nothing is in flight, unless it is made."""
    (_, a), (_, b) = pair
    source, one = begin(daemon, folder, pair, "drain")
    load = ask().start(one.socket("s"), "line", clients=20, depth=4, rate=4000)
    load.wait_running()
    for server in (b, a, b):
        source.say(server.address)
        begun = time.monotonic()
        one.wait_status("s", address=server.address, up=True)
        figure(f"moved after {time.monotonic() - begun:.2f} s")
    assert load.finish().result()["right"] > 0
    status = one.status("s")
    assert (status["losses"], status["retries"]) == (0, 0), status
