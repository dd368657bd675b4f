"""A server that listens and does not serve yet is not up: clients that are held are spared its errors (probe)."""
import signal
import socket
import threading

import pytest

import holdfast
from real_servers import MariaDB, Postgres, Redis

RESTARTS = 10 if holdfast.LONG else 2


def service(address, probe, more=""):
    return f's: {{ address = "{address}"; probe = "{probe}"; max_held = 4096; {more} }};\n'


class Visitors:
    """Clients that come all the time; each says something and looks at the first answer."""

    def __init__(self, path, ask, wrong, count=8):
        self.path, self.ask, self.wrong = path, ask, wrong
        self.answers, self.errors, self.lost = 0, [], 0
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.work = [threading.Thread(target=self.run) for _ in range(count)]
        for each in self.work:
            each.start()

    def visit(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(holdfast.BOUND * 4)
        with client:
            client.connect(self.path)
            client.sendall(self.ask)
            return client.recv(4096)

    def run(self):
        while not self.over.is_set():
            try:
                answer = self.visit()
            except OSError:
                answer = b""
            with self.lock:
                if self.wrong(answer):
                    self.errors.append(answer)
                elif answer:
                    self.answers += 1
                else:
                    self.lost += 1  # it was served, and the server died over it

    def wait_answers(self, more=30):
        wanted = self.answers + more
        holdfast.until(lambda: self.answers >= wanted, "answers", holdfast.BOUND * 4)

    def end(self):
        self.over.set()
        for each in self.work:
            each.join()


def storm(one, restart, ask, wrong, figure):
    visitors = Visitors(one.socket("s"), ask, wrong)
    try:
        for _ in range(RESTARTS):
            visitors.wait_answers()
            restart(visitors)
        visitors.wait_answers()
    finally:
        visitors.end()
    figure(f"{len(visitors.errors)} errors of a server that is not ready, {visitors.answers} answers, "
           f"{visitors.lost} lost with their server, {RESTARTS} restarts")
    return visitors


@pytest.mark.plain
def test_no_client_is_told_that_postgresql_is_starting(daemon, folder, figure):
    """It recovers from a crash each time, which is when it listens for long and does not serve.  Whoever is given to
    it in the very moment in which it begins to shut down is lost with it, sometimes with a word."""
    server = Postgres(folder)
    try:
        one = daemon(service(server.start().address, "postgresql"))
        bloat = ["psql", "-h", "127.0.0.1", "-p", server.port, "-U", "postgres", "-c",
                 "create table if not exists t (a int); insert into t select generate_series(1, 500000)"]

        def restart(_):
            assert holdfast.run(*bloat).returncode == 0
            server.end(signal.SIGQUIT)
            server.run()

        def wrong(answer):
            return b"57P03" in answer and b"shutting down" not in answer

        visitors = storm(one, restart, Postgres.STARTUP, wrong, figure)
        assert not visitors.errors, visitors.errors[:3]
        one.wait_log('the server said "the database system is ')
    finally:
        server.stop()


@pytest.mark.plain
def test_no_client_is_told_that_redis_is_loading(daemon, folder, figure):
    server = Redis(folder, arguments=(
        "--enable-debug-command", "local", "--key-load-delay", "10",
        "--loading-process-events-interval-bytes", "65536"))
    try:
        one = daemon(service(server.start().address, "redis"))
        assert server.cli("debug", "populate", "50000", "key", "100") == "OK"

        def restart(_):
            assert server.cli("save") == "OK"
            server.kill()
            server.start()

        visitors = storm(one, restart, b"GET key:1\r\n", lambda answer: answer.startswith(b"-LOADING"), figure)
        assert not visitors.errors, visitors.errors[:3]
        one.wait_log('the server said "-LOADING')
    finally:
        server.kill()


@pytest.mark.plain
def test_no_client_is_told_that_mariadb_is_starting_and_none_counts_as_broken_off(daemon, folder, figure):
    server = MariaDB(folder)
    try:
        one = daemon(service(server.start().address, "mysql"))
        outcome = []

        def restart(visitors):
            del visitors
            outcome.append(server.aborted())
            server.stop()
            server.start()

        work = threading.Event()

        def log_in():
            while not work.is_set():
                outcome.append(server.ask("select 6 * 7", one.socket("s"), "app").stderr)

        clients = [threading.Thread(target=log_in) for _ in range(2)]
        for each in clients:
            each.start()
        try:
            for _ in range(RESTARTS if holdfast.LONG else 1):
                wanted = len(outcome) + 10
                holdfast.until(lambda wanted=wanted: len(outcome) >= wanted, "log-ins")
                restart(None)
            wanted = len(outcome) + 10
            holdfast.until(lambda: len(outcome) >= wanted, "log-ins")
        finally:
            work.set()
            for each in clients:
                each.join()
        outcome.append(server.aborted())
        counts = [word for word in outcome if isinstance(word, int)]
        errors = [word for word in outcome if word and not isinstance(word, int)]
        starting = [word for word in errors if "ERROR 1053" in word or "ERROR 2013" not in word]
        figure(f"aborted connects {counts}, errors {errors}, of {len(outcome) - len(counts)} log-ins")
        assert not any(counts) and not starting, errors
    finally:
        server.stop()


def test_http_that_says_503_is_not_up(daemon, upstream):
    ready = threading.Event()
    asked = []

    def serve(connection):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            more = connection.recv(4096)
            if not more:
                return
            head += more
        asked.append(head)
        status = b"200 OK" if ready.is_set() else b"503 Service Unavailable"
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")

    server = upstream(serve)
    one = daemon(service(server.address, "http", 'probe_path = "/health?deep=1"; retry: { delay = 0.1; };'))
    one.wait_log("probe: the server said \"HTTP/1.1 503 Service Unavailable\"")
    assert not one.status("s")["up"]
    with one.client("s") as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        one.wait_status("s", held=1)
        ready.set()
        assert client.line() == b"HTTP/1.1 200 OK\r\n"
    assert asked[0] == (f"GET /health?deep=1 HTTP/1.1\r\nHost: {server.address}\r\nUser-Agent: holdfast\r\n"
                        "Connection: close\r\n\r\n").encode()
    assert one.status("s")["up"]


def test_a_server_that_never_answers_a_probe_is_not_up(daemon, upstream):
    server = upstream(lambda connection: connection.recv(1) and threading.Event().wait(5))
    one = daemon(service(server.address, "redis", "connect_timeout = 0.3;"))
    status = one.wait_status("s", up=False, state="waiting")
    assert "probe: no answer within 0.3 s" in status["last_error"]


def test_probes_in_a_kill_storm_leave_no_file(daemon, upstream):
    """A probe's own connection is in no record: whoever comes after a death closes it."""
    def serve(connection):
        if connection.recv(999):
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    server = upstream(serve)
    one = daemon(service(server.address, "http"))
    one.wait_connected("s")
    before = one.files()
    for _ in range(10):
        with one.client("s") as client:
            client.send(b"x\r\n")
            one.kill_worker()
            client.read_all()
    holdfast.until(lambda: one.status("s")["clients"] == 0 and one.files() <= before, "as many files as before")
