"""A gibibyte each way arrives whole: SHA-256 of both ends."""
import hashlib
import os

import holdfast
import upstream as servers

BLOCK = 1 << 20
BLOCKS = 64 if holdfast.SANITIZED else 1024


def blocks():
    """Blocks that differ: a random one with the number in front."""
    body = os.urandom(BLOCK - 8)
    for number in range(BLOCKS):
        yield number.to_bytes(8, "big") + body


def digest_of(connection):
    digest = hashlib.sha256()
    buffer = bytearray(BLOCK)
    while got := connection.recv_into(buffer):
        digest.update(memoryview(buffer)[:got])
    return digest.hexdigest()


def send(connection, digests):
    digest = hashlib.sha256()
    for block in blocks():
        digest.update(block)
        connection.sendall(block)
    digests.append(digest.hexdigest())


def test_upload(daemon, upstream):
    server = upstream(lambda connection: connection.sendall(digest_of(connection).encode()))
    one = daemon(holdfast.fixed("s", server.address))
    sent = []
    with one.client("s") as client:
        send(client.socket, sent)
        client.shutdown()
        assert client.read_all().decode() == sent[0]


def test_download(daemon, upstream):
    sent = []
    server = upstream(lambda connection: connection.recv(1) and send(connection, sent))
    one = daemon(holdfast.fixed("s", server.address))
    with one.client("s") as client:
        client.send(b"?")
        assert digest_of(client.socket) == sent[0]
