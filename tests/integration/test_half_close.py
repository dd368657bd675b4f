"""Send, shutdown, then read the whole answer: a hundred times and more, up to 4 MiB each."""
import socket

import holdfast


def test_half_close_exchanges(daemon, load):
    generator = load()
    one = daemon(holdfast.behind(generator))
    generator.start(one.socket("s"), 2, half=4)
    assert generator.result()["half"] >= 100


def test_half_close_by_the_server(daemon, upstream):
    def serve(connection):
        connection.sendall(b"all I have\n")
        connection.shutdown(socket.SHUT_WR)
        received.append(connection.makefile("rb").read())
    received = []
    server = upstream(serve)
    one = daemon(holdfast.fixed("s", server.address))
    with one.client("s") as client:
        assert client.read_all() == b"all I have\n"
        client.send(b"x" * 100000)
        client.shutdown()
        server.wait(lambda server: received, "the client's part")
    assert received == [b"x" * 100000]
