"""More clients at once than there are places: those who come to a service that is up wait, nobody is refused."""
import resource
import selectors
import signal
import socket
import threading

import pytest

import holdfast

BURST = 1500


@pytest.fixture(autouse=True)
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def slow_hello(connection):
    """Answers hello after 0.1 s, then each line."""
    with connection.makefile("rb") as lines:
        for line in lines:
            if line == b"ready?\n":
                threading.Event().wait(0.1)
                line = b"yes\n"
            connection.sendall(line)


def come(path, count):
    """So many clients at once that do not wait in connect(): EAGAIN fails the test."""
    clients = []
    for _ in range(count):
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        client.connect(path)
        client.sendall(b"x\n")
        clients.append(client)
    return clients


def answers(clients, bound=holdfast.BOUND * 2):
    """What each hears first, counted; they are closed then."""
    heard = {}
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(bound)
            if not ready:
                raise holdfast.TookTooLong(f"{len(selector.get_map())} have heard nothing; others: {heard}")
            for key, _ in ready:
                try:
                    words = key.fileobj.recv(100)
                except OSError as error:
                    words = type(error).__name__
                heard[words] = heard.get(words, 0) + 1
                selector.unregister(key.fileobj)
                key.fileobj.close()
    return heard


@pytest.mark.parametrize("warm", [0, 1])
def test_nobody_is_refused_while_connections_are_being_made(daemon, upstream, warm):
    server = upstream(slow_hello)
    hello = f'warm = {warm}; hello = ( {{ send = "ready?\\n"; expect = "yes"; }} );'
    one = daemon(holdfast.fixed("s", server.address, hello))
    one.wait_connected("s")
    assert answers(come(one.socket("s"), BURST)) == {b"x\n": BURST}
    status = one.status("s")
    assert status["refused"] == dict.fromkeys(status["refused"], 0)
    assert status["accepting_pauses"]["max_held"] > 0 and not status["accepting_paused"]
    assert one.log().count("max_held (1024) reached while connections are being made") == 1
    assert one.ctl("check", "s").returncode == 0


def test_max_held_of_none_still_serves(daemon, upstream):
    server = upstream(slow_hello)
    one = daemon(holdfast.fixed("s", server.address,
                                'warm = 0; max_held = 0; hello = ( { send = "ready?\\n"; expect = "yes"; } );'))
    assert answers(come(one.socket("s"), 5)) == {b"x\n": 5}


def test_who_waits_in_the_backlog_is_refused_when_the_service_goes_down(daemon, upstream):
    """The server goes while it is asked for the first connections: the held stay, the others are told."""
    asked = threading.Event()

    def never_ready(connection):
        asked.set()
        connection.recv(1)
        connection.recv(1000)
        threading.Event().wait(0.5)

    server = upstream(never_ready)
    one = daemon(holdfast.fixed("s", server.address, 'warm = 0; max_held = 3; down_reply = "down\\n"; '
                                'hello = ( { send = "ready?\\n"; expect = "yes"; } );'))
    clients = come(one.socket("s"), 10)
    one.wait_status("s", held=3, accepting_paused=True)
    assert asked.wait(holdfast.BOUND)
    server.stop()
    assert answers(clients[3:]) == {b"down\n": 7}
    status = one.status("s")
    assert status["held"] == 3 and status["refused"]["max_held"] == 7
    for client in clients[:3]:
        client.close()


def test_the_backlog_takes_thousands_at_max_clients(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, "max_clients = 1;"))
    with one.client("s") as first:
        assert first.ask("a") == b"a\n"
        clients = come(one.socket("s"), 3000)
        status = one.wait_status("s", accepting_paused_by="max_clients")
        assert status["clients"] == 1 and status["accepting_pauses"]["max_clients"] == 1
        assert 'holdfast_accepting_pauses_total{service="s",reason="max_clients"} 1' in one.ctl("metrics").stdout
        assert one.log().count("max_clients (1) reached: accepting pauses") == 1
        check = one.ctl("check", "s")
        assert check.returncode == 1 and "max_clients is reached" in check.stdout
        for client in clients:
            client.close()


def test_the_backlog_takes_thousands_while_a_worker_is_replaced(daemon, upstream):
    """It is stopped, found to hang, and replaced: nobody's connect() fails, and all are served."""
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    one.wait_connected("s")
    one.kill_worker(signal.SIGSTOP)
    clients = come(one.socket("s"), 3000)
    assert answers(clients, 60) == {b"x\n": 3000}
