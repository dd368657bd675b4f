"""The first endpoint does not answer, the second is well: once that is known no client waits for it, and none is
refused."""
import os
import time

import pytest

import holdfast
from upstream import stall
from visits import Visits

STAGGER = 0.25
SLACK = 0.05 if holdfast.LONG else 0.25  # a goal is measured on a machine of one's own
SECONDS = 60 if holdfast.LONG else 3
pytestmark = pytest.mark.plain  # times
HELLO = r'hello = ( { send = "PING\r\n"; expect = "+PONG"; timeout = 1; } ); '
# A failed endpoint is looked at in the background again and again meanwhile.
MORE = HELLO + "connect_timeout = 1; retry: { delay = 1; jitter = 0; }; "


def services(addresses, more):
    listed = ", ".join(f'"{address}"' for address in addresses)
    return f's: {{ addresses = [{listed}]; {MORE} {more} }};\n'


def judge(one, visits, figure):
    """What clients waited, of whom ten a second came."""
    assert not visits.unanswered(), visits.unanswered()[:5]
    first = min(visits.done, key=lambda visit: visit.begun)
    later = sorted(visit.took for visit in visits.since(first.ended))
    late = [f"{took:.3f}" for took in later if took > STAGGER + SLACK]
    figure(f"{len(visits.done)} clients, none refused; the first waited {first.took * 1000:.0f} ms, later ones "
           f"{later[len(later) // 2] * 1000:.1f} ms (median), {later[-1] * 1000:.0f} ms (worst)")
    assert len(visits.done) >= SECONDS * 10 * 0.9
    assert not late, late
    assert one.status("s")["up"] and one.status("s")["outages"] == 0


def visit(one, question=b"PING\r\n"):
    with Visits(one.socket("s"), question, rate=10) as visits:
        visits.over.wait(SECONDS)
    return visits


@pytest.mark.parametrize("more", ["warm = 0;", ""], ids=["none ready", "one ready"])
def test_it_hangs_in_hello(daemon, upstream, redis, figure, more):
    hung = upstream(stall)
    one = daemon(services([hung.address, redis().address], more))
    judge(one, visit(one), figure)
    assert 1 < hung.accepted < SECONDS * 3, "it is asked in the background, and not by clients"


@pytest.mark.parametrize("more", ["warm = 0;", ""], ids=["none ready", "one ready"])
def test_it_is_stopped(daemon, redis, figure, more):
    """The kernel goes on to accept for a stopped process.  What was ready then is of no use to the one client whom it
    is given to; it is ready no more once a dial in the background has failed."""
    first, second = redis(), redis()
    one = daemon(services([first.address, second.address], more))
    with one.client("s") as client:
        assert client.ask("PING") == b"+PONG\r\n"
    os.kill(first.process.pid, 19)
    try:
        with one.client("s") as client:
            client.send(b"PING\r\n")
            if not more:
                with one.client("s") as another:
                    assert another.ask("PING") == b"+PONG\r\n"
            else:
                assert client.line() == b"+PONG\r\n"
        judge(one, visit(one), figure)
    finally:
        os.kill(first.process.pid, 18)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a network of its own")
@pytest.mark.parametrize("more", ["warm = 0;", ""], ids=["none ready", "one ready"])
def test_its_packets_are_dropped(daemon, network, figure, more):
    def pong(connection):
        with connection.makefile("rb") as lines:
            for _ in lines:
                connection.sendall(b"+PONG\r\n")

    network.drop_packets()
    well = network.host(7, pong)
    well.start()
    try:
        one = daemon(services([f"10.9.0.2:{well.port}", well.address], more), wrapper=network.wrapper)
        judge(one, visit(one), figure)
    finally:
        well.stop()


def test_a_shared_service_waits_no_longer(daemon, upstream, redis, figure):
    hung = upstream(stall)
    one = daemon(services([hung.address, redis().address], 'mode = "shared"; framing = "resp";'))
    judge(one, visit(one), figure)


@pytest.mark.parametrize("stagger", [0, 0.1])
def test_how_long_it_is_waited_for(daemon, upstream, redis, figure, stagger):
    """0: one after the other."""
    hung = upstream(stall)
    one = daemon(services([hung.address, redis().address], f"warm = 0; connect_stagger = {stagger};"))
    begun = time.monotonic()
    with one.client("s") as client:
        assert client.ask("PING") == b"+PONG\r\n"
    took = time.monotonic() - begun
    figure(f"{took * 1000:.0f} ms")
    wanted = stagger or 1
    assert wanted - 0.02 < took < wanted + 0.5
