"""PostgreSQL that takes TLS alone, for clients that speak plainly: by a Unix socket, and by TCP, where libpq asks for
encryption first and is declined."""
import contextlib
import json
import os
import random
import socket
import struct
import subprocess

import pytest

import holdfast
import real_servers
import tls_program
from test_tls_postgres import demand_tls, read_until_ready

SSL_REQUEST, GSS_REQUEST = struct.pack("!II", 8, 80877103), struct.pack("!II", 8, 80877104)
WANTED = 30 if holdfast.LONG else 6

pytestmark = [pytest.mark.plain, tls_program.MARK]


class Place:
    """A PostgreSQL with hostssl only, holdfast-tls, and a service with both kinds of sockets."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = tls_program.Authority(folder)
        self.postgres = real_servers.Postgres(folder)
        self.postgres.program("initdb", "-D", self.postgres.data, "-U", "postgres", "-A", "trust", "--no-sync", "-E",
                              "UTF8")
        demand_tls(self.postgres, self.authority.issue("db"))
        self.postgres.run()
        os.mkdir(f"{folder}/tls")
        self.program = tls_program.Program(f"{folder}/tls")
        self.port = holdfast.free_port()

    def services(self):
        more = (f'address = "{self.postgres.address}"; retry: {{ delay = 0.05; }}; probe = "postgresql"; '
                f'tls: {{ ca = "{self.authority.ca}"; starttls = "postgresql"; '
                f'socket = "{self.folder}/tls/tls.sock"; }};')
        return (f's: {{ listen: {{ path = ".s.PGSQL.5432"; }}; {more} }};\n'
                f't: {{ listen: {{ path = "127.0.0.1:{self.port}"; }}; {more} }};\n')

    def end(self):
        self.program.end()
        self.postgres.stop()


@pytest.fixture(scope="module")
def place(module_folder):
    made = Place(module_folder)
    yield made
    made.end()


def psql(*words, **environment):
    done = holdfast.run(os.path.join(real_servers.postgres_programs(), "psql"), "-X", "-A", "-t", "-U", "postgres",
                        *words, env=holdfast.environment(**environment))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ASK = ("-c", "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")


def test_psql_by_a_unix_socket_and_by_tcp(daemon, place):
    one = daemon(place.services())
    assert psql("-h", os.path.dirname(one.socket("s")), *ASK) == "t|TLSv1.3"
    for mode in ("prefer", "allow", "disable"):
        assert psql("-h", "127.0.0.1", "-p", str(place.port), *ASK, PGSSLMODE=mode) == "t|TLSv1.3"
    done = holdfast.run(os.path.join(real_servers.postgres_programs(), "psql"), "-h", "127.0.0.1", "-p", place.port,
                        "-U", "postgres", *ASK, env=holdfast.environment(PGSSLMODE="require"))
    assert "server does not support SSL, but SSL was required" in done.stderr


@pytest.mark.parametrize("service", "st")
def test_node_pg_by_socket_and_by_host_and_port(daemon, place, service):
    one = daemon(place.services())
    where = {"s": {"host": os.path.dirname(one.socket("s"))}, "t": {"host": "127.0.0.1", "port": place.port}}[service]
    script = """
        const { Client } = require('pg');
        const one = new Client({...JSON.parse(process.argv[1]), user: 'postgres', database: 'postgres'});
        one.connect().then(() => one.query('SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()'))
            .then(result => console.log(result.rows[0].version), console.log).then(() => one.end());
        """
    done = holdfast.run("node", "-e", script, json.dumps(where), env=real_servers.node_environment("pg"))
    assert done.stdout == "TLSv1.3\n", done.stdout + done.stderr


@pytest.mark.parametrize("service", "st")
def test_pgbench_while_the_worker_is_killed(daemon, place, service):
    """No connection is lost: pgbench ends with an error at the first."""
    one = daemon(place.services())
    where = ["127.0.0.1", "-p", str(place.port)] if service == "t" else [os.path.dirname(one.socket("s"))]
    with open(f"{place.folder}/script", "w") as file:
        file.write("SELECT 1;\n")
    bench = subprocess.Popen([os.path.join(real_servers.postgres_programs(), "pgbench"), "-n", "-h", *where, "-U",
                              "postgres", "-c", "4", "-T", "1", "-f", f"{place.folder}/script", "postgres"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             env=holdfast.environment())
    one.wait_status(service, clients=4)
    kills = 0
    while bench.poll() is None:
        one.kill_worker()
        kills += 1
        with contextlib.suppress(subprocess.TimeoutExpired):
            bench.wait(random.uniform(0, 0.1))
    said = bench.communicate(timeout=holdfast.BOUND)[0]
    assert bench.returncode == 0 and "number of failed transactions: 0 (0.000%)" in said, said
    assert kills > 3
    print(f"{kills} kills", *(line for line in said.splitlines() if "processed" in line or "failed" in line))


def ask_twice(port):
    """As libpq does: each request is answered by one N, and then the session begins."""
    with socket.create_connection(("127.0.0.1", port), holdfast.BOUND) as client:
        with client.makefile("rb") as file:
            for request in (GSS_REQUEST, SSL_REQUEST):
                client.sendall(request)
                assert file.read(1) == b"N"
            client.sendall(real_servers.Postgres.STARTUP)
            read_until_ready(file)
            client.sendall(b"X\0\0\0\4")
            assert file.read() == b""


def test_requests_are_declined_one_by_one(daemon, place):
    daemon(place.services())
    ask_twice(place.port)


@pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")
@pytest.mark.parametrize("point", ["journal.decline-marked", "journal.decline-sent", "journal.decline-stored"])
def test_no_death_declines_twice_or_not_at_all(daemon, place, point):
    one = daemon(place.services(), build=holdfast.CRASH_BUILD, environment_more={"HOLDFAST_CRASH": f"{point}:2"})
    while one.log().count(f"crash point {point}\n") < WANTED:
        ask_twice(place.port)
