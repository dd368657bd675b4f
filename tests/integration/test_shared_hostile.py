"""Clients of Redis, malformed or hostile: each is closed with an error reply, and nobody else notices."""
import socket

import pytest

import asking
from asking import command
from hostile import LIMIT, SMALL, Answered, Closed, HalfCloses, Stays, Vanishes, play, say


def closed(*data):
    return Closed(*data, answer=b"-ERR ")


def reads_later(one, service):
    """10,000 requests in one go; the answers are read when all has been sent."""
    with asking.Resp(one.client(service)) as client:
        client.send(b"".join(command("ECHO", number) for number in range(10000)))
        assert [client.reply() for _ in range(10000)] == [b"%d" % number for number in range(10000)]


def refused_by_the_hundred(one, service):
    for _ in range(200):
        with asking.Resp(one.client(service)) as client:
            client.send(b"PING\r\n" + b"MULTI\r\nSUBSCRIBE x\r\n" * 500)
            assert client.reply() == "PONG"
            assert isinstance(client.reply(), asking.ReplyError)
            assert client.at_end()


def shut_for_reading(one, service):
    """Its replies have nowhere to go."""
    with one.client(service) as client:
        client.socket.shutdown(socket.SHUT_RD)
        say(client, command("ECHO", "x" * 1000) * 500)


PART = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$40000\r\n" + b"x" * 30000  # a part of a good request

RESP = {
    "a count that is no number": closed(b"*abc\r\n"),
    "a huge count": closed(b"*9999999999\r\n"),
    "a count beyond 64 bits": closed(b"*99999999999999999999999\r\n"),
    "a count without end": closed(b"*" + b"1" * (LIMIT + 1000)),
    "more words than a message has bytes": closed(b"*60000\r\n$1\r\na\r\n"),
    "a count that ends in a mere line feed": closed(b"*1\n$4\r\nPING\r\n"),
    "a word that is no string": closed(b"*1\r\n+PING\r\n"),
    "a word within a word": closed(b"*1\r\n*1\r\n$4\r\nPING\r\n"),
    "a negative length": closed(b"*1\r\n$-1\r\n"),
    "a very negative length": closed(b"*2\r\n$3\r\nGET\r\n$-9999999999\r\n"),
    "a length that is no number": closed(b"*1\r\n$four\r\nPING\r\n"),
    "a huge length": closed(b"*1\r\n$4294967296\r\n"),
    "a length beyond 64 bits": closed(b"*1\r\n$18446744073709551617\r\nx\r\n"),
    "a message that is too long": closed(b"*2\r\n$4\r\nECHO\r\n$%d\r\n" % LIMIT),
    "a word that is longer than it says": closed(b"*1\r\n$4\r\nPINGING\r\n"),
    "a word that is shorter than it says": closed(b"*1\r\n$6\r\nPING\r\n*1\r\n$4\r\nPING\r\n"),
    "a line without end": closed(b"x" * (4 * LIMIT)),
    "unbalanced quotes": closed(b'SET key "abc\r\n'),
    "unbalanced single quotes": closed(b"SET key 'abc\r\n"),
    "text behind quotes": closed(b'SET key "abc"def\r\n'),
    "a NUL in a line": closed(b"PING\0\r\n"),
    "a TLS greeting": closed(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n"),
    "binary junk": closed(bytes(range(255, -1, -1)) * 4 + b"\n"),
    "a request of HTTP": closed(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "good ones, then a bad one": Closed(command("PING"), command("ECHO", "x"), b"*x\r\n",
                                        answer=b"+PONG\r\n$1\r\nx\r\n-ERR "),
    "half a request, then the end": Vanishes(PART),
    "half a count, then the end": Vanishes(b"*1"),
    "half a request, then half-close": HalfCloses(PART),
    "requests, and gone": Vanishes(command("ECHO", "x") * 500, count=10),
    "requests and half of one, and gone": Vanishes(command("ECHO", "x" * 100) * 200 + PART, count=10),
    "half a request, and stays": Stays(PART, count=10),
    "300 clients that say nothing": Stays(b"", count=300),
    "300 clients with half a count": Stays(b"*1", count=300),
    "reads nothing of 60 MB": Stays(command("GET", "big") * 1000),
    "10,000 requests before it reads": reads_later,
    "empty lines": Answered(b"\r\n" * 1000 + b"PING\r\n\r\n", b"+PONG\r\n"),
    "an empty array": Answered(b"*0\r\nPING\r\n", b"+PONG\r\n"),
    "a negative array": Answered(b"*-1\r\nPING\r\n", b"+PONG\r\n"),
    "byte by byte": Answered(command("ECHO", "a\r\nb") + b"ECHO 'c d'\r\n", b"$4\r\na\r\nb\r\n$3\r\nc d\r\n", True),
    "replies instead of requests": Answered(
        b"+OK\r\n:1\r\n", b"-ERR unknown command '+OK', with args beginning with: \r\n"
        b"-ERR unknown command ':1', with args beginning with: \r\n"),
    "refused commands by the hundred": refused_by_the_hundred,
    "shut for reading": shut_for_reading,
}


@pytest.mark.parametrize("kind", RESP)
def test_nobody_else_notices(daemon, redis, ask, kind):
    one = daemon(asking.shared("s", redis().address, SMALL + 'on_state = "refuse"; '))
    with asking.Resp(one.socket("s")) as client:
        assert client.ask("SET", "big", b"x" * 60000) == "OK"
    bystander = ask().start(one.socket("s"), "redis-own", clients=2, depth=2, rate=5000)
    play(one, RESP[kind], bystander)
