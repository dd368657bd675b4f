"""Clients of lines, netstrings and lengths, malformed or hostile: each is closed, and nobody else notices."""
import pytest

import asking
from hostile import LIMIT, SMALL, Answered, Closed, HalfCloses, Vanishes, assert_unharmed, play

LINES = {
    "a line without end": Closed(b"x" * (4 * LIMIT)),
    "a line that is too long": Closed(b"x" * (LIMIT + 1) + b"\n"),
    "half a line, then the end": Vanishes(b"half"),
    "half a line, then half-close": HalfCloses(b"half"),
    "empty lines": Answered(b"\n" * 100, b"\n" * 100),
    "NULs": Answered(b"\0\0\n\0\n", b"\0\0\n\0\n"),
    "byte by byte": Answered(b"abc\nd\n", b"abc\nd\n", byte_by_byte=True),
}
NETSTRINGS = {
    "no number": Closed(b"abc:"),
    "a negative length": Closed(b"-1:,"),
    "a huge length": Closed(b"99999999999999999999:"),
    "a length that is too long": Closed(b"%d:" % (LIMIT + 1)),
    "a length without end": Closed(b"1" * 1000),
    "a zero before the length": Closed(b"05:hello,"),
    "no comma": Closed(b"5:hello!"),
    "no length": Closed(b":,"),
    "half a length, then the end": Vanishes(b"5"),
    "half a string, then half-close": HalfCloses(b"50:half"),
    "an empty one": Answered(b"0:,", b"0:,"),
    "byte by byte": Answered(b"5:he,lo,0:,", b"5:he,lo,0:,", byte_by_byte=True),
}
OCTETS = {
    "no number": Closed(b"<34>1 - "),
    "an empty one": Closed(b"0 "),
    "a huge length": Closed(b"99999999999999999999 "),
    "a length that is too long": Closed(b"%d " % (LIMIT + 1)),
    "a zero before the length": Closed(b"05 hello"),
    "no space": Closed(b"5:hello"),
    "half a string, then half-close": HalfCloses(b"50 half"),
    "byte by byte": Answered(b"5 he lo1 \n", b"5 he lo1 \n", byte_by_byte=True),
}
LENGTHS = {
    "a huge length": Closed(b"\xff\xff\xff\xff"),
    "a length that is too long": Closed((LIMIT + 1).to_bytes(4, "big")),
    "half a length, then the end": Vanishes(b"\0\0"),
    "half a length, then half-close": HalfCloses(b"\0\0"),
    "half a message, then half-close": HalfCloses(b"\0\0\0\5he"),
    "an empty one": Answered(b"\0\0\0\0\0\0\0\1x", b"\0\0\0\0\0\0\0\1x"),
    "byte by byte": Answered(b"\0\0\0\3abc", b"\0\0\0\3abc", byte_by_byte=True),
}


def echo_bytes(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


@pytest.mark.parametrize("kind", LINES)
def test_lines(daemon, upstream, ask, kind):
    one = daemon(asking.shared("s", upstream().address, SMALL, "line"))
    bystander = ask().start(one.socket("s"), "line", clients=2, depth=2, rate=5000)
    play(one, LINES[kind], bystander)


def beside_a_bystander(one, kind, message):
    with one.client("s") as bystander:
        for act in (None, kind):
            if act:
                act(one, "s")
            bystander.send(message)
            assert bystander.file.read(len(message)) == message
    assert_unharmed(one)


@pytest.mark.parametrize("kind", NETSTRINGS)
def test_netstrings(daemon, upstream, kind):
    one = daemon(asking.shared("s", upstream(echo_bytes).address, SMALL, "netstring"))
    beside_a_bystander(one, NETSTRINGS[kind], b"4:good,")


@pytest.mark.parametrize("kind", OCTETS)
def test_octet_counted(daemon, upstream, kind):
    one = daemon(asking.shared("s", upstream(echo_bytes).address, SMALL, "octet-counted"))
    beside_a_bystander(one, OCTETS[kind], b"4 good")


@pytest.mark.parametrize("kind", LENGTHS)
def test_lengths(daemon, upstream, kind):
    one = daemon(asking.shared("s", upstream(echo_bytes).address, SMALL, "length32be"))
    beside_a_bystander(one, LENGTHS[kind], b"\0\0\0\4good")
