"""Log lines of many writers over one connection to a collector that is restarted: never torn, never interleaved."""
import collections
import queue
import select
import socket
import threading

import asking
import holdfast
import storm

WRITERS = 20
LINES = 100000 if holdfast.LONG else 10000
RESTARTS = 10 if holdfast.LONG else 3
RATE = LINES // (20 if holdfast.LONG else 4)  # a second, so that restarts fall into the midst
TEXT_BYTES = 150


class Collector:
    """Ends like one that got SIGTERM: it listens no more, reads what has come, and closes."""

    def __init__(self):
        self.port = holdfast.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.changed = threading.Condition()
        self.received = []  # a list of whole lines for each connection
        self.count = 0

    def start(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(8)
        self.told, self.tell = socket.socketpair()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def run(self):
        while self.listener.fileno() != -1 and self.listener in select.select([self.listener, self.told], [], [])[0]:
            connection, _ = self.listener.accept()
            connection.setblocking(False)
            with connection, self.changed:
                lines = []
                self.received.append(lines)
                self.changed.notify_all()
                self.changed.release()
                self.read(connection, lines)
                self.changed.acquire()

    def read(self, connection, lines):
        """A piece of a line at the end of a connection is no line."""
        rest = b""
        while True:
            told = self.told in select.select([connection, self.told], [], [])[0]
            if told:
                self.listener.close()  # first: who connects anew finds nobody, or it would speak to a backlog
            try:
                data = connection.recv(65536)
            except BlockingIOError:
                if told:
                    return
                continue
            except OSError:
                return
            if not data:
                return
            *whole, rest = (rest + data).split(b"\n")
            with self.changed:
                lines += whole
                self.count += len(whole)
                self.changed.notify_all()

    def stop(self):
        self.tell.close()
        self.thread.join(holdfast.BOUND)
        self.listener.close()
        self.told.close()

    def wait(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(condition, holdfast.BOUND):
                raise holdfast.TookTooLong(f"collector: {what}")


def parse(line):
    """The writer and the number, if the line is as ask writes it."""
    writer, number, text = line.split(b" ", 2)
    writer, number = int(writer), int(number)
    assert text == bytes([97 + number % 26]) * ((number * 7919 + writer) % (TEXT_BYTES + 1)), f"torn: {line}"
    return writer, number


def missing(received):
    """Checks order and wholeness; gives how many lines did not arrive, all at the ends of connections."""
    following = collections.Counter()
    lost = 0
    for lines in received:
        begun = set()
        for line in lines:
            if line.startswith(b"marker"):
                continue
            writer, number = parse(line)
            skipped = number - following[writer]
            assert skipped >= 0, f"{line}: out of order, {following[writer]} was due"
            assert skipped == 0 or writer not in begun, f"{line}: {following[writer]} is missing within a connection"
            lost += skipped
            begun.add(writer)
            following[writer] = number + 1
    return lost, following


def test_lines_to_a_collector_that_is_restarted(daemon, ask, figure):
    collector = Collector().start()
    one = daemon(asking.shared("log", collector.address, 'replies = "none"; ', "line"))
    one.wait_connected("log")
    writers = ask().start(one.socket("log"), "tell", clients=WRITERS, ops=LINES, rate=RATE, value_bytes=TEXT_BYTES,
                          half_close=True)
    with one.client("log") as marker:
        for number in range(RESTARTS):
            # Restarts are spread over the lines.
            collector.wait(lambda: collector.count >= LINES * (number + 1) // (RESTARTS + 2), "lines arrive")
            connections = one.status("log")["connects"]
            collector.stop()
            collector.start()
            holdfast.until(lambda: one.status("log")["connects"] > connections, "it is connected again")
            line = f"marker {number}".encode()
            marker.send(line + b"\n")
            collector.wait(lambda: line in collector.received[-1], f"{line} arrives after the reconnect")
        result = writers.result()
        sent = result["operations"]
        assert sent == LINES
        marker.send(b"marker last\n")  # after all that the writers have had taken
        collector.wait(lambda: b"marker last" in collector.received[-1], "the last line arrives")
    collector.stop()
    lost, following = missing(collector.received)
    status = one.status("log")
    figure(f"{sent} lines, {RESTARTS} restarts, {lost} did not arrive, {status['losses']} counted as lost")
    assert all(following[writer] == count for writer, count in enumerate(result["counts"]))
    assert status["losses"] >= lost
    assert one.status("log")["clients"] == 0


def test_lines_wait_out_an_outage(daemon):
    collector = Collector()
    one = daemon(asking.shared("log", collector.address, 'replies = "none"; ', "line"))
    lines = [b"line %d" % number for number in range(1000)]
    with one.client("log") as writer:
        writer.send(b"\n".join(lines) + b"\n")
        one.wait_status("log", queued=1000)
        collector.start()
        collector.wait(lambda: collector.count == 1000, "they arrive")
    collector.stop()
    assert collector.received == [lines]
    assert one.status("log")["losses"] == 0


def test_the_last_line_of_a_program_that_adds_no_newline_arrives(daemon, upstream):
    """As printf without one in a shell, again and again while the worker dies."""
    lines = queue.Queue()

    def serve(connection):
        with connection.makefile("rb") as file:
            for line in file:
                lines.put(line)
    one = daemon(asking.shared("log", upstream(serve).address, 'replies = "none"; ', "line"))
    one.wait_connected("log")
    with storm.Deaths(one, 0.05) as killed:
        count = 0
        while killed.count < 10:
            with one.client("log") as writer:
                writer.send(b"first %d\nlast %d" % (count, count))
            assert lines.get(timeout=holdfast.BOUND) == b"first %d\n" % count
            assert lines.get(timeout=holdfast.BOUND) == b"last %d\n" % count
            count += 1
    one.wait_status("log", clients=0, unfinished=0, messages_from_clients=2 * count)


def test_what_is_unfinished_in_another_framing_is_counted_and_told(daemon, upstream):
    one = daemon(asking.shared("log", upstream().address, 'replies = "none"; ', "octet-counted"))
    with one.client("log") as writer:
        writer.send(b"2 ab12 half")
    one.wait_status("log", clients=0, unfinished=1, messages_from_clients=1)
    one.wait_log("ended within a message: 7 bytes of it are dropped")
