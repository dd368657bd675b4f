"""What a socket carries beside its bytes: passed file descriptors, urgent data.  holdfastd(8) says what happens."""
import array
import os
import select
import socket
import threading

import pytest

import holdfast

LARGE = bytes(range(32, 256)) * 8192  # goes through pipes


def pass_file(client, words, fd):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    sent = client.sendmsg([words], rights)
    client.sendall(words[sent:])


class Passed:
    """A pipe whose writing end was passed on: once nobody has it any more, its reader sees the end."""

    def __init__(self, client, words):
        self.reader, writer = os.pipe()
        pass_file(client, words, writer)
        os.close(writer)

    def is_closed(self, bound=holdfast.BOUND):
        try:
            return bool(select.select([self.reader], [], [], bound)[0]) and os.read(self.reader, 1) == b""
        finally:
            os.close(self.reader)


@pytest.mark.parametrize("words", [b"small\n", LARGE + b"\n"], ids=["small", "large"])
def test_a_passed_file_descriptor_is_closed_and_the_bytes_go_on(daemon, upstream, words):
    one = daemon(holdfast.fixed("s", upstream().address))
    one.wait_connected("s")
    with one.client("s") as client:
        assert client.ask("first") == b"first\n"
        one.wait_status("s", warm=1)  # the next client's connection, which is dialled now
        files = one.files()
        heard = []
        listens = threading.Thread(target=lambda: heard.append(client.line()))
        listens.start()
        passed = Passed(client.socket, words)
        listens.join(holdfast.BOUND)
        assert heard == [words]
        assert passed.is_closed()
        holdfast.until(lambda: one.files() - 2 * one.pipes() <= files, "no file is left over")


def test_one_that_a_held_client_passed_goes_with_it(daemon):
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}"))
    with one.client("s") as client:
        passed = Passed(client.socket, b"x\n")
        one.wait_status("s", held=1)
    assert passed.is_closed()


def test_one_that_a_refused_client_passed_is_closed(daemon):
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}", "max_held = 0;"))
    one.wait_log("Connection refused")
    with one.client("s") as client:
        assert client.at_end()
        passed = Passed(client.socket, b"x\n")
        assert passed.is_closed()


@pytest.mark.parametrize("kind", ["stream", "seqpacket", "dgram"])
def test_one_that_was_passed_in_shared_mode_is_closed(daemon, upstream, kind):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, 'mode = "shared"; framing = "line"; '
                                f'listen: {{ type = "{kind}"; }};'))
    types = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET, "dgram": socket.SOCK_DGRAM}
    with socket.socket(socket.AF_UNIX, types[kind]) as client:
        client.settimeout(holdfast.BOUND)
        client.connect(one.socket("s"))
        words = b"x\n" if kind == "stream" else b"x"
        passed = Passed(client, words)
        assert kind == "dgram" or client.recv(100) == words
        assert passed.is_closed()


def test_one_that_was_passed_to_the_control_socket_is_closed(daemon):
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}"))
    with holdfast.Client(one.control) as control:
        passed = Passed(control.socket, b"ping\n")
        assert b'"ok": true' in control.line().replace(b'"ok":true', b'"ok": true')
        assert passed.is_closed()


def urgent_in_the_middle(words):
    def serve(connection):
        connection.sendall(words)
        connection.send(b"!", socket.MSG_OOB)
        connection.sendall(words + b"end")
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
    return serve


@pytest.mark.parametrize("words", [b"small", LARGE], ids=["small", "large"])
def test_urgent_data_of_a_server_is_lost_and_nothing_else(daemon, upstream, words):
    server = upstream(urgent_in_the_middle(words))
    one = daemon(holdfast.fixed("s", server.address, "warm = 0;"))
    with one.client("s") as client:
        assert client.read_all() == words + words + b"end"


@pytest.mark.parametrize("words", [b"small", LARGE], ids=["small", "large"])
def test_urgent_data_of_a_client_is_lost_and_nothing_else(daemon, upstream, words):
    heard = []

    def serve(connection):
        with connection.makefile("rb") as file:
            heard.append(file.read())

    server = upstream(serve)
    one = daemon(holdfast.fixed("s", server.address))
    with one.client("s") as client:
        client.send(words)
        try:
            client.socket.send(b"!", socket.MSG_OOB)
        except OSError as error:
            pytest.skip(f"this kernel has no urgent data on Unix sockets: {error}")
        client.send(words + b"end")
        client.shutdown()
        assert client.at_end()
    holdfast.until(lambda: heard, "the server's end")
    assert heard[0] == words + words + b"end"


def cpu_time(pid):
    """Seconds that the process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        return sum(int(field) for field in stat.read().rpartition(")")[2].split()[11:13]) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("mode", ["session", "shared", "held", "refused"])
def test_an_urgent_byte_alone_keeps_nobody_busy(daemon, upstream, mode):
    server = upstream(start=mode in ("session", "shared"))
    more = {"shared": 'mode = "shared"; framing = "line";', "refused": 'on_down = "refuse";'}.get(mode, "")
    one = daemon(holdfast.fixed("s", server.address, more))
    if mode in ("held", "refused"):
        one.wait_log("Connection refused")
    with one.client("s") as client:
        assert mode in ("held", "refused") or client.ask("first") == b"first\n"
        try:
            client.socket.send(b"!", socket.MSG_OOB)
        except OSError as error:
            pytest.skip(f"this kernel has no urgent data on Unix sockets: {error}")
        worker = one.worker()
        before = cpu_time(worker)
        threading.Event().wait(0.5)
        assert cpu_time(worker) - before < 0.2
        if mode in ("session", "shared"):
            assert client.ask("second") == b"second\n"
