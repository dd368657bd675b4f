"""The worker dies at every place that shared mode passes, again and again, under load: nothing is lost or wrong."""
import socket

import pytest

import asking
import holdfast
from asking import Resp
from test_crash_points import crash, deaths, points

WANTED = 20 if holdfast.LONG else 3

# Each COUNT-th pass kills; seldom enough that work is done in between.
COUNTS = {"shared": 400, "ring": 100, "room": 100, "owed": 400, "journal": 400, "redo": 400, "recover": 2}
# Places that only another death leads to: it is provoked by a second point.
LED_TO_BY = {
    "recover.redone": "redo.committed:200",
    "recover.journal": "journal.received:200",
    "recover.closing": "close.marked:20",
    "recover.closed": "close.client:20",
    "recover.adopted": "accept.accepted:20",
}
# Of large data in session mode, which has a test of its own.
ELSEWHERE = {"journal.filled", "journal.drain-marked", "journal.drained", "journal.drain-stored",
             "journal.header-marked", "journal.header-sent", "journal.header-stored",
             "journal.decline-marked", "journal.decline-sent", "journal.decline-stored",
             "journal.copy-marked", "journal.copied", "journal.copy-stored"}
# Passed when a connection is lost and the next one is lent; by broadcasts; by packets; by what is answered here.
AT_A_TAKEOVER = ["takeover.given", "takeover.told"]
AT_A_LOSS = ["shared.lent", "shared.named", "shared.lost", "shared.settled", "shared.unnamed"]
OF_A_CAST = ["shared.broadcast"]
OF_PACKETS = ["journal.packet-marked", "journal.packet-sent", "journal.packet-stored"]
ANSWERED_HERE = ["shared.answered-here"]
OF_A_FULL_QUEUE = ["shared.gap", "shared.moved-up", "shared.dropped"]  # test_shared_log_full.py

pytestmark = pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")


def group(point):
    return point.partition(".")[0]


def under_load():
    special = {*ELSEWHERE, *AT_A_LOSS, *OF_A_CAST, *OF_PACKETS, *ANSWERED_HERE, *OF_A_FULL_QUEUE}
    return [point for point in points() if group(point) in COUNTS and point not in special]


def known(wanted):
    return [point for point in wanted if point in points()]


def await_deaths(one, point, *loads):
    """Until it has struck often enough, while the loads go on."""
    for load in loads:
        load.wait_running()

    def struck():
        for load in loads:
            assert not load.ended_within(0.02), load.complaints()
        if point.startswith("recover."):
            one.kill_worker()
        return deaths(one, point) >= WANTED
    holdfast.until(struck, f"{WANTED} deaths at {point}", 20)


@pytest.mark.parametrize("point", under_load())
def test_under_load(daemon, redis, ask, point):
    """One load counts; the other comes and goes, is split, and has larger values.  Most of it waits in the queue."""
    text = f"{point}:{COUNTS[group(point)]}"
    if point in LED_TO_BY:
        text += "," + LED_TO_BY[point]
    one = daemon(asking.shared("cache", redis().address, "max_in_flight = 16; "), **crash(text))
    counters = ask().start(one.socket("cache"), "redis-incr", clients=20, depth=4)
    others = ask().start(one.socket("cache"), "redis-own", clients=20, depth=4, split=True, visit=20, leavers=5,
                         value_bytes=3000, prefix="own")
    await_deaths(one, point, counters, others)
    assert others.finish().result()["errors"] == 0
    result = counters.finish().result()
    assert result["errors"] == 0
    assert one.status("cache")["disconnects"] == 0
    with Resp(one.socket("cache")) as client:
        assert [int(client.ask("GET", f"ask:{number}") or 0) for number in range(20)] == result["counts"]


@pytest.mark.parametrize("point", known(AT_A_LOSS))
def test_at_a_loss(daemon, upstream, ask, point):
    """Each connection is closed after some lines; what was not answered is asked again."""
    def serve(connection):
        with connection.makefile("rb") as lines:
            for _, line in zip(range(100), lines):
                connection.sendall(line)
    one = daemon(asking.shared("s", upstream(serve).address, 'on_loss = "retry"; hold_retry = 0.01; ', "line"),
                 **crash(f"{point}:2"))
    load = ask().start(one.socket("s"), "line", clients=20, depth=4, value_bytes=1000)
    await_deaths(one, point, load)
    assert load.finish().result()["errors"] == 0
    assert one.status("s")["losses"] == 0


