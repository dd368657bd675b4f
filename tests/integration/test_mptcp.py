"""With MPTCP a client outlives the loss of a path; where there is none TCP serves."""
import hashlib
import os
import socket
import threading

import pytest

import holdfast
import network as network_module

IPPROTO_MPTCP, SOL_MPTCP, MPTCP_INFO = 262, 284, 1
ENABLED = "/proc/sys/net/mptcp/enabled"
SIZE = 16 << 20

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="needs root: networks of its own"),
              pytest.mark.skipif(not os.path.exists(ENABLED), reason="this kernel has no MPTCP")]


@pytest.fixture
def networks():
    yield from holdfast.each_ends(network_module.Network)


def service(address):
    return f's: {{ address = "{address}"; mptcp = true; warm = 1; }};\n'


def two_paths(networks):
    """A network for the daemon and one for the server, with a link between them, and another that the server tells
    of."""
    near, far = networks(), networks()
    for number in (1, 2):
        near.run("ip", "link", "add", f"a{number}", "type", "veth", "peer", "name", f"b{number}", "netns",
                 str(far.holder.pid))
        for one, name, host in ((near, "a", 1), (far, "b", 2)):
            one.run("ip", "address", "add", f"10.8.{number}.{host}/24", "dev", f"{name}{number}")
            one.run("ip", "link", "set", f"{name}{number}", "up")
            one.run("ip", "mptcp", "limits", "set", "subflow", "2", "add_addr_accepted", "2")
    far.run("ip", "mptcp", "endpoint", "add", "10.8.2.2", "dev", "b2", "signal")
    return near, far


class Server:
    """One client's far end; it is spoken with by the test."""

    def __init__(self, network, host, protocol=IPPROTO_MPTCP):
        self.port = holdfast.free_port()
        self.address = f"{host}:{self.port}"
        self.listener = network.inside(lambda: self.listen(protocol))

    def listen(self, protocol):
        """At all addresses: a further path leads to one of the others."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
        listener.bind(("", self.port))
        listener.listen()
        listener.settimeout(holdfast.BOUND)
        return listener

    def accept(self):
        connection = self.listener.accept()[0]
        connection.settimeout(holdfast.BOUND)
        return connection


def paths(connection):
    """Besides the first."""
    return connection.getsockopt(SOL_MPTCP, MPTCP_INFO, 64)[0]


def ask(client, server, text):
    client.send(text)
    assert server.recv(100) == text
    server.sendall(text)
    assert client.socket.recv(100) == text


def shown(one):
    return one.command("clients s")["clients"][0]["mptcp"]


def test_a_client_outlives_the_loss_of_a_path(daemon, networks, figure):
    near, far = two_paths(networks)
    server = Server(far, "10.8.1.2")
    one = daemon(service(server.address), wrapper=near.wrapper)
    with one.client("s") as client:
        client.send(b"first")
        with server.accept() as connection, server.listener:
            assert connection.recv(100) == b"first"
            holdfast.until(lambda: paths(connection) == 1, "the second path")
            assert shown(one)
            assert "(MPTCP)" in one.ctl("clients").stdout
            sent, received = os.urandom(SIZE), hashlib.sha256()
            work = threading.Thread(target=connection.sendall, args=(sent,))
            work.start()
            for at in range(0, SIZE, 1 << 16):
                received.update(client.file.read(1 << 16))
                if at == SIZE // 4:
                    near.run("ip", "link", "set", "a1", "down")
                if at == SIZE // 2:
                    one.kill_worker()
            work.join()
            assert received.digest() == hashlib.sha256(sent).digest()
            ask(client, connection, b"still there?")
            figure(f"{SIZE >> 20} MiB, a path lost and a worker killed on the way")


def test_a_server_without_it_is_served_by_tcp(daemon, networks):
    near = networks()
    server = Server(near, "127.0.0.1", 0)
    one = daemon(service(server.address), wrapper=near.wrapper)
    with one.client("s") as client:
        client.send(b"first")
        with server.accept() as connection, server.listener:
            assert connection.recv(100) == b"first"
            ask(client, connection, b"again")
            assert not shown(one)
            assert "(MPTCP)" not in one.ctl("clients").stdout
            one.kill_worker()
            ask(client, connection, b"and again")


def test_a_kernel_without_it_dials_tcp_and_that_is_told_once(daemon, networks):
    near = networks()
    near.run("sh", "-c", f"echo 0 > {ENABLED}")
    server = Server(near, "127.0.0.1", 0)
    one = daemon(service(server.address), wrapper=near.wrapper)
    for _ in range(3):
        with one.client("s") as client:
            client.send(b"first")
            with server.accept() as connection:
                assert connection.recv(100) == b"first"
                ask(client, connection, b"again")
                assert not shown(one)
    server.listener.close()
    assert one.log().count("mptcp: this kernel has no MPTCP") == 1
