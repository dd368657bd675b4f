"""hostile_table - flips bytes of a live daemon's table, and sees what its next worker makes of that.

By hand, for as many tries as wanted: HOLDFAST_BUILD=DIR python3 hostile_table.py TRIES [SEED]
"""
import collections
import contextlib
import json
import mmap
import os
import random
import select
import signal
import struct
import sys
import time

import holdfast
import upstream as upstream_module

PAGE = 4096
BOUND = 10.0  # seconds until every service answers
UPGRADE = 1.0  # seconds that one is given
CONFIG_PLACE = 16 << 20  # bytes of each of the two places of the configuration
ROUNDS = 25   # flips that one daemon is given
LABEL, SHAPE = 504, "=8sIIIIQIIIIIIII"
PING, PONG = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"
WATCH, OK = b"*2\r\n$5\r\nWATCH\r\n$1\r\na\r\n", b"+OK\r\n"
SETNAME = b"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$3\r\nmay\r\n"


def answer_resp(connection):
    """As much of Redis as the daemon's clients here ask for."""
    with connection.makefile("rb") as lines:
        for line in lines:
            if not line.startswith(b"*"):
                continue
            words = []
            for _ in range(int(line[1:])):
                words.append(lines.read(int(lines.readline()[1:]) + 2)[:-2].upper())
            connection.sendall(PONG if words[0] == b"PING" else OK)


class Table:
    """The memory of a running daemon, and what lies where in it (src/keep/layout.h)."""

    def __init__(self, keeper):
        self.file = self.open_of(f"/proc/{keeper}/fd")
        self.map = mmap.mmap(self.file, os.fstat(self.file).st_size)
        (_, _, self.services, self.files, self.buffers, self.size, header, service, client, conn, buffer, _, _,
         more) = struct.unpack_from(SHAPE, self.map)
        self.parts = {}
        at = 0
        for name, one, number in (("header", header, 1), ("services", service, self.services),
                                  ("clients", client, self.files), ("conns", conn, self.files),
                                  ("buffers", buffer, self.buffers), ("config", CONFIG_PLACE, 2),
                                  ("labels", LABEL, self.files), ("tracks", more - LABEL, self.files)):
            self.parts[name] = (at, one)
            at += (one * number + PAGE - 1) // PAGE * PAGE

    @staticmethod
    def open_of(folder):
        for name in os.listdir(folder):
            try:
                if os.readlink(f"{folder}/{name}").startswith("/memfd:holdfast"):
                    return os.open(f"{folder}/{name}", os.O_RDWR)
            except FileNotFoundError:
                continue  # others are closed meanwhile
        raise AssertionError(f"no table in {folder}")

    def close(self):
        self.map.close()
        os.close(self.file)

    def place(self, rng, counts):
        """A byte of what is in use: any, or, half of the time, one of a word that is not 0."""
        part = rng.choices(list(counts), [weight for weight, _ in counts.values()])[0]
        begin, one = self.parts[part]
        record = begin + one * rng.randrange(counts[part][1])
        offsets = range(one)
        if part == "services":  # the numbers before the history, and what the upstream has there
            offsets = range(3700) if rng.random() < 0.6 else range(19072, 19072 + 12000)
        elif part == "config":
            offsets = range(4096)
        for _ in range(200):
            at = record + rng.choice(offsets)
            word = at & ~7
            if rng.random() < 0.5 or self.map[word:word + 8] != bytes(8):
                break
        return part, at

    def flip(self, rng, counts, number):
        """Changes so many bytes; tells which."""
        told = []
        for _ in range(number):
            part, at = self.place(rng, counts)
            old = self.map[at]
            new = old ^ (1 << rng.randrange(8)) if rng.random() < 0.7 else rng.randrange(256)
            self.map[at] = new
            begin, one = self.parts[part]
            told.append(f"{part}[{(at - begin) // one}]+{(at - begin) % one}: {old:#x} to {new:#x}")
        return told


SERVICES = {
    "session": 's: {{ address = "{line}"; warm = 2; retry: {{ delay = 0.1; }}; }};',
    "line": 'l: {{ mode = "shared"; framing = "line"; address = "{line}"; retry: {{ delay = 0.1; }}; }};',
    "resp": 'r: {{ mode = "shared"; framing = "resp"; address = "{resp}"; retry: {{ delay = 0.1; }}; }};',
    "log": 'g: {{ mode = "shared"; framing = "line"; replies = "none"; address = "{line}"; '
           'retry: {{ delay = 0.1; }}; }};',
    "spool": 'o: {{ mode = "shared"; framing = "line"; replies = "none"; address = "{line}"; '
             'spool: {{ path = "{folder}/spool"; }}; retry: {{ delay = 0.1; }}; }};',
    "broadcast": 'b: {{ mode = "shared"; framing = "line"; replies = "broadcast"; address = "{line}"; '
                 'retry: {{ delay = 0.1; }}; }};',
}
ASKED = {"s": (b"x\n", b"x\n"), "l": (b"x\n", b"x\n"), "r": (PING, PONG), "b": (b"x\n", b"x\n")}


