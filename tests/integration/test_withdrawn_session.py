"""A session service's script gives another address while the old server lives: no new client reaches that, and those
that are there are left, drained, or dropped, as on_withdrawn says."""
import contextlib
import time

import pytest

import holdfast
from lookup_script import Source
from upstream import named
from visits import Visits

pytestmark = pytest.mark.long

REFRESH = 0.4
GRACE = 1.0  # two lookups at least so far apart do not list it
SLACK = 2.0  # for a loaded machine
NOTICED = GRACE + 2 * 1.3 * REFRESH + SLACK  # a server is withdrawn by then


class Moving:
    """A service at server a or b, both alive, with clients who come and go and some who stay."""

    def __init__(self, daemon, upstream, folder, more):
        self.servers = {name: upstream(named(name)) for name in "ab"}
        self.source = Source(folder, self.servers["a"].address)
        self.one = daemon(self.source.service(f"refresh = {REFRESH};",
                                              f"warm = 1; retry: {{ delay = 0.2; }}; {more}"))
        self.one.wait_connected("s")
        self.clients = []

    def stay(self, name, count=3):
        """Clients that stay; they are at this server."""
        clients = [self.one.client("s") for _ in range(count)]
        self.clients += clients
        for client in clients:
            assert client.ask("x") == f"{name} x\n".encode()
        return clients

    def close(self):
        for client in self.clients:
            client.close()

    def move(self, name):
        """The script gives this one; returns when the daemon has seen it."""
        address = self.servers[name].address
        before = self.one.ctl("explain", "s").stdout.count(f"lookup: {address}")
        self.source.say(address)
        holdfast.until(lambda: self.one.ctl("explain", "s").stdout.count(f"lookup: {address}") > before,
                       "the lookup")
        return time.monotonic()

    def endpoint(self, name):
        address = self.servers[name].address
        found = [each for each in self.one.command("endpoints s")["endpoints"] if each["address"] == address]
        return found[0] if found else {"state": "unknown", "connections": 0}

    def wait_endpoint(self, name, state, connections=None, bound=NOTICED):
        def matches():
            found = self.endpoint(name)
            return found["state"] == state and connections in (None, found["connections"])
        holdfast.until(matches, f"{name} is {state} with {connections} connections", bound)


@pytest.fixture
def moving(daemon, upstream, folder):
    with contextlib.ExitStack() as stack:
        def start(more):
            one = Moving(daemon, upstream, folder, more)
            stack.callback(one.close)
            return one
        yield start


def assert_new_clients_follow(service, visits, name, bound_at):
    visits.wait_for(20)
    assert visits.servers(bound_at).keys() == {name}, visits.servers(bound_at)
    assert not visits.unanswered(), visits.unanswered()
    assert service.one.status("s")["address"] == service.servers[name].address


@pytest.mark.parametrize("policy", ["keep", "drain", "drop"])
def test_new_clients_go_to_the_other_and_back(moving, policy):
    service = moving(f'on_withdrawn = "{policy}";')
    with Visits(service.one.socket("s"), b"x\n", slots=3, pause=0.01) as visits:
        for old, new in ("ab", "ba"):
            here = service.stay(old)
            moved = service.move(new)
            assert_new_clients_follow(service, visits, new, moved)
            if policy == "drop":
                service.wait_endpoint(old, "withdrawn", 0)
                assert all(client.at_end() for client in here)
            else:
                service.wait_endpoint(old, "withdrawn", 3)
                story = service.one.ctl("explain", "s").stdout
                assert f"{service.servers[old].address} withdrawn by the lookup" in story, story
                for client in here:
                    assert client.ask("y") == f"{old} y\n".encode()
                    client.close()
            service.wait_endpoint(new, "ok")
            assert_new_clients_follow(service, visits, new, moved)
    assert visits.servers().keys() == {"a", "b"}


def test_drained_clients_have_until_withdrawn_timeout(moving, figure):
    service = moving('on_withdrawn = "drain"; withdrawn_timeout = 1.5;')
    here = service.stay("a")
    service.move("b")
    service.wait_endpoint("a", "withdrawn", 3)
    withdrawn = time.monotonic()
    assert all(client.ask("y") == b"a y\n" for client in here)
    assert all(client.at_end() for client in here)
    took = time.monotonic() - withdrawn
    figure(f"closed {took:.2f} s after it was withdrawn; withdrawn_timeout = 1.5")
    assert 1.2 < took < 1.5 + SLACK
    assert service.stay("b")


def test_a_single_look_up_without_it_withdraws_nothing(moving):
    """Nor one that fails."""
    service = moving('on_withdrawn = "drop";')
    [client] = service.stay("a", 1)
    for _ in range(3):
        service.move("b")
        moved = service.move("a")
        with Visits(service.one.socket("s"), b"x\n", slots=1, count=5) as visits:
            visits.wait(holdfast.BOUND)
        assert visits.servers(moved) == {"a": 5}
        failures = service.one.status("s")["lookup_failures"]
        service.source.say("nonsense")
        holdfast.until(lambda: service.one.status("s")["lookup_failures"] >= failures + 4, "failures")
        service.source.say(service.servers["a"].address)
        assert client.ask("x") == b"a x\n"


def test_with_nothing_else_all_stay(moving):
    """The other is there in the list only: it does not answer."""
    service = moving('on_withdrawn = "drain"; withdrawn_timeout = 0.5;')
    here = service.stay("a")
    service.servers["b"].stop()
    service.move("b")
    service.one.wait_status("s", up=False)
    over = time.monotonic() + NOTICED
    while time.monotonic() < over:
        assert all(client.ask("y") == b"a y\n" for client in here)
    with service.one.client("s") as held:
        service.one.wait_status("s", held=1)
        service.servers["b"].start()
        assert held.ask("x") == b"b x\n"
