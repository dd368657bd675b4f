"""By itself Holdfast keeps no connection ready where that hurts the server."""
import signal
import socket
import threading
import time

import pytest

import holdfast
from real_servers import Gunicorn, MariaDB, Postgres, Redis


def default(address, more=""):
    return f's: {{ address = "{address}"; {more} }};\n'


def get(connect):
    """The whole answer to a GET over what connect() gives."""
    with connect() as connection:
        connection.settimeout(holdfast.BOUND / 3)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with connection.makefile("rb") as file:
            return file.read()


@pytest.mark.plain
@pytest.mark.parametrize("more", ["", 'probe = "http";'])
def test_gunicorn_with_one_worker_answers_everybody(daemon, folder, more):
    server = Gunicorn(folder)
    try:
        one = daemon(default(server.start().address, more))
        one.wait_connected("s")
        answers = []

        def ask():
            client = socket.socket(socket.AF_UNIX)
            client.connect(one.socket("s"))
            answers.append(get(lambda: client))

        work = [threading.Thread(target=ask) for _ in range(8)]
        for each in work:
            each.start()
        direct = get(lambda: socket.create_connection(("127.0.0.1", server.port)))
        for each in work:
            each.join()
        assert len(answers) == 8 and all(b"\r\nhello\r\n" in answer for answer in [direct, *answers])
        assert one.status("s")["state"] == "connected"
    finally:
        server.stop()


@pytest.mark.plain
@pytest.mark.parametrize("more", ["", 'probe = "postgresql";'])
def test_postgresql_shuts_down_at_once(daemon, folder, figure, more):
    """A smart shutdown waits for whoever is there: a minute for one who has said nothing."""
    server = Postgres(folder)
    try:
        one = daemon(default(server.start().address, more))
        one.wait_connected("s")
        with one.client("s") as client:
            client.send(Postgres.STARTUP)
            assert client.socket.recv(1) == b"R"
        one.wait_status("s", clients=0, held=0)
        begun = time.monotonic()
        server.end(signal.SIGTERM)
        figure(f"{more or 'by default'}: shut down in {time.monotonic() - begun:.2f} s")
        server.process = None
    finally:
        server.stop()


@pytest.mark.plain
def test_mariadb_counts_no_aborted_connects(daemon, folder, figure):
    server = MariaDB(folder, "--connect-timeout=2")
    try:
        server.start()
        services = f's: {{ address = "{server.address}"; }};\n' + \
            f'p: {{ address = "{server.address}"; probe = "mysql"; }};\n'
        before = server.aborted()
        one = daemon(services)
        one.wait_connected("s")
        for service in ("s", "p") * 5:
            assert server.ask("select 6 * 7", one.socket(service), "app").stdout == "42\n"
        aborted = holdfast.until(lambda: server.aborted() - before, "the attempt's own connection")
        # Whatever else were open and silent would have been ended by then.
        connected = time.monotonic()
        holdfast.until(lambda: time.monotonic() - connected > 2.5, "connect_timeout is over")
        assert server.aborted() - before == aborted == 1, "the attempt's own connection alone"
        figure(f"{aborted} aborted connect for 10 clients")
        assert one.status("p")["state"] in ("connected", "idle")
    finally:
        server.stop()


def test_a_server_that_speaks_first_has_none_kept_ready(daemon, upstream):
    """hello says that one may be kept; the server says otherwise."""
    def greet_late(connection):
        lines = connection.makefile("rb")
        for line in lines:
            connection.sendall(b"+" + line + b"unasked\n")

    server = upstream(greet_late)
    one = daemon(default(server.address, 'hello = ( { send = "x\\n"; expect = "+"; } );'))
    one.wait_log("the server speaks first; none is kept ready any more; warm = 0 says so for good")
    status = one.wait_status("s", warm=0, resting=True)
    assert status["up"] and status["state"] == "connected" and status["outages"] == 0
    with one.client("s") as client:
        assert client.line() == b"unasked\n"
        assert client.ask("y") == b"+y\n"
    one.kill_worker()
    one.wait_status("s", warm=0, resting=True, clients=0)
    assert one.log().count("the server speaks first") == 1, "said once"


def test_a_server_that_ends_unused_ones_twice_has_none_kept_ready(daemon, upstream):
    def idle_out(connection):
        connection.settimeout(1.2)
        lines = connection.makefile("rb")
        try:
            for line in lines:
                connection.sendall(b"+" + line)
        except TimeoutError:
            pass

    server = upstream(idle_out)
    one = daemon(default(server.address, 'hello = ( { send = "x\\n"; expect = "+"; } );'))
    one.wait_status("s", resting=True)
    one.wait_log("none is kept ready any more")
    with one.client("s") as client:
        assert client.ask("y") == b"+y\n"
        accepted = server.accepted
    one.wait_status("s", resting=True, clients=0, warm=0)
    assert server.accepted == accepted, "a client does not end it"


def test_redis_has_one_kept_ready_with_its_probe(daemon, folder):
    server = Redis(folder)
    try:
        one = daemon(default(server.start().address, 'probe = "redis";'))
        one.wait_status("s", warm=1, state="connected")
        with one.client("s") as client:
            assert client.ask("PING") == b"+PONG\r\n"
    finally:
        server.kill()


def test_an_unknown_server_is_still_tried_at_once(daemon, upstream):
    """P1: nothing is kept, but that the server is there, or not, is known before a client comes."""
    server = upstream(start=False)
    one = daemon(default(server.address, "retry: { delay = 0.1; };"))
    one.wait_status("s", up=False)
    server.start()
    status = one.wait_status("s", state="connected", warm=0)
    assert status["up"]
    server.wait(lambda self: not self.connections, "none is kept")
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
