"""psql and pgbench find the service as if it were a local PostgreSQL."""
import os
import re
import threading
import time

import pytest

import holdfast
from real_servers import Postgres, postgres_programs


def service(postgres):
    return holdfast.fixed("db", postgres.address, 'listen: { path = ".s.PGSQL.5432"; };')


@pytest.fixture
def postgres(folder):
    server = Postgres(folder)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def database(postgres, daemon):
    one = daemon(service(postgres))
    yield one
    # A server that is shutting down waits up to a minute for a connection that says nothing.
    assert one.stop() == 0


def pgbench(database, *arguments):
    program = os.path.join(postgres_programs(), "pgbench")
    done = holdfast.run(program, "-h", database.folder, "-U", "postgres", *arguments, "postgres", bound=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_psql(database):
    done = holdfast.run("psql", "-h", database.folder, "-U", "postgres", "-Atc", "select 6 * 7")
    assert done.stdout == "42\n", done.stderr


def test_pgbench_with_20_clients(database, figure):
    pgbench(database, "-i", "-q")
    text = pgbench(database, "-c", "20", "-j", "2", "-T", "1" if holdfast.SANITIZED else "5")
    assert re.search(r"number of failed transactions: 0 ", text), text
    figure(re.search(r"tps = .*", text).group())


@pytest.mark.long
def test_it_moves_under_pgbench(postgres, database, figure):
    """A session for each transaction; the address changes by a reload while the service is paused.  A thread for each
    client: one that waits for a connection would keep others of its thread from ending theirs."""
    pgbench(database, "-i", "-q")
    texts = []
    work = threading.Thread(target=lambda: texts.append(pgbench(database, "-C", "-c", "6", "-j", "6", "-T", "4")))
    work.start()
    holdfast.until(lambda: database.status("db")["clients_total"] > 50, "it works")
    begun = time.monotonic()
    assert database.ctl("pause", "db", "10").returncode == 0
    postgres.move()
    database.configure(service(postgres))
    database.command("reload")
    database.command("resume db")
    delay = time.monotonic() - begun
    before = database.status("db")["clients_total"]
    holdfast.until(lambda: database.status("db")["clients_total"] > before + 50, "it goes on")
    work.join()
    assert texts and re.search(r"number of failed transactions: 0 ", texts[0]), texts
    assert database.status("db")["outages"] == 0
    processed = re.search(r"actually processed: (\d+)", texts[0]).group(1)
    figure(f"{processed} transactions, none failed, over a move of {delay * 1000:.0f} ms")
