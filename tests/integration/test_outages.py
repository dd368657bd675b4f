"""When a service was down is kept in the table, over deaths, upgrades and restarts."""
import contextlib
import os
import struct

import pytest

import holdfast
import hostile_table
import manager

OUTAGES = 32
PAUSES = 32  # bytes of struct table_service; with the count and the ring they end it, in whole lines of 64
TAIL = (PAUSES + 8 + 16 * OUTAGES + 63) // 64 * 64


def outages(one):
    """(from, to) of each of the first service, in microseconds; the last one's to is 0 while it lasts."""
    with contextlib.closing(hostile_table.Table(one.keeper)) as table:
        begin, size = table.parts["services"]
        count, *ring = struct.unpack_from(f"=Q{2 * OUTAGES}q", table.map, begin + size - TAIL + PAUSES)
    assert count <= OUTAGES
    return [tuple(ring[2 * i:2 * i + 2]) for i in range(count)]


def ended(one, number):
    """All, once so many are over."""
    def over():
        told = outages(one)
        return told if len(told) == number and told[-1][1] else None

    return holdfast.until(over, f"the end of outage {number}")


@pytest.mark.plain
def test_no_outage_is_forgotten_or_told_twice(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, "retry: { delay = 0.05; };"), start=False, kind=manager.Managed)
    one.install(os.path.join(holdfast.BUILD, "holdfastd"))
    one.start()
    one.wait_connected("s")
    assert outages(one) == []
    server.stop()
    first = holdfast.until(lambda: outages(one), "an outage")
    one.kill_worker()
    one.wait_status("s", up=False, outages=1)
    assert outages(one) == first == [(first[0][0], 0)]
    server.start()
    told = ended(one, 1)
    assert told[0][0] == first[0][0] < told[0][1]
    one.kill_worker()
    one.wait_status("s", up=True)
    assert one.ctl("upgrade").returncode == 0
    one.restart()
    one.wait_status("s", up=True)
    assert outages(one) == told
    server.stop()
    holdfast.until(lambda: len(outages(one)) == 2, "a second outage")
    assert one.ctl("upgrade").returncode == 0
    one.restart()
    server.start()
    both = ended(one, 2)
    assert both[0] == told[0] and told[0][1] <= both[1][0] < both[1][1]
    assert one.status("s")["outages"] == 2
