"""A name server that drops the questions for one kind of addresses does not keep the other from us."""
import os
import socket
import struct
import threading
import time

import pytest

import holdfast

A, AAAA = 1, 28


class NameServer:
    """Answers questions of these types, drops the others; on an address of this host that nobody else uses."""

    def __init__(self, answers):
        self.answers = answers
        self.address = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))
        self.work = threading.Thread(target=self.serve)
        self.work.start()

    def serve(self):
        while True:
            question, client = self.socket.recvfrom(512)
            if not question:
                return
            end = question.index(b"\0", 12) + 5
            kind, = struct.unpack("!H", question[end - 4:end - 2])
            self.asked.append(kind)
            if kind in self.answers:
                head = question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
                data = self.answers[kind]
                record = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
                self.socket.sendto(head + question[12:end] + record, client)

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (self.address, 53))
        self.work.join()
        self.socket.close()


@pytest.fixture
def name_server():
    made = []

    def start(answers):
        made.append(NameServer(answers))
        return made[-1]

    yield start
    for each in made:
        each.stop()


def asking(server, folder):
    """How a daemon is started whose /etc/resolv.conf names the server."""
    with open(f"{folder}/resolv.conf", "w") as file:
        file.write(f"nameserver {server.address}\n")
    mount = f'mount --bind {folder}/resolv.conf /etc/resolv.conf && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", mount, "sh"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a mount, and port 53")
@pytest.mark.parametrize("answers,found", [
    ({A: b"\x7f\0\0\1"}, "127.0.0.1:{}"),
    ({AAAA: b"\0" * 15 + b"\1"}, "[::1]:{}"),
    ({A: b"\x7f\0\0\1", AAAA: b"\0" * 15 + b"\1"}, "[::1]:{} 127.0.0.1:{}"),
], ids=["AAAA dropped", "A dropped", "both answered"])
def test_what_is_answered_is_used(daemon, folder, upstream, name_server, figure, answers, found):
    server = upstream()
    names = name_server(answers)
    one = daemon(holdfast.fixed("s", f"both.test:{server.port}", "lookup: { timeout = 3; };"),
                 wrapper=asking(names, folder))
    begun = time.monotonic()
    answer = one.command("lookup s")
    took = time.monotonic() - begun
    addresses = answer["addresses"]
    assert addresses == found.format(*[server.port] * 2).split(), answer
    figure(f"{took * 1000:.0f} ms")
    if A in answers:
        one.wait_connected("s")
        with one.client("s") as client:
            assert client.ask("x") == b"x\n"
    if len(answers) == 2:
        assert len(names.asked) % 2 == 0 and set(names.asked) == {A, AAAA}
