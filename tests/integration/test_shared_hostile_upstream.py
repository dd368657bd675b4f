"""Upstreams that say nonsense, too little or too late: the connection is lost, and the next one serves.  Those that
say too much are in test_shared_long_replies.py, too."""
import socket
import struct
import threading

import pytest

import asking
import holdfast
from asking import LOST, command
from hostile import LIMIT, SMALL

REPLY = b"$5\r\nright\r\n"
QUESTION = command("GET", "key")


def take_question(connection):
    """No byte more than one QUESTION."""
    data = b""
    while len(data) < len(QUESTION):
        part = connection.recv(len(QUESTION) - len(data))
        if not part:
            raise ConnectionError
        data += part
    assert data == QUESTION, data


def whole_request(connection):
    """A question, and another one is in flight behind it."""
    take_question(connection)
    both.wait(holdfast.BOUND)


def wait_end(connection):
    """Until the other side has closed."""
    try:
        while connection.recv(65536):
            pass
    except OSError:
        pass


def good(connection):
    while True:
        take_question(connection)
        connection.sendall(REPLY)


def says(data):
    """Answers the first request with this, and waits for the end of the connection."""
    def serve(connection):
        whole_request(connection)
        try:
            connection.sendall(data)
        except OSError:
            return
        wait_end(connection)
    return serve


def says_and_closes(data):
    def serve(connection):
        whole_request(connection)
        connection.sendall(data)
    return serve


def says_and_resets(connection):
    whole_request(connection)
    connection.sendall(b"$5\r\nri")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half_closes(connection):
    whole_request(connection)
    connection.shutdown(socket.SHUT_WR)
    wait_end(connection)


def closes_at_once(connection):
    whole_request(connection)


def never_reads(connection):
    ended.wait(holdfast.BOUND)


both = threading.Event()
ended = threading.Event()

# The first connection does this, with two requests in flight; all others are good.
NONSENSE = {
    "no reply begins like this": says(b"hello\r\n"),
    "binary junk": says(bytes(range(256)) * 10),
    "a string that ends early": says(b"$5\r\nrig\r\nht"),
    "a number that is none": says(b":12x\r\n"),
    "a length that is no number": says(b"$abc\r\n"),
    "a negative length": says(b"$-2\r\n"),
    "a negative count": says(b"*-7\r\n"),
    "a length beyond 64 bits": says(b"$99999999999999999999999\r\n"),
    "a string that is longer than it says": says(b"$5\r\nright!\r\n"),
    "a mere line feed": says(b"+OK\n"),
    "HTTP": says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
}
ENDS = {
    "closes without an answer": closes_at_once,
    "closes in the midst of a reply": says_and_closes(b"$5\r\nri"),
    "closes in the midst of a length": says_and_closes(b"$5"),
    "closes in the midst of an array": says_and_closes(b"*2\r\n$5\r\nright\r\n"),
    "resets in the midst of a reply": says_and_resets,
    "half-closes": half_closes,
}
# These need reply_timeout.
LATE = {
    "never answers": wait_end,
    "stalls in the midst of a reply": says(b"$5\r\nri"),
    "announces a string without end": says(b"$999999999999\r\n"),
    "announces an array without end": says(b"*999999999\r\n"),
    "never reads": never_reads,
}


def first_then(serve):
    """Gives what the first connection does to serve, and the others to good()."""
    count = iter(range(1 << 30))

    def chosen(connection):
        (serve if next(count) == 0 else good)(connection)
    return chosen


def begin(daemon, upstream, serve, more):
    server = upstream(first_then(serve))
    one = daemon(asking.shared("s", server.address, SMALL + more))
    one.wait_connected("s")
    return one


def check(daemon, upstream, kind, more):
    """Gives what the two clients were answered whose requests were in flight; further ones are answered right."""
    one = begin(daemon, upstream, KINDS[kind], more + ("reply_timeout = 0.5; " if kind in LATE else ""))
    with asking.Resp(one.socket("s")) as asks, asking.Resp(one.socket("s")) as bystander:
        asks.send(QUESTION)
        one.wait_status("s", in_flight=1)
        bystander.send(QUESTION)
        one.wait_status("s", in_flight=2)
        both.set()
        answers = asks.reply(), bystander.reply()
        for client in (bystander, asks):
            client.send(QUESTION)
            assert client.reply() == b"right"
    ended.set()
    status = one.status("s")
    assert (status["connects"], status["disconnects"]) == (2, 1)
    assert status["losses"] == answers.count(LOST[1:])
    return answers


KINDS = {**NONSENSE, **ENDS, **LATE}


@pytest.fixture(autouse=True)
def events():
    both.clear()
    ended.clear()
    yield
    both.set()
    ended.set()


@pytest.mark.parametrize("kind", KINDS)
def test_retry_asks_the_next_connection(daemon, upstream, kind):
    """But for a request whose own answer was nonsense or late, and which may be the cause."""
    first, second = check(daemon, upstream, kind, 'on_loss = "retry"; ')
    assert first == b"right" or (first == LOST[1:] and kind not in ENDS)
    assert second == b"right"


