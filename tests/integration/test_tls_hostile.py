"""A TLS server that keeps holdfast-tls busy without a byte of data: bounded, told, and others do not notice."""
import contextlib
import os
import signal
import ssl
import threading

import pytest

import holdfast
import tls_hostile
import tls_program
import upstream as upstream_module

pytestmark = [pytest.mark.plain, tls_program.MARK]
FLOODS = {
    "key updates": [("SSL_key_update", 0), ("SSL_do_handshake",)],
    "key updates that ask for ours": [("SSL_key_update", 1), ("SSL_do_handshake",)],
    "tickets": [("SSL_new_session_ticket",), ("SSL_do_handshake",)],
    "requests to renegotiate": [("SSL_renegotiate",), ("SSL_do_handshake",)],  # of TLS 1.2
}


@pytest.fixture(scope="module")
def good(authority):
    return authority.issue("good")


@pytest.fixture
def flood(good):
    yield from holdfast.each_ends(lambda old: tls_hostile.Flood(*good, old))


@pytest.fixture
def other(program, authority, good):
    """A session with an echo."""
    one = program()
    server = tls_program.server(tls_program.context(*good))
    session = one.open(address=server.address, ca=authority.ca)
    session.ask(b"first\n")
    session.program = one
    yield session
    session.close()
    server.stop()


class Late:
    """A TLS server that shakes hands with nobody before it has heard all; then the first answer of each is out."""

    def __init__(self, made):
        self.made, self.heard, self.answered, self.changed = made, 0, 0, threading.Condition()
        self.begin = threading.Event()
        self.upstream = upstream_module.Upstream(self.talk).start()
        self.address = self.upstream.address

    def talk(self, connection):
        hello = connection.recv(65536)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.made.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(hello)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        with self.changed:
            self.heard += 1
            self.changed.notify_all()
        self.begin.wait(holdfast.BOUND)
        connection.sendall(outgoing.read())
        with self.changed:
            self.answered += 1
            self.changed.notify_all()
        while data := connection.recv(65536):
            incoming.write(data)
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                connection.sendall(outgoing.read())

    def wait_heard(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: self.heard == count, holdfast.BOUND)

    def answer(self):
        self.begin.set()
        with self.changed:
            assert self.changed.wait_for(lambda: self.answered == self.heard, holdfast.BOUND)

    def end(self):
        self.begin.set()
        self.upstream.stop()


@pytest.fixture
def late(good):
    one = Late(tls_program.context(*good))
    yield one
    one.end()


def cpu(pid):
    """Seconds; other than a clock, it does not count what other processes do."""
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1e9


@pytest.mark.parametrize("kind", FLOODS)
def test_flood_without_data(other, flood, authority, kind):
    one, hostile = other.program, flood(kind == "requests to renegotiate")
    accepting = threading.Thread(target=hostile.accept)
    accepting.start()
    session = one.open(address=hostile.address, ca=authority.ca)
    accepting.join()
    os.kill(one.process.pid, signal.SIGSTOP)  # all of it is there at once
    count = hostile.send(30000, *FLOODS[kind])
    other.socket.sendall(b"hello\n")
    before = cpu(one.process.pid)
    os.kill(one.process.pid, signal.SIGCONT)
    assert other.file.readline() == b"hello\n"
    took = cpu(one.process.pid) - before
    assert took < 0.15, f"{took} s of CPU for the other session's line, with {count} {kind} there"
    with pytest.raises(ConnectionError):
        assert session.file.read() == b""
        session.socket.sendall(b"nobody is there")
    one.wait_log("without end, and no data")


def test_endless_handshake(other, upstream, authority):
    ended = threading.Event()

    def drip(connection):
        connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")  # a ServerHello of 16 KiB
        while not ended.wait(0.01):
            connection.sendall(b"\0")

    try:
        kind, text = other.program.refused(address=upstream(drip).address, ca=authority.ca, timeout="0.3")
    finally:
        ended.set()
    assert kind == "timeout", text
    assert other.ask(b"still here\n") == b"still here\n"


def test_early_close_and_garbage(other, upstream, authority):
    def garbage(connection):
        connection.recv(65536)
        connection.sendall(os.urandom(4096))

    for talk in (lambda connection: None, upstream_module.reset, garbage):
        kind, text = other.program.refused(address=upstream(talk).address, ca=authority.ca)
        assert kind in ("handshake", "connect"), text
    assert other.ask(b"still here\n") == b"still here\n"


def test_many_handshakes_at_once(other, late, authority):
    """As those of all clients of a server that has come back: a session that is up does not wait for them."""
    one, count = other.program, 200
    lines = {"service": "late", "address": late.address, "ca": authority.ca}
    clients = [tls_program.connect(one.path, lines) for _ in range(count)]
    late.wait_heard(count)
    os.kill(one.process.pid, signal.SIGSTOP)
    late.answer()
    other.socket.sendall(b"hello\n")
    before = cpu(one.process.pid)
    os.kill(one.process.pid, signal.SIGCONT)
    assert other.file.readline() == b"hello\n"
    took = cpu(one.process.pid) - before
    for client in clients:
        with client, client.makefile() as file:
            assert file.readline().startswith("ok ")
    assert took < 0.08, f"{took} s of CPU for the other session's line, with {count} handshakes to do"
