"""The stale-socket rule, abstract names, sockets in folders of their own, and sockets from systemd."""
import os
import socket

import pytest

import holdfast


def test_a_stale_socket_is_replaced(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address), start=False)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(one.socket("s"))
    one.start()
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"


@pytest.mark.parametrize("kind", ["live", "file", "folder"])
def test_what_is_not_stale_is_never_unlinked(daemon, upstream, kind):
    one = daemon(holdfast.fixed("s", upstream().address), start=False)
    path = one.socket("s")
    live = socket.socket(socket.AF_UNIX)
    if kind == "live":
        live.bind(path)
        live.listen()
    elif kind == "file":
        open(path, "w").close()
    else:
        os.mkdir(path)
    before = os.stat(path)
    one.start()
    assert path in one.status("s")["socket_error"] and not one.status("s")["up"]
    assert os.stat(path).st_ino == before.st_ino
    live.close()


def test_abstract_name(daemon, upstream):
    name = f"holdfast-test-{os.getpid()}"
    one = daemon(holdfast.fixed("s", upstream().address, f'listen: {{ path = "@{name}"; }};'))
    with holdfast.Client("\0" + name) as client:
        assert client.ask("x") == b"x\n"
    assert one.status("s")["socket"] == "@" + name


def test_missing_folders_are_made(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address, 'listen: { path = "deep/down/s"; };'))
    with holdfast.Client(one.path("deep/down/s")) as client:
        assert client.ask("x") == b"x\n"


def test_socket_activation_by_name(folder, daemon, upstream):
    path = f"{folder}/given"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    one = daemon(holdfast.fixed("s", upstream().address), **holdfast.given("s", listener))
    assert one.status("s")["socket"] == path
    listener.close()
    for _ in range(3):
        with holdfast.Client(path) as client:
            assert client.ask("x") == b"x\n"
        one.kill_worker()
    assert one.stop() == 0
    assert os.path.exists(path), "a socket from systemd is never unlinked"


def test_unix_upstream(folder, daemon):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{folder}/server")
    listener.listen()
    one = daemon(holdfast.fixed("s", f"unix:{folder}/server"))
    listener.settimeout(holdfast.BOUND)
    with one.client("s") as client:
        client.send(b"question\n")
        server, _ = listener.accept()
        with server, server.makefile("rb") as file:
            assert file.readline() == b"question\n"
            server.sendall(b"answer\n")
            assert client.line() == b"answer\n"
    listener.close()


@pytest.mark.parametrize("names", ["misspelt", "s:s"])
def test_socket_handed_over_under_a_name_that_is_nobodys(folder, daemon, upstream, names):
    """Or twice under one: it is closed, and the log and the status say so, also of a later worker."""
    paths = [f"{folder}/{number}" for number in range(names.count(":") + 1)]
    listeners = [socket.socket(socket.AF_UNIX) for _ in paths]
    for listener, path in zip(listeners, paths):
        listener.bind(path)
        listener.listen()
    give = "; ".join([f"exec {number}<&{listener.fileno()}" for number, listener in enumerate(listeners, 3)] +
                     [f'LISTEN_PID=$$ LISTEN_FDS={len(paths)} LISTEN_FDNAMES={names} exec "$@"'])
    one = daemon(holdfast.fixed("s", upstream().address), pass_fds=[listener.fileno() for listener in listeners],
                 wrapper=["bash", "-c", give, "bash"])
    for listener in listeners:
        listener.close()
    name = names.rpartition(":")[2]
    one.wait_log(f'handed over under the name "{name}"')
    with pytest.raises(ConnectionRefusedError):
        holdfast.Client(paths[-1])
    with holdfast.Client(one.status("s")["socket"]) as client:
        assert client.ask("x") == b"x\n"
    one.kill_worker()
    one.wait_notice("STATUS=1 of 1 services up, 0 clients, 0 held; a s")
    assert f'under the name "{name}"' in one.notices[-1] and one.log().count("handed over") == 1
