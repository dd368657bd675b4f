"""The load generator of messages notices what it is there to notice."""
import itertools
import re

import pytest

import asking
from holdfast import wait_exit

LOST = asking.LOST.encode() + b"\r\n"


def lines(answer):
    """Each line is answered with answer(number of the line, line)."""
    def serve(connection):
        with connection.makefile("rb") as file:
            for number, line in enumerate(file):
                connection.sendall(answer(number, line))
    return serve


def numbers(change):
    """A server that counts for each connection, and says change(count)."""
    def serve(connection):
        count = 0
        with connection.makefile("rb") as file:
            for line in file:
                if line == b"INCR\r\n":
                    count += 1
                    connection.sendall(change(count))
    return serve


def values(change):
    """A server of SET and GET, whose values are said as change(number of the reply, value)."""
    kept = {}
    replies = itertools.count()

    def serve(connection):
        with connection.makefile("rb") as file:
            for line in file:
                words = []
                for _ in range(int(line[1:])):
                    words.append(file.read(int(file.readline()[1:]) + 2)[:-2])
                if words[0] == b"SET":
                    kept[words[1]] = words[2]
                    connection.sendall(b"+OK\r\n")
                elif words[1] in kept:
                    value = change(next(replies), kept[words[1]])
                    connection.sendall(b"$%d\r\n%s\r\n" % (len(value), value))
                else:
                    connection.sendall(b"$-1\r\n")
    return serve


def feed(*numbers):
    return lambda connection: connection.sendall(b"".join(b"feed %d %c\n" % (n, 97 + n % 26) for n in numbers))


def once(number, good, bad):
    return bad if number == 20 else good


REMEMBERED = {}
FAULTS = {
    "a line of somebody else": ("line", lines(lambda n, line: once(n, line, b"77" + line))),
    "a line that is torn": ("line", lines(lambda n, line: once(n, line, line[:-3] + b"\n"))),
    "a line that comes twice": ("line", lines(lambda n, line: once(n, line, line + line))),
    "a line that is left out": ("line", lines(lambda n, line: once(n, line, b""))),
    "an error that was not tolerated": ("line", lines(lambda n, line: once(n, line, LOST))),
    "a count that is repeated": ("redis-incr", numbers(lambda n: b":%d\r\n" % once(n, n, n - 1))),
    "a count that is left out": ("redis-incr", numbers(lambda n: b":%d\r\n" % once(n, n, n + 1))),
    "an error in place of a count": ("redis-incr", numbers(lambda n: once(n, b":%d\r\n" % n, LOST))),
    "a value of another client": ("redis-own", values(
        lambda n, value: once(n, value, value.replace(b"client ", b"client 1")))),
    "an old value": ("redis-own", values(lambda n, value: REMEMBERED.setdefault(value.split(b"number")[0], value))),
    "a value that is torn": ("redis-own", values(lambda n, value: once(n, value, value + b"x"))),
    "a gap in a feed": ("feed", feed(1, 2, 4)),
    "a message twice": ("feed", feed(1, 2, 2)),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_it_notices(upstream, ask, kind):
    REMEMBERED.clear()
    mode, serve = FAULTS[kind]
    load = ask().start(upstream(serve).port, mode, clients=3, depth=2, ops=3000, patience=2, mix="set,get")
    assert wait_exit(load.process) == 1, kind
    assert re.search(r"^ask: client \d+, operation \d+: ", load.complaints(), re.MULTILINE)


@pytest.mark.parametrize("mode, serve", [
    ("line", lines(lambda n, line: once(n, line, LOST))),
    ("redis-incr", numbers(lambda n: once(n, b":%d\r\n" % n, LOST))),
    ("redis-own", values(lambda n, value: value))], ids=["line", "redis-incr", "redis-own"])
def test_it_tolerates_what_it_is_told_to(upstream, ask, mode, serve):
    load = ask().start(upstream(serve).port, mode, clients=3, depth=2, ops=3000, mix="set,get", error=asking.LOST)
    result = load.result()
    assert result["right"] + result["errors"] == 3000
    assert result["errors"] == (0 if mode == "redis-own" else 3)
