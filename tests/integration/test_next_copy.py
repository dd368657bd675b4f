"""Two copies, one is killed: the next client is answered by the other at once."""
import time

import pytest

import holdfast
import upstream as servers

pytestmark = pytest.mark.plain

BOUND_MS = 50
TURNS = 50 if holdfast.LONG else 20


def kill_in_turn(one, copies, figure):
    for copy in copies:
        copy.start()
    one.wait_connected("s")
    slowest = 0
    for turn in range(TURNS):
        dying, other = copies[turn % 2], copies[(turn + 1) % 2]
        dying.stop()
        begin = time.monotonic()
        with one.client("s") as client:
            answer = client.ask("who")
        slowest = max(slowest, (time.monotonic() - begin) * 1e3)
        assert answer == f"{other.name} who\n".encode(), f"turn {turn}: {answer}"
        dying.start()
    figure(f"slowest of {TURNS}: {slowest:.1f} ms")
    assert slowest < BOUND_MS * holdfast.slower()


def two(upstream):
    copies = []
    for name in ("one", "two"):
        copies.append(upstream(servers.named(name), start=False))
        copies[-1].name = name
    return copies


def test_fixed_addresses(daemon, upstream, figure):
    copies = two(upstream)
    one = daemon(f's: {{ addresses = ["{copies[0].address}", "{copies[1].address}"]; }};')
    kill_in_turn(one, copies, figure)


def test_catalog(daemon, upstream, catalog, figure):
    copies = two(upstream)
    for copy in copies:
        catalog.publish("s", copy.name, copy.address)
    one = daemon(f's: {{ lookup: {{ catalog = "{catalog.folder}"; }}; }};')
    kill_in_turn(one, copies, figure)
