"""The closing line of each client has two letters: who or what ended it, and how far it had come."""
import os
import re
import signal

import pytest

import holdfast
from upstream import stall

REFUSING = 'on_down = "refuse"; '


def line(one, code):
    """The line with this code; it must be the only one."""
    one.wait_log(f" code={code}")
    lines = [text for text in one.log().splitlines() if " code=" in text]
    assert len(lines) == 1, lines
    return lines[0]


def once(connection):
    """Answers one line and ends."""
    with connection.makefile("rb") as lines:
        connection.sendall(lines.readline())


def session(daemon, server, more=""):
    one = daemon(holdfast.fixed("s", server.address, more))
    one.wait_status("s", warm=1)
    return one


def down(daemon, more=""):
    return daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}", more))


def shared(daemon, server, more=""):
    one = daemon(holdfast.fixed("s", server.address, f'mode = "shared"; framing = "line"; {more}'))
    one.wait_connected("s")
    return one


def test_the_client_ends_it(daemon, upstream):
    one = session(daemon, upstream())
    with one.client("s") as client:
        assert client.ask("hello") == b"hello\n"
    text = line(one, "CA")
    assert re.search(r"debug s: client \d+ ended by itself code=CA seconds=\d+\.\d{3} bytes_in=6 bytes_out=6$",
                     text), text


def test_before_a_byte_has_passed(daemon, upstream):
    one = session(daemon, upstream())
    one.client("s").close()
    line(one, "CC")


def test_while_it_is_held(daemon):
    one = down(daemon)
    with one.client("s"):
        one.wait_status("s", held=1)
    line(one, "CH")


def test_while_it_waits_for_a_reconnect(daemon, upstream):
    server = upstream()
    one = session(daemon, server, 'on_upstream_end = "reconnect"; retry: { delay = 60; };')
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
        server.stop()
        one.wait_status("s", held=1)
    line(one, "CR")


def test_the_upstream_ends_it(daemon, upstream):
    one = session(daemon, upstream(once))
    with one.client("s") as client:
        assert client.ask("x") == b"x\n" and client.at_end()
    line(one, "UA")


def test_the_upstream_ends_an_unused_one_of_a_drained_service(daemon, upstream):
    server = upstream()
    one = session(daemon, server)
    with one.client("s") as client:
        one.wait_status("s", clients=1)
        one.command("drain s")
        server.stop()
        assert client.at_end()
    line(one, "UC")


def test_hold_timeout(daemon):
    one = down(daemon, "hold_timeout = 0.1;")
    with one.client("s") as client:
        assert client.at_end()
    line(one, "HH")


def test_refused_as_it_comes_and_while_it_is_held(daemon):
    one = down(daemon, REFUSING)
    one.wait_status("s", failures=1)
    with one.client("s") as client:
        assert client.at_end()
    line(one, "RN")
    one = down(daemon)
    with one.client("s") as client:
        one.wait_status("s", held=1)
        one.command("drain s")
        assert client.at_end()
    line(one, "RH")


def test_max_held(daemon):
    one = down(daemon, "max_held = 0;")
    one.wait_status("s", up=False)
    with one.client("s") as client:
        assert client.at_end()
    line(one, "LN")


def test_max_held_of_none_while_it_is_dialled(daemon, upstream):
    """Who comes while the service seems up waits for the dial; when that fails it is not held on."""
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, "max_held = 0; warm = 0;"))
    server.stop()
    with one.client("s") as client:
        assert client.at_end()
    line(one, "LH")


def test_who_is_not_let_in(daemon, upstream):
    server = upstream()
    one = session(daemon, server, f'listen: {{ allow_users = [ "{os.getuid() + 1}" ]; }};')
    with one.client("s") as client:
        assert client.at_end()
    assert line(one, "NN").endswith("client refused: not in allow_users or allow_groups code=NN")
    one = session(daemon, server, "max_clients_per_user = 1;")
    with one.client("s"), one.client("s") as second:
        assert second.at_end()
        line(one, "LN")


def test_idle_timeout(daemon, upstream):
    one = session(daemon, upstream(), "idle_timeout = 1;")
    with one.client("s") as client:
        assert client.ask("x") == b"x\n" and client.at_end()
    line(one, "IA")