@pytest.mark.parametrize("kind", KINDS)
def test_fail_says_so(daemon, upstream, kind):
    assert check(daemon, upstream, kind, "") == (LOST[1:], LOST[1:])


def test_an_upstream_that_speaks_first(daemon, upstream):
    """Nobody has asked."""
    def serve(connection):
        connection.sendall(b"+OK\r\n")
        wait_end(connection)
    one = begin(daemon, upstream, serve, "")
    one.wait_status("s", disconnects=1, up=True)
    with asking.Resp(one.socket("s")) as client:
        client.send(QUESTION)
        assert client.reply() == b"right"
    assert one.status("s")["losses"] == 0


def test_a_second_answer_to_one_question(daemon, upstream):
    """The first one is right; the second one was not asked for, and goes to nobody."""
    both.set()
    one = begin(daemon, upstream, says(REPLY + b"$5\r\nwrong\r\n"), "")
    with one.client("s") as client:
        client.send(QUESTION)
        assert client.file.read(len(REPLY)) == REPLY
        holdfast.until(lambda: one.status("s")["disconnects"] == 1, "the connection counts as lost")
        client.send(QUESTION)
        assert client.file.read(len(REPLY)) == REPLY


def test_an_answer_byte_by_byte(daemon, upstream):
    def serve(connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            take_question(connection)
            for at in range(len(REPLY)):
                connection.sendall(REPLY[at:at + 1])
    one = daemon(asking.shared("s", upstream(serve).address, SMALL))
    with one.client("s") as client:
        client.send(QUESTION * 50)
        assert client.file.read(50 * len(REPLY)) == 50 * REPLY
    assert one.status("s")["disconnects"] == 0


def test_every_connection_is_closed_at_once(daemon, upstream):
    """A request waits for one that serves, for it was never in flight."""
    count = iter(range(1 << 30))
    server = upstream(lambda connection: good(connection) if next(count) >= 5 else None)
    one = daemon(asking.shared("s", server.address, SMALL + 'on_loss = "retry"; '))
    with one.client("s") as client:
        client.send(QUESTION)
        assert client.file.read(len(REPLY)) == REPLY


@pytest.mark.parametrize("answer", [b"", b"-ERR busy\r\n", b"nonsense\r\n"], ids=["none", "another", "nonsense"])
def test_a_heartbeat_without_its_answer_means_dead(daemon, upstream, answer):
    """Nobody asks anything; the connection is dropped, and the next one stays."""
    beats = iter(range(1 << 30))

    def serve(connection):
        with connection.makefile("rb") as lines:
            for line in lines:
                assert line == b"PING\r\n"
                connection.sendall(answer if next(beats) == 0 else b"+PONG\r\n")
    server = upstream(serve)
    heartbeat = r'heartbeat: { send = "PING\r\n"; expect = "+PONG"; interval = 0.2; timeout = 0.3; }; '
    one = daemon(asking.shared("s", server.address, SMALL + heartbeat))
    server.wait_accepted(2)
    holdfast.until(lambda: next(beats) > 5, "further heartbeats")
    assert server.accepted == 2 and one.status("s")["disconnects"] == 1


def test_hello_is_not_answered(daemon, upstream):
    """Such a connection never counts as connected."""
    count = iter(range(1 << 30))

    def serve(connection):
        if next(count) < 2:
            return wait_end(connection)
        assert connection.recv(6) == b"PING\r\n"
        connection.sendall(b"+PONG\r\n")
        return good(connection)
    hello = r'hello = ( { send = "PING\r\n"; expect = "+PONG"; timeout = 0.2; } ); '
    one = daemon(asking.shared("s", upstream(serve).address, SMALL + hello))
    with one.client("s") as client:
        client.send(QUESTION)
        assert client.file.read(len(REPLY)) == REPLY
    assert one.status("s")["connects"] == 1


@pytest.mark.parametrize("framing, message, nonsense", [
    ("line", b"good\n", b"x" * (4 * LIMIT)), ("netstring", b"4:good,", b"5:hello!"),
    ("netstring", b"4:good,", b"99999999999:"), ("length32be", b"\0\0\0\4good", b"\xff\xff\xff\xff"),
    ("length16le", b"\4\0good", b"\4\0goo")], ids=["line", "netstring", "long netstring", "length32be", "length16le"])
def test_nonsense_in_other_framings(daemon, upstream, framing, message, nonsense):
    """Whose answer it was is closed, for these framings have no error reply; the next connection serves."""
    count = iter(range(1 << 30))

    def serve(connection):
        bad = next(count) == 0
        while data := connection.recv(65536):
            connection.sendall(nonsense if bad else data)
            if bad:
                connection.shutdown(socket.SHUT_WR)
    one = daemon(asking.shared("s", upstream(serve).address, SMALL, framing))
    with one.client("s") as client:
        client.send(message)
        assert client.at_end()
    with one.client("s") as client:
        client.send(message)
        assert client.file.read(len(message)) == message
    status = one.status("s")
    assert (status["disconnects"], status["losses"]) == (1, 1)
