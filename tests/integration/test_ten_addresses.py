"""A name has ten addresses of which nine drop packets: the first client finds the tenth, later ones go there at once;
when the zone changes new clients follow."""
import contextlib
import os
import time

import pytest

import holdfast
from name_server import A, AAAA, NameServer
from upstream import named
from visits import Visits

pytestmark = [pytest.mark.plain,  # times
              pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a network of its own")]

STAGGER = 0.25
SLACK = 0.05 if holdfast.LONG else 0.3
TTL = 2


def zone(*numbers):
    return {A: [(bytes([10, 9, 0, number]), TTL) for number in numbers], AAAA: []}


@pytest.fixture
def names(network):
    """A name server in the network; nine of ten addresses are nobody's."""
    network.drop_packets()
    server = network.inside(lambda: NameServer(zone(*range(100, 109), 200)))
    yield server
    network.inside(server.stop)


@pytest.fixture
def host(network):
    with contextlib.ExitStack() as stack:
        def start(number, name):
            one = network.host(number, named(name))
            one.start()
            stack.callback(one.stop)
            return one
        yield start


@pytest.mark.parametrize("more", ["warm = 0;", "warm = 1;"], ids=["none ready", "one ready"])
def test_the_tenth_is_found_and_the_zone_followed(daemon, folder, network, names, host, figure, more):
    well = host(200, "old")
    one = daemon(holdfast.fixed("s", f"ten.test:{well.port}", more), wrapper=network.wrapper + names.wrapper(folder))
    begun = time.monotonic()
    with one.client("s") as client:
        assert client.ask("x") == b"old x\n"
    first = time.monotonic() - begun
    assert len(one.command("lookup s")["addresses"]) == 10
    with Visits(one.socket("s"), b"x\n", slots=2, pause=0.02) as visits:
        visits.over.wait(20 if holdfast.LONG else 3)
    worst = max(visit.took for visit in visits.done)
    figure(f"the first client was answered after {first:.2f} s, {len(visits.done)} later ones after "
           f"{worst * 1000:.0f} ms at most")
    assert not visits.unanswered() and visits.servers().keys() == {"old"}
    assert first < 10 * STAGGER + SLACK * holdfast.slower()
    assert worst < SLACK * holdfast.slower()
    host(201, "new")
    with Visits(one.socket("s"), b"x\n", slots=2, pause=0.02) as visits:
        changed = time.monotonic()
        names.zone = zone(201)
        holdfast.until(lambda: visits.servers()["new"], "new clients are there")
        moved = time.monotonic() - changed
        visits.over.wait(max(0, 4 - moved))
        visits.wait_for(20)
    figure(f"new clients followed the zone after {moved:.2f} s")
    assert not visits.unanswered(), visits.unanswered()
    assert visits.servers(changed + 4).keys() == {"new"} and moved < 4
