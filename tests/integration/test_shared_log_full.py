"""A full queue of messages without replies: what is sent arrives, or is counted as dropped, over deaths of the worker
and restarts of the collector."""
import collections
import select
import socket
import threading

import pytest

import asking
import holdfast
import storm
from test_crash_points import crash, deaths, points

WRITERS = 4
RESTARTS = 10 if holdfast.LONG else 3
WANTED = 20 if holdfast.LONG else 3
QUEUE = 32768
IN_FLIGHT = 16
FULL = f'replies = "none"; on_loss = "retry"; max_in_flight = {IN_FLIGHT}; queue_size = {QUEUE}; hold_retry = 0.01; '


class Collector(threading.Thread):
    """Reads slowly.  At a restart it says that it ends and reads what was sent to it to the end, so that nothing is
    lost: what was sent a second time is a repetition."""

    def __init__(self):
        super().__init__()
        self.port = holdfast.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.connections = []  # the lines of each
        self.restarts = 0      # that are wanted
        self.over = threading.Event()
        self.fast = threading.Event()

    def run(self):
        while not self.over.is_set():
            with socket.socket() as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                listener.bind(("127.0.0.1", self.port))
                listener.listen()
                while not self.over.is_set() and not select.select([listener], [], [], 0.05)[0]:
                    pass
                if self.over.is_set():
                    return
                connection = listener.accept()[0]
            with connection:
                self.read(connection, self.restarts)

    def read(self, connection, restarts):
        lines, rest, ended = [], b"", False
        self.connections.append(lines)
        while True:
            if not ended and (self.restarts != restarts or self.over.is_set()):
                connection.shutdown(socket.SHUT_WR)
                ended = True
            if not select.select([connection], [], [], 0.05)[0]:
                continue
            data = connection.recv(65536 if self.fast.wait(0.001) else 2048)
            if not data:
                return
            *whole, rest = (rest + data).split(b"\n")
            lines += whole

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def lines(self):
        """Each line once, however often it came; of each writer they are in order, but for what is repeated at the
        begin of a connection."""
        seen = set()
        for lines in self.connections:
            last = collections.Counter()
            for line in lines:
                writer, number, text = line.split(b" ")
                number = int(number)
                assert text == b"x" * (number % 150), f"torn: {line}"
                assert number > last[writer], f"{line}: after {last[writer]} in one connection"
                last[writer] = number
                seen.add((int(writer), number))
        return seen


def line(writer, number):
    return b"%d %d %s\n" % (writer, number, b"x" * (number % 150))


class Writers:
    """Each writes lines, faster than the collector reads, until it is told to leave."""

    def __init__(self, one):
        self.over = threading.Event()
        self.next = [1] * WRITERS
        self.clients = [one.client("log", bound=60) for _ in range(WRITERS)]
        self.threads = [threading.Thread(target=self.write, args=(writer,)) for writer in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def write(self, writer):
        while not self.over.wait(0.002):  # its pace
            first = self.next[writer]
            self.next[writer] += 50
            self.clients[writer].send(b"".join(line(writer, number) for number in range(first, first + 50)))

    def finish(self):
        """How many lines they wrote in all."""
        self.over.set()
        for thread, client in zip(self.threads, self.clients):
            thread.join()
            client.close()
        return sum(number - 1 for number in self.next)


def accounted(one, collector, sent, doubtful=0):
    """All that was sent and not dropped has arrived, once all is taken from the clients and the queue is empty; so
    many at most that were dropped as well."""
    collector.fast.set()
    one.wait_status("log", bound=60, clients=0, queued=0, in_flight=0)
    status = one.status("log")
    collector.over.set()
    collector.join()
    assert 0 <= len(collector.lines()) + status["dropped"] - sent <= doubtful
    assert status["losses"] == 0
    return status


@pytest.mark.parametrize("on_full", ["block", "drop_newest", "drop_oldest"])
def test_all_is_accounted_for(daemon, figure, on_full):
    with Collector() as collector:
        one = daemon(asking.shared("log", collector.address, FULL + f'on_full = "{on_full}"; ', "line"))
        one.wait_connected("log")
        writers = Writers(one)
        with storm.Deaths(one, 0.05) as killed:
            for number in range(RESTARTS):
                connections = len(collector.connections)
                holdfast.until(lambda: collector.connections and len(collector.connections[-1]) > 100,
                               "lines arrive")
                collector.restarts += 1
                holdfast.until(lambda: len(collector.connections) > connections, "it is connected again")
            holdfast.until(lambda: killed.count >= 10 * WANTED, "the worker has died often enough")
        sent = writers.finish()
        # What was in flight at a restart may have arrived; it waits to be sent again, and is the oldest then.
        status = accounted(one, collector, sent, RESTARTS * IN_FLIGHT if on_full == "drop_oldest" else 0)
    figure(f"{on_full}: {sent} lines, {killed.count} deaths, {RESTARTS} restarts of the collector: "
           f"{status['dropped']} dropped, {status['retries']} sent again")
    assert (status["dropped"] > 0) == (on_full != "block")
    assert ("messages are dropped" in one.log()) == (on_full != "block")


@pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")
@pytest.mark.parametrize("on_full", ["drop_newest", "drop_oldest"])
@pytest.mark.parametrize("point", ["shared.gap", "shared.moved-up", "shared.dropped", "shared.answered-here",
                                   "redo.committed", "journal.given"])
def test_at_every_place(daemon, point, on_full):
    """The worker dies there again and again, while a slow collector has a part."""
    of_oldest = point in ("shared.gap", "shared.moved-up", "shared.dropped")
    if point not in points() or of_oldest != (on_full == "drop_oldest") and not point.startswith(("redo", "journal")):
        pytest.skip("it is not passed")
    with Collector() as collector:
        one = daemon(asking.shared("log", collector.address, FULL + f'on_full = "{on_full}"; ', "line"),
                     **crash(f"{point}:{5 if of_oldest else 40}"))
        one.wait_connected("log")
        writers = Writers(one)
        holdfast.until(lambda: deaths(one, point) >= WANTED, f"{WANTED} deaths at {point}", 60)
        status = accounted(one, collector, writers.finish())
        assert status["dropped"] > 0


def test_datagrams_are_dropped_and_senders_go_on(daemon):
    """Nobody takes anything, and a sender that does not wait finds room again and again."""
    port = holdfast.free_port()
    one = daemon(asking.shared("log", f"127.0.0.1:{port}", FULL + 'on_full = "drop_oldest"; '
                               'listen: { type = "dgram"; }; ', "line"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(holdfast.BOUND)
        sender.connect(one.socket("log"))
        for number in range(2000):
            sender.send(b"line %d" % number)
        holdfast.until(lambda: one.status("log")["messages_from_clients"] == 2000, "all are read")
        status = one.status("log")
        assert status["dropped"] + status["queued"] == 2000
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        with listener.accept()[0] as connection, connection.makefile("rb") as lines:
            for number in range(status["dropped"], 2000):
                assert lines.readline() == b"line %d\n" % number


def test_a_sender_of_datagrams_waits_with_block(daemon):
    one = daemon(asking.shared("log", f"127.0.0.1:{holdfast.free_port()}", FULL + 'listen: { type = "dgram"; }; ',
                               "line"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(one.socket("log"))
        sender.setblocking(False)

        def is_full():
            try:
                sender.send(b"x" * 100)
            except BlockingIOError:
                return one.status("log")["queued"] > QUEUE / 200
            return False
        holdfast.until(is_full, "the socket is full")
    assert one.status("log")["dropped"] == 0
