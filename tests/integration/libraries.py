"""libraries - programs that use client libraries of Redis over a shared service, and what must be true at the end.

Each program takes the socket's path and what happens meanwhile, "deaths" (of the worker) or "restarts" (of Redis),
says "running", works until its standard input ends, and prints what it has seen, as JSON:

    version    of the library
    rounds     through all that it does
    failures   requests that ended with an error which told that they did
    wrong      answers that were another's, or no answer at all, as texts
    counters   key: [what it was when last heard of, how often it was added to since without an answer]
    equal      pairs of keys that one transaction has written
    sums       key: keys whose sum it is

Its keys in database 0 begin with "zero:", those in database 1 with "one:".
"""
import contextlib
import os

import asking
import holdfast
import storm
from holdfast import until

FOLDER = os.path.dirname(os.path.abspath(__file__))
DEATHS = 500 if holdfast.LONG else 15
RESTARTS = 50 if holdfast.LONG else 3
BOUND = 600 if holdfast.LONG else 60


class Program(holdfast.Generator):
    """command: how it is run; the socket's path and further words follow."""

    name = "library"

    def __init__(self, folder, *command):
        super().__init__(folder)
        self.words = [str(word) for word in command]

    def command(self):
        return self.words

    def finish(self, bound=60):
        self.process.stdin.close()
        return self.result(bound)


class Restarts(storm.Again):
    """Of a persistent Redis, by SIGKILL; it has what it has answered for."""

    def __init__(self, place, mean=0.3):
        super().__init__(mean)
        self.place = place

    def once(self):
        self.place.server.kill()
        self.place.server.start()
        self.place.wait_connected()


# What is said to Redis first.  Who comes while that loads what it had waits until it has.
SERVICES = {
    "cache": [("PING", "+PONG")],
    "sessions": [("PING", "+PONG"), ("SELECT 1", "+OK")],
    "resp3": [("PING", "+PONG"), ("HELLO 3", "%")],
}


def shared(name, server):
    hello = ", ".join(f'{{ send = "{send}\\r\\n"; expect = "{expect}"; }}' for send, expect in SERVICES[name])
    return asking.shared(name, server.address, f"hello = ({hello}); ")


class Place:
    """Services that clients share, and a persistent Redis behind all of them."""

    def __init__(self, daemon, redis):
        self.server = redis(persistent=True)
        self.one = daemon("".join(shared(name, self.server) for name in SERVICES))
        self.wait_connected()

    def wait_connected(self):
        for name in SERVICES:
            self.one.wait_connected(name)

    def blows(self, kind):
        """A context, with count; and how often it is to strike."""
        if kind == "deaths":
            return storm.Deaths(self.one, 0.06), DEATHS
        return Restarts(self), RESTARTS

    def work(self, program, kind, *words, service="cache"):
        """The program, while the worker dies or Redis restarts: what it says, checked."""
        with contextlib.closing(Closing(program.launch(self.one.socket(service), kind, *map(str, words)))):
            program.wait_running()
            blows, often = self.blows(kind)
            with blows:
                until(lambda: blows.count >= often or blows.failure or program.process.poll() is not None, kind,
                      BOUND)
            said = program.finish(BOUND)
        self.check(said, program, kind)
        return f"{said['version']}: {blows.count} {kind}, {said['rounds']} rounds, {said['failures']} failures"

    def check(self, said, program, kind):
        assert said["wrong"] == [], (said["wrong"][:10], program.complaints())
        assert said["rounds"] > 0, program.complaints()
        if kind == "deaths":
            assert said["failures"] == 0, program.complaints()
        self.check_counters(said)
        self.check_databases()
        self.check_connections()

    def number(self, key):
        return int(self.server.cli("GET", key) or 0)

    def check_counters(self, said):
        for key, (known, open_ends) in said["counters"].items():
            assert known <= self.number(key) <= known + open_ends, key
        for first, second in said["equal"]:
            assert self.number(first) == self.number(second), (first, second)
        for total, parts in said["sums"].items():
            assert self.number(total) == sum(self.number(part) for part in parts), total

    def check_databases(self):
        for database, prefix in [(0, "zero:"), (1, "one:")]:
            keys = self.server.cli("-n", database, "KEYS", "*").split()
            assert keys and all(key.startswith(prefix) for key in keys), (database, keys)
        assert "db2" not in self.server.cli("INFO", "keyspace")

    def check_connections(self):
        """Those of the services, and of who asks."""
        def connections():
            return self.server.cli("CLIENT", "LIST").splitlines()
        until(lambda: len(connections()) == len(SERVICES) + 1, "no connection left over at Redis")
        for name in SERVICES:
            self.one.wait_status(name, clients=0, own=0, in_flight=0)


class Closing:
    """close() is end()."""

    def __init__(self, program):
        self.close = program.end