@pytest.mark.parametrize("command", ["kill s --id 1", "close s --kill"])
def test_an_operator(daemon, upstream, command):
    one = session(daemon, upstream())
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
        one.command(command.replace(" 1", f' {one.command("clients s")["clients"][0]["id"]}'))
        assert client.at_end()
    line(one, "OA")


def test_a_close_ends_the_held(daemon):
    one = down(daemon)
    with one.client("s") as client:
        one.wait_status("s", held=1)
        one.command("close s")
        assert client.at_end()
    line(one, "OH")


def test_a_reload_that_removes_the_service(daemon, upstream):
    one = session(daemon, upstream(), "drain_timeout = 0.1;")
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
        one.configure("")
        one.command("reload --force")
        assert client.at_end()
    line(one, "DA")
    one = down(daemon)
    with one.client("s") as client:
        one.wait_status("s", held=1)
        one.configure("")
        one.command("reload --force")
        assert client.at_end()
    line(one, "DH")


def test_the_end_of_the_daemon(daemon, upstream):
    one = session(daemon, upstream())
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
        one.process.send_signal(signal.SIGTERM)
        one.wait_log("stopping")
        one.process.send_signal(signal.SIGTERM)
        assert client.at_end()
    holdfast.wait_exit(one.process)
    line(one, "SA")
    one = down(daemon)
    with one.client("s") as client:
        one.wait_status("s", held=1)
        one.process.send_signal(signal.SIGTERM)
        assert client.at_end()
    holdfast.wait_exit(one.process)
    line(one, "SH")


def test_shared_the_client_ends_it(daemon, upstream):
    one = shared(daemon, upstream(stall))
    with one.client("s") as client:
        client.send(b"a request that nobody answers\n")
        one.wait_status("s", in_flight=1)
    line(one, "CQ")


def test_shared_what_is_no_message(daemon, upstream):
    one = shared(daemon, upstream(), "max_message = 10;")
    with one.client("s") as client:
        client.send(b"longer than ten bytes\n")
        assert client.at_end()
    line(one, "PC")


def test_shared_what_needs_a_connection_of_its_own(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream(stall).address,
                                'mode = "shared"; framing = "resp"; on_state = "refuse"; '))
    with one.client("s") as client:
        client.send(b"MULTI\r\n")
        assert client.read_all().startswith(b"-ERR MULTI needs a connection of its own")
    line(one, "TA")


def test_shared_a_request_is_lost(daemon, upstream):
    server = upstream(stall)
    one = shared(daemon, server)
    with one.client("s") as client:
        client.send(b"x\n")
        one.wait_status("s", in_flight=1)
        server.stop()
        assert client.at_end()
    line(one, "UQ")


def test_shared_a_request_waits_for_too_long_or_is_refused(daemon):
    one = down(daemon, 'mode = "shared"; framing = "line"; hold_timeout = 0.2;')
    with one.client("s") as client:
        client.send(b"x\n")
        assert client.at_end()
    line(one, "HQ")
    one = down(daemon, 'mode = "shared"; framing = "line";')
    with one.client("s") as client:
        client.send(b"x\n")
        one.wait_status("s", held=1)
        one.command("drain s")
        assert client.at_end()
    line(one, "RQ")


def test_shared_who_does_not_read_falls_behind(daemon, upstream):
    def pour(connection):
        while True:
            connection.sendall(b"x" * 1023 + b"\n")
    one = shared(daemon, upstream(pour), 'replies = "broadcast";')
    with one.client("s"):
        line(one, "BA")


def test_a_line_each_at_info_if_asked_for_and_none_without(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), start=False)
    one.configure(holdfast.fixed("s", server.address), top='log: { level = "info"; target = "stderr"; };')
    one.start()
    one.wait_status("s", warm=1)
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
    one.wait_status("s", clients=0)
    assert "code=" not in one.log()
    one.configure(holdfast.fixed("s", server.address),
                  top='log: { level = "info"; target = "stderr"; clients = true; };')
    one.command("reload")
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
    assert " info s: client " in line(one, "CA")
