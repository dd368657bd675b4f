"""A held client that writes and leaves gives up its place, and what it wrote is not carried out: abort_on_close."""
import socket

import pytest

import holdfast
from upstream import answering

# Attempts come when somebody is held; the server is there when the test says so.
SETTINGS = "retry: { delay = 0.1; jitter = 0.0; }; hold_retry = 0.1; "


def said(server_lines):
    """A server that notes each line and sends it back."""
    return answering(lambda line: line, server_lines)


def held_ghost(one, words=b"buy\n"):
    client = one.client("s")
    client.send(words)
    one.wait_status("s", held=1)
    client.close()


def test_what_a_client_wrote_that_has_left_is_not_carried_out(daemon, upstream):
    lines = []
    server = upstream(said(lines), start=False)
    one = daemon(holdfast.fixed("s", server.address, SETTINGS))
    held_ghost(one)
    one.wait_status("s", held=0, bound=1.0)  # at once, not when somebody looks
    with one.client("s") as client:
        server.start()
        assert client.ask("look") == b"look\n"
    assert lines == [b"look\n"]
    assert one.command("status s")["services"][0]["refused"]["hold_timeout"] == 0


@pytest.mark.parametrize("how", ["setting", "reload"])
def test_it_is_carried_out_where_the_settings_say_so(daemon, upstream, how):
    lines = []
    server = upstream(said(lines), start=False)
    carried = holdfast.fixed("s", server.address, SETTINGS + "abort_on_close = false;")
    one = daemon(carried if how == "setting" else holdfast.fixed("s", server.address, SETTINGS))
    if how == "reload":
        one.configure(carried)
        one.command("reload")
    held_ghost(one)
    with one.client("s") as client:
        one.wait_status("s", held=2)
        server.start()
        assert client.ask("look") == b"look\n"
        holdfast.until(lambda: lines == [b"buy\n", b"look\n"] or len(lines) == 2, "both lines")
    assert sorted(lines) == [b"buy\n", b"look\n"]


def test_one_that_has_only_shut_down_its_side_is_served(daemon, upstream):
    lines = []
    server = upstream(said(lines), start=False)
    one = daemon(holdfast.fixed("s", server.address, SETTINGS))
    with one.client("s") as client:
        client.send(b"buy\n")
        client.shutdown()
        one.wait_status("s", held=1)
        server.start()
        assert client.read_all() == b"buy\n"
    assert lines == [b"buy\n"]


def test_one_that_had_been_served_and_leaves_with_bytes_that_it_has_not_read(daemon, upstream):
    """Its end is told as an error then, which is seen as soon as any other."""
    server = upstream(lambda connection: (connection.recv(100), connection.sendall(b"x" * 1000)))
    one = daemon(holdfast.fixed("s", server.address, SETTINGS + 'on_upstream_end = "reconnect"; pick = "ordered"; '
                                "hold_timeout = 0;"))
    one.command("wait s 10")
    with one.client("s") as client:
        client.send(b"go\n")
        assert client.socket.recv(1000, socket.MSG_PEEK | socket.MSG_WAITALL)
        server.stop()
        one.wait_status("s", held=1)
        client.send(b"more\n")
    one.wait_status("s", held=0, bound=1.0)


def test_a_worker_that_dies_brings_no_ghost_back(daemon, upstream):
    lines = []
    server = upstream(said(lines), start=False)
    one = daemon(holdfast.fixed("s", server.address, SETTINGS))
    clients = [one.client("s") for _ in range(20)]
    for client in clients:
        client.send(b"buy\n")
    one.wait_status("s", held=20)
    one.kill_worker(19)  # SIGSTOP: it sees nothing of what follows
    for client in clients:
        client.close()
    server.start()
    one.kill_worker()
    with one.client("s") as client:
        assert client.ask("look") == b"look\n"
    one.wait_status("s", held=0)
    assert lines == [b"look\n"]


@pytest.mark.parametrize("dies", [False, True], ids=["", "worker dies"])
def test_in_shared_mode_its_requests_are_not_sent(daemon, upstream, dies):
    lines = []
    server = upstream(said(lines), start=False)
    one = daemon(holdfast.fixed("s", server.address, SETTINGS + 'mode = "shared"; framing = "line";'))
    with one.client("s") as first, one.client("s") as ghost, one.client("s") as last:
        for client, words in (first, b"a\n"), (ghost, b"buy\nsell\n"), (last, b"b\n"):
            client.send(words)
        one.wait_status("s", queued=4)
        ghost.close()
        one.wait_status("s", clients=2)
        if dies:
            one.kill_worker()
        server.start()
        assert first.line() == b"a\n" and last.line() == b"b\n"
        assert last.ask("c") == b"c\n"
    assert lines == [b"a\n", b"b\n", b"c\n"]


def test_one_way_messages_are_carried_out_by_default(daemon):
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}",
                                'mode = "shared"; framing = "line"; replies = "none";'))
    settings = one.ctl("config", "s").stdout
    assert "abort_on_close = false;" in settings