@pytest.mark.parametrize("point", known([*AT_A_TAKEOVER, "shared.lent", "shared.named"]))
def test_at_a_takeover(daemon, upstream, ask, point):
    """Each connection is closed after some lines, and the one that stands by goes on."""
    def serve(connection):
        with connection.makefile("rb") as lines:
            for _, line in zip(range(100), lines):
                connection.sendall(line)
    servers = [upstream(serve).address for _ in range(2)]
    one = daemon(asking.shared("s", servers, 'standby = 1; on_loss = "retry"; hold_retry = 0.01; ', "line"),
                 **crash(f"{point}:2"))
    load = ask().start(one.socket("s"), "line", clients=20, depth=4, value_bytes=1000)
    await_deaths(one, point, load)
    assert load.finish().result()["errors"] == 0
    assert one.status("s")["losses"] == 0


@pytest.mark.parametrize("point", known(OF_A_CAST))
def test_of_a_broadcast(daemon, upstream, ask, point):
    feed = asking.Feed(20, size=300)
    server = upstream(feed.serve)
    one = daemon(asking.shared("feed", server.address, 'replies = "broadcast"; ', "line"), **crash(f"{point}:50"))
    readers = ask().start(one.socket("feed"), "feed", clients=20, ack=asking.ACK)
    one.wait_status("feed", clients=20)
    feed.begin.set()
    await_deaths(one, point, readers)
    assert readers.finish().result()["right"] > 0
    assert server.accepted == 1


@pytest.mark.parametrize("point", known(OF_PACKETS))
def test_of_packets(daemon, upstream, point):
    one = daemon(asking.shared("s", upstream().address, 'listen: { type = "seqpacket"; }; ', "line"),
                 **crash(f"{point}:5"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.settimeout(holdfast.BOUND)
        client.connect(one.socket("s"))
        number = 0
        while deaths(one, point) < WANTED:
            number += 1
            client.send(b"packet %d" % number)
            assert client.recv(100) == b"packet %d" % number


@pytest.mark.parametrize("point", known(ANSWERED_HERE))
def test_of_what_is_answered_here(daemon, redis, point):
    """Such an answer keeps its place among those of the server."""
    one = daemon(asking.shared("cache", redis().address, 'on_state = "refuse"; '), **crash(f"{point}:20"))
    with Resp(one.socket("cache")) as client:
        number = 0
        while deaths(one, point) < WANTED:
            number += 1
            client.send(asking.command("INCR", "count") + asking.command("CLIENT", "SETNAME", "me") +
                        asking.command("ECHO", number) + asking.command("HELLO", 3))
            assert [client.reply() for _ in range(3)] == [number, "OK", b"%d" % number]
            assert isinstance(client.reply(), asking.ReplyError)


@pytest.mark.parametrize("last", [b"MULTI\r\n", b"QUIT\r\n", b"*x\r\n"], ids=["refused", "quit", "no request"])
@pytest.mark.parametrize("point", known([*ANSWERED_HERE, "redo.committed", "ring.unnamed"]))
def test_of_a_last_answer(redis, daemon, point, last):
    """It is given once and whole, the client ends with it, and nothing that came behind it is done.  The daemon ends
    before the server: what it counts of attempts would let it die again and again."""
    one = daemon(asking.shared("cache", redis().address, 'on_state = "refuse"; '), **crash(f"{point}:3"))
    number = 0
    while deaths(one, point) < WANTED:
        number += 1
        with Resp(one.socket("cache")) as client:
            client.send(asking.command("INCR", "count") + last + asking.command("INCR", "count") * 3)
            assert client.reply() == number
            assert client.reply() == "OK" if last == b"QUIT\r\n" else isinstance(client.reply(), asking.ReplyError)
            assert client.at_end()