class Subject:
    """A daemon with all modes, and clients that stay."""

    def __init__(self, folder, line, resp, **options):
        os.makedirs(folder)
        text = "\n".join(one.format(line=line.address, resp=resp.address, folder=folder)
                         for one in SERVICES.values())
        os.makedirs(folder + "/spool")
        self.daemon = holdfast.Daemon(folder, text, **options).start()
        for name in (*ASKED, "g", "o"):
            self.daemon.wait_connected(name)
        self.clients = [(name, self.daemon.client(name, BOUND)) for name in ("s", "s", "s", "l", "l", "r", "r", "b")]
        own = self.daemon.client("r", BOUND)
        self.tell(own, WATCH, OK)  # it has a connection of its own
        self.tell(own, SETNAME, OK)
        self.clients.append(("r", own))
        self.clients += [("g", self.daemon.client("g", BOUND)), ("o", self.daemon.client("o", BOUND))]
        self.table = Table(self.daemon.keeper)
        self.rounds = 0

    @staticmethod
    def tell(client, question, answer):
        client.send(question)
        got = b""
        while len(got) < len(answer):
            data = client.socket.recv(len(answer) - len(got))
            if not data:
                raise ConnectionError("end")
            got += data
        if got != answer:
            raise ConnectionError(f"wrong: {got}")

    def counts(self):
        return {"header": (25, 1), "services": (30, 6), "clients": (15, len(self.clients) + 2),
                "conns": (15, 14), "buffers": (5, 16), "labels": (3, 12), "tracks": (5, 12), "config": (2, 2)}

    def end(self):
        self.table.close()
        for _, client in self.clients:
            client.close()
        self.daemon.end()

    def lost(self):
        """Clients whose session has ended, or answers wrongly; they come again."""
        lost = 0
        for number, (name, client) in enumerate(self.clients):
            try:
                if name in ASKED:
                    if name == "b":
                        client.socket.settimeout(0.01)
                        while self.drained(client):
                            pass
                    client.socket.settimeout(1)
                    self.tell(client, *ASKED[name])
                else:
                    client.send(b"x\n")
            except OSError:
                lost += 1
                client.close()
                self.clients[number] = (name, self.fresh(name))
        return lost

    @staticmethod
    def drained(client):
        try:
            if not client.socket.recv(65536):
                raise ConnectionError("end")
            return True
        except TimeoutError:
            return False

    def fresh(self, name):
        client = self.daemon.client(name, BOUND)
        if name in ASKED:
            self.tell(client, *ASKED[name])
        return client

    def ended(self):
        return self.daemon.process.poll() is not None

    def serves(self, name):
        """Whether a new client is answered."""
        try:
            with self.daemon.client(name, 1) as client:
                if name in ASKED:
                    self.tell(client, *ASKED[name])
                else:
                    client.send(b"x\n")
            return True
        except OSError:
            return False

    def deaf(self):
        """The services that give a new client no answer within the bound."""
        deaf, deadline = [], time.monotonic() + BOUND
        for name in (*ASKED, "g", "o"):
            try:
                holdfast.until(lambda name=name: self.ended() or self.serves(name), name, deadline - time.monotonic())
            except holdfast.TookTooLong:
                deaf.append(name)
            if self.ended():
                return ["all: the daemon has ended"]
        return deaf

    def strike(self, rng, number, upgrade):
        """Bytes change while the worker stands still; the next one finds them.  What was changed."""
        worker = self.daemon.worker()
        os.kill(worker, signal.SIGSTOP)
        told = self.table.flip(rng, self.counts(), number)
        ending = os.pidfd_open(worker)
        if upgrade:  # which ends the worker, if that can still ask for it
            os.kill(worker, signal.SIGCONT)
            self.daemon.process.send_signal(signal.SIGUSR2)
            select.select([ending], [], [], UPGRADE)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(ending, signal.SIGKILL)
        os.close(ending)
        self.rounds += 1
        return told


def run(folder, tries, seed, tell=lambda text: None, **options):
    """So many tries; how many of each kind, and what was changed in those that left somebody without an answer."""
    rng = random.Random(seed)
    line = upstream_module.Upstream().start()
    resp = upstream_module.Upstream(answer_resp).start()
    outcomes, bad, subject, made = collections.Counter(), [], None, 0
    try:
        for number in range(tries):
            if subject is None:
                made += 1
                subject = Subject(f"{folder}/h{made}", line, resp, **options)
            upgrade = rng.random() < 0.1
            told = subject.strike(rng, 1 if rng.random() < 0.7 else 5, upgrade)
            deaf = subject.deaf()
            lost = 0
            try:
                lost = 0 if deaf else subject.lost()
            except OSError:
                deaf = ["a client that came again"]
            kind = "left a service without an answer" if deaf else "lost a session" if lost else "served on"
            if deaf[:1] == ["all: the daemon has ended"] or len(deaf) >= len(ASKED):
                kind = "left the whole daemon without an answer"
            outcomes[kind] += 1
            if deaf:
                bad.append((number, "upgrade" if upgrade else "kill", deaf, told))
                tell(json.dumps(bad[-1]))
            if deaf or subject.rounds >= ROUNDS:
                subject.end()
                subject = None
    finally:
        if subject is not None:
            subject.end()
        line.stop()
        resp.stop()
    return outcomes, bad


if __name__ == "__main__":
    import tempfile
    with tempfile.TemporaryDirectory(prefix="hf-") as place:
        SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
        print(f"seed {SEED}", flush=True)
        RESULT, _ = run(place, int(sys.argv[1]), SEED, lambda text: print(text, flush=True))
        for KIND, COUNT in RESULT.most_common():
            print(f"{COUNT:6} {KIND}")
