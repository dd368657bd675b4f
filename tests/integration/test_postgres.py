"""psql and pgbench find the service as if it were a local PostgreSQL."""
import os
import re

import pytest

import holdfast
from real_servers import Postgres, postgres_programs


@pytest.fixture
def database(folder, daemon):
    postgres = Postgres(folder)
    try:
        postgres.start()
        one = daemon(holdfast.fixed("db", postgres.address, 'listen: { path = ".s.PGSQL.5432"; };'))
        yield one
        # A server that is shutting down waits up to a minute for a connection that says nothing.
        assert one.stop() == 0
    finally:
        postgres.stop()


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
