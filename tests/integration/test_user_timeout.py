"""A server that does not read lives as long as it answers TCP's questions; one that is gone is found."""
import ctypes
import os
import socket
import subprocess
import threading
import time

import pytest

import holdfast

CLONE_NEWNET = 0x40000000
USER_TIMEOUT = 6  # seconds; the least for which a closed window is looked at in time


class Network:
    """A network of its own."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"up\n"
        self.wrapper = ["nsenter", "--target", str(self.holder.pid), "--net"]

    def run(self, *command):
        assert holdfast.run(*self.wrapper, *command).returncode == 0

    def listen(self, port):
        """A listening socket in there; a thread enters, so that the test stays outside."""
        made = []

        def enter():
            with open(f"/proc/{self.holder.pid}/ns/net") as place:
                assert ctypes.CDLL(None, use_errno=True).setns(place.fileno(), CLONE_NEWNET) == 0
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            listener.bind(("127.0.0.1", port))
            listener.listen()
            listener.settimeout(holdfast.BOUND)
            made.append(listener)

        work = threading.Thread(target=enter)
        work.start()
        work.join()
        return made[0]

    def end(self):
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.wait(holdfast.BOUND)


@pytest.fixture
def network():
    one = Network()
    yield one
    one.end()


def has_passed(seconds):
    begun = time.monotonic()
    holdfast.until(lambda: time.monotonic() - begun > seconds, "time", seconds + 5)


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a network of its own")
def test_a_server_that_does_not_read_lives_and_one_that_is_gone_is_found(daemon, network, figure):
    port = holdfast.free_port()
    sent = os.urandom(1 << 20)
    with network.listen(port) as listener:
        one = daemon(holdfast.fixed("s", f"127.0.0.1:{port}", f"keepalive: {{ user_timeout = {USER_TIMEOUT}; }}; "
                                    "warm = 0;"), wrapper=network.wrapper)
        with one.client("s", 60) as client:
            work = threading.Thread(target=client.send, args=(sent,))
            work.start()
            server = listener.accept()[0]
            server.settimeout(holdfast.BOUND)
            has_passed(3 * USER_TIMEOUT)
            received = b""
            while len(received) < len(sent):
                more = server.recv(65536)
                assert more, f"ended after {len(received)} bytes"
                received += more
            work.join()
            assert received == sent
            client.send(b"still there?")
            assert server.recv(100) == b"still there?"
            has_passed(6)  # that it reads again is noticed
            network.run("ip", "link", "set", "lo", "down")
            client.send(b"and now?")
            begun = time.monotonic()
            assert client.at_end()
            took = time.monotonic() - begun
            figure(f"found after {took:.1f} s, user_timeout = {USER_TIMEOUT}")
            assert took > USER_TIMEOUT / 2
        server.close()
