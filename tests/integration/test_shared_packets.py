"""Listeners whose packets are messages: framing is put on towards the upstream and taken off towards the client."""
import os
import socket
import struct

import pytest

import asking
import holdfast
from upstream import answering, collecting


def connect(one, service, kind):
    client = socket.socket(socket.AF_UNIX, kind)
    client.settimeout(holdfast.BOUND)
    client.connect(one.socket(service))
    return client


def whole(file, count):
    data = file.read(count)
    if len(data) < count:
        raise ConnectionError
    return data


def echo_framed(prefix):
    """Each message comes back, with its length's bytes."""
    size = struct.calcsize(prefix)

    def serve(connection):
        with connection.makefile("rb") as file:
            while True:
                head = whole(file, size)
                connection.sendall(head + whole(file, struct.unpack(prefix, head)[0]))
    return serve


@pytest.mark.parametrize("framing, prefix, most", [("length8", ">B", 255), ("length16be", ">H", 65535),
                                                   ("length16le", "<H", 65535), ("length32be", ">I", 100000),
                                                   ("length32le", "<I", 100000)])
def test_a_packet_is_a_message(daemon, upstream, framing, prefix, most):
    server = upstream(echo_framed(prefix))
    one = daemon(asking.shared("s", server.address, 'listen: { type = "seqpacket"; }; ', framing))
    with connect(one, "s", socket.SOCK_SEQPACKET) as first, connect(one, "s", socket.SOCK_SEQPACKET) as second:
        for size in (1, 2, 100, most):
            data = os.urandom(size)
            first.send(data)
            second.send(data[::-1])
            assert first.recv(1 << 20) == data
            assert second.recv(1 << 20) == data[::-1]
        first.send(b"one")  # several at once stay several
        first.send(b"two")
        assert [first.recv(100), first.recv(100)] == [b"one", b"two"]
    one.wait_status("s", clients=0)


def test_lines_and_netstrings(daemon, upstream):
    def echo_netstrings(connection):
        with connection.makefile("rb") as file:
            while True:
                digits = b""
                while not digits.endswith(b":"):
                    digits += whole(file, 1)
                connection.sendall(digits + whole(file, int(digits[:-1]) + 1))
    packets = 'listen: { type = "seqpacket"; }; '
    one = daemon(asking.shared("lines", upstream().address, packets, "line") +
                 asking.shared("strings", upstream(echo_netstrings).address, packets, "netstring"))
    with connect(one, "lines", socket.SOCK_SEQPACKET) as client:
        client.send(b"a line without its end")
        assert client.recv(100) == b"a line without its end"
    with connect(one, "strings", socket.SOCK_SEQPACKET) as client:
        client.send(b"any \n bytes")
        assert client.recv(100) == b"any \n bytes"


def test_a_packet_that_cannot_be_one_message_closes_its_client_alone(daemon, upstream):
    one = daemon(asking.shared("s", upstream().address, 'listen: { type = "seqpacket"; }; max_message = "1KiB"; ',
                               "line"))
    with connect(one, "s", socket.SOCK_SEQPACKET) as stays:
        for bad in (b"two\nlines", b"x" * 5000):
            with connect(one, "s", socket.SOCK_SEQPACKET) as client:
                client.send(bad)
                assert client.recv(100) == b""
        stays.send(b"good")
        assert stays.recv(100) == b"good"


def test_datagrams_go_one_way(daemon, upstream):
    heard = []
    server = upstream(collecting(heard), start=False)
    one = daemon(asking.shared("log", server.address, 'replies = "none"; listen: { type = "dgram"; }; ', "line"))
    with connect(one, "log", socket.SOCK_DGRAM) as first, connect(one, "log", socket.SOCK_DGRAM) as second:
        for number in range(50):
            first.send(b"first %d" % number)
            second.send(b"second %d" % number)
        server.start()
        holdfast.until(lambda: len(heard) == 100, "all have arrived")
        for name in (b"first", b"second"):
            assert [line for line in heard if line.startswith(name)] == [name + b" %d\n" % n for n in range(50)]


def test_a_datagram_that_cannot_be_one_message_is_passed_over(daemon, upstream):
    heard = []
    server = upstream(collecting(heard))
    one = daemon(asking.shared("log", server.address, 'replies = "none"; listen: { type = "dgram"; }; ', "line"))
    with connect(one, "log", socket.SOCK_DGRAM) as client:
        for text in (b"good", b"two\nlines", b"better"):
            client.send(text)
    holdfast.until(lambda: heard == [b"good\n", b"better\n"], "the good ones have arrived")


def test_packets_and_the_workers_death(daemon, upstream):
    server = upstream(echo_framed(">H"))
    one = daemon(asking.shared("s", server.address, 'listen: { type = "seqpacket"; }; ', "length16be"))
    with connect(one, "s", socket.SOCK_SEQPACKET) as client:
        for number in range(10):
            data = os.urandom(1000 + number)
            client.send(data)
            one.kill_worker()
            assert client.recv(1 << 16) == data
    assert server.accepted == 1


@pytest.mark.parametrize("name, kind, more", [("seqpacket", socket.SOCK_SEQPACKET, ""),
                                              ("dgram", socket.SOCK_DGRAM, 'replies = "none"; ')])
def test_sockets_that_systemd_hands_over(folder, daemon, upstream, name, kind, more):
    heard = []
    server = upstream(answering(lambda line: line, heard))
    with socket.socket(socket.AF_UNIX, kind) as listener:
        listener.bind(f"{folder}/given")
        if kind == socket.SOCK_SEQPACKET:
            listener.listen()
        one = daemon(asking.shared("s", server.address, f'{more}listen: {{ type = "{name}"; }}; ', "line"),
                     **holdfast.given("s", listener))
    with socket.socket(socket.AF_UNIX, kind) as client:
        client.settimeout(holdfast.BOUND)
        client.connect(f"{folder}/given")
        for number in range(3):
            client.send(b"word %d" % number)
            if kind == socket.SOCK_SEQPACKET:
                assert client.recv(100) == b"word %d" % number
            one.kill_worker()
        holdfast.until(lambda: heard == [b"word %d\n" % number for number in range(3)], "all have arrived")


def test_a_service_that_is_given_a_socket_of_another_type_is_down_and_says_why(folder, daemon, upstream):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/given")
        listener.listen()
        one = daemon(asking.shared("s", upstream().address, 'listen: { type = "seqpacket"; }; ', "line"),
                     **holdfast.given("s", listener))
        assert "ListenSequentialPacket=" in one.status("s")["socket_error"]
    assert "ListenSequentialPacket=" in one.log()


def test_a_datagram_of_several_lines_is_several_messages_where_it_is_split(daemon, upstream):
    lines = []
    one = daemon(asking.shared("s", upstream(collecting(lines)).address, 'listen: { type = "dgram"; }; '
                               'replies = "none"; split_datagrams = true; ', "line"))
    one.wait_connected("s")
    with connect(one, "s", socket.SOCK_DGRAM) as client:
        for number in range(300):
            client.send(b"first %d\nsecond\n\nlast" % number + b"\n" * (number % 2))
    one.wait_status("s", messages_from_clients=1200, losses=0)
    holdfast.until(lambda: len(lines) == 1200, "all arrive")
    assert lines == [line for number in range(300)
                     for line in (b"first %d\n" % number, b"second\n", b"\n", b"last\n")]
