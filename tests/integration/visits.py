"""visits - clients that connect, ask one thing, are answered, and leave; each visit is recorded.

    with Visits(path, b"x\n", slots=50) as visits:       # fifty at a time, one after the other
    with Visits(path, b"x\n", rate=10) as visits:        # ten a second, whoever still waits
    visits.done                                          # what has ended

One thread serves all, so that what it measures is the daemon's time and not its own.
"""
import collections
import heapq
import itertools
import os
import selectors
import socket
import threading
import time

import holdfast


class Visit:
    """answer is one line, without its end, or None: how it ended then is told by error."""

    def __init__(self, question):
        self.begun = time.monotonic()
        self.ended = None
        self.question = question
        self.received = b""
        self.answer = None
        self.error = None

    @property
    def took(self):
        return self.ended - self.begun

    def __repr__(self):
        return f"<{self.took:.3f} s: {self.answer or self.error}>"


class Visits(threading.Thread):
    """question is bytes, or a function of the visit's number; lines is of how many lines an answer consists, whose
    last one counts.  count: so many, then it ends by itself."""

    def __init__(self, path, question, slots=0, rate=0, pause=0.0, lines=1, count=None):
        super().__init__()
        self.path, self.lines, self.rate, self.pause = path, lines, rate, pause
        self.question = question if callable(question) else lambda number: question
        self.numbers = itertools.count() if count is None else iter(range(count))
        self.done = []
        self.over = threading.Event()
        self.selector = selectors.DefaultSelector()
        self.due = []  # when a visit begins
        self.waiting = 0
        begun = time.monotonic()
        if rate:
            heapq.heappush(self.due, begun)
        for _ in range(slots):
            heapq.heappush(self.due, begun)

    def begin(self):
        number = next(self.numbers, None)
        if number is None:
            self.over.set()
            return
        visit = Visit(self.question(number))
        end = socket.socket(socket.AF_UNIX)
        self.waiting += 1
        try:
            end.connect(self.path)
            end.setblocking(False)
            end.send(visit.question)
        except OSError as error:
            self.finish(visit, end, error=f"refused: {os.strerror(error.errno)}")
        else:
            self.selector.register(end, selectors.EVENT_READ, visit)

    def finish(self, visit, end, answer=None, error=None):
        visit.ended = time.monotonic()
        visit.answer, visit.error = answer, error
        end.close()
        self.waiting -= 1
        self.done.append(visit)
        if not self.rate:
            heapq.heappush(self.due, visit.ended + self.pause)

    def read(self, visit, end):
        try:
            got = end.recv(65536)
        except OSError as error:
            got = b""
            visit.received += os.strerror(error.errno).encode()
        visit.received += got
        answered = visit.received.count(b"\n") >= self.lines
        if got and not answered:
            return
        self.selector.unregister(end)
        if answered:
            self.finish(visit, end, answer=visit.received.splitlines()[self.lines - 1].decode())
        else:
            self.finish(visit, end, error=f"ended after {visit.received!r}")

    def run(self):
        while not self.over.is_set() or self.waiting:
            now = time.monotonic()
            while self.due and self.due[0] <= now and not self.over.is_set():
                at = heapq.heappop(self.due)
                if self.rate:
                    heapq.heappush(self.due, at + 1 / self.rate)
                self.begin()
            pause = min(0.05, max(0, self.due[0] - now)) if self.due else 0.05
            for key, _ in self.selector.select(pause):
                self.read(key.data, key.fileobj)
        self.selector.close()

    def wait(self, bound):
        self.join(bound)
        if self.is_alive():
            raise holdfast.TookTooLong(f"{self.waiting} visits are unanswered; {len(self.done)} have ended")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *failure):
        """Nobody is left without an answer."""
        self.over.set()
        if failure[0] is None:
            self.wait(holdfast.BOUND)
            return
        self.join(holdfast.BOUND)
        if self.is_alive():
            self.waiting = 0
            self.join()

    def since(self, begun):
        """Those that have ended and had begun after this time."""
        return [visit for visit in self.done if visit.begun > begun]

    def unanswered(self):
        return [visit for visit in self.done if visit.answer is None]

    def servers(self, begun=0):
        """How many were answered by whom; a server's name is the first word of its answer."""
        return collections.Counter(visit.answer.split()[0] for visit in self.since(begun) if visit.answer)

    def wait_for(self, more):
        """Waits until so many more have ended."""
        wanted = len(self.done) + more
        holdfast.until(lambda: len(self.done) >= wanted, f"{more} more visits")
