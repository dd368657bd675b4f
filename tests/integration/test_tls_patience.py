"""A TLS server that does not read for long, but answers TCP's questions, keeps its session."""
import contextlib
import socket
import threading
import time

import pytest

import holdfast
import tls_program

pytestmark = [pytest.mark.long, pytest.mark.plain, tls_program.MARK]
USER_TIMEOUT = 30  # seconds; holdfast-tls's own
PIECE = b"x" * 65536


def accept(listener, context, sides):
    connection = listener.accept()[0]
    connection.settimeout(2 * USER_TIMEOUT)
    sides.append(context.wrap_socket(connection, server_side=True))


def test_a_server_that_does_not_read_lives(folder, program):
    authority, sides = tls_program.Authority(folder), []
    context = tls_program.context(*authority.issue("good"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        shaking = threading.Thread(target=accept, args=(listener, context, sides))
        shaking.start()
        session = program().open(address=f"127.0.0.1:{listener.getsockname()[1]}", ca=authority.ca)
        shaking.join(holdfast.BOUND)
    session.socket.settimeout(1)
    sent = received = 0
    with contextlib.suppress(TimeoutError):
        while True:
            sent += session.socket.send(PIECE)
    begun = time.monotonic()
    holdfast.until(lambda: time.monotonic() - begun > USER_TIMEOUT + 10, "time", USER_TIMEOUT + 20)
    with sides[0] as server:
        while received < sent:
            more = len(server.recv(65536))
            assert more > 0, f"ended after {received} bytes of {sent}"
            received += more
