"""lookup-patroni, with real PostgreSQL servers under a real Patroni, with a real etcd."""
import json
import os
import re
import subprocess
import threading
import time

import pytest

import holdfast
import lookups
from lookups import failed, found
from patroni_cluster import Cluster
from real_servers import postgres_programs

pytestmark = pytest.mark.plain


@pytest.fixture(scope="module")
def patroni(module_folder):
    one = Cluster(module_folder, synchronous=True, authority=lookups.Authority(module_folder))
    try:
        yield one.start()
    finally:
        one.stop()


def asked(patroni):
    return ["--server", patroni.servers(), "--ca", patroni.authority.ca]


@pytest.fixture
def watch(patroni):
    def make(*arguments):
        return lookups.Watch("lookup-patroni", *asked(patroni), "--interval", "0.1", *arguments)

    yield from holdfast.each_ends(make, lookups.Watch.stop)


class Writers:
    """pgbench through a service's socket, started again whenever it ends: each transaction writes down which server
    has carried it out, and when."""

    SCRIPT = "insert into written values (inet_server_port(), clock_timestamp());\n"

    def __init__(self, folder, socket_folder):
        self.script, self.errors = os.path.join(folder, "script"), os.path.join(folder, "pgbench.log")
        with open(self.script, "w") as file:
            file.write(self.SCRIPT)
        self.command = [os.path.join(postgres_programs(), "pgbench"), "-h", socket_folder, "-U", "postgres", "-n",
                        "-f", self.script, "-c", "4", "-j", "2", "-T", "60", "postgres"]
        self.process, self.over = None, False
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        with open(self.errors, "ab") as log:
            while not self.over:
                self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                env=holdfast.environment())
                self.process.wait()

    def refused(self):
        """How often a server has refused to write."""
        with open(self.errors) as file:
            return len(re.findall("read-only transaction", file.read()))

    def stop(self):
        self.over = True
        self.process.terminate()
        self.thread.join()


@pytest.fixture
def writers(folder):
    yield from holdfast.each_ends(lambda socket_folder: Writers(folder, socket_folder), Writers.stop)


def told(member, question):
    """A number from a server's answer."""
    done = member.psql(question)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.strip() or "nan")


def test_servers_by_their_role(patroni):
    leader = patroni.wait_primary()
    follower = patroni.others(leader)[0]
    ask = ["lookup-patroni", *asked(patroni)]
    holdfast.until(lambda: follower.ask("/sync")[0] == 200, "it follows in step")
    assert found(*ask) == [leader.address]
    assert found(*ask, "--role", "replica") == [follower.address]
    assert found(*ask, "--role", "sync,primary") == [f"{follower.address} priority=0", f"{leader.address} priority=1"]
    assert found(*ask, "--role", "replica", "--lag", "10MB") == [follower.address]
    first = f"127.0.0.1:1,{follower.api}"
    assert found("lookup-patroni", "--server", first, "--ca", patroni.authority.ca) == [leader.address]
    assert "its certificate is not accepted" in failed("lookup-patroni", "--server", leader.api, "--tls")
    assert "it has closed the connection" in failed("lookup-patroni", "--server", leader.api)
    cause = failed(*ask, "--role", "async,standby-leader")
    assert cause.startswith("no member is async or standby-leader: ") and "master, running" in cause, cause
    assert "Connection refused" in failed("lookup-patroni", "--server", "127.0.0.1:1")


def test_a_watch_follows_a_switch_over_and_a_fail_over(patroni, watch, figure):
    leader = patroni.wait_primary()
    primary, replica = watch(), watch("--role", "replica")
    primary.until([leader.address])
    replica.until([patroni.others(leader)[0].address])
    old, new = patroni.switch_over()
    primary.until([new.address])
    behind = time.time() - (time.monotonic() - primary.at) - new.promotions()[-1]
    figure(f"switch-over: a list {behind:.2f} s after Patroni's line")
    replica.until([old.address], 60)
    holdfast.until(lambda: old.ask("/sync")[0] == 200, "it follows", 60)
    before = len(old.promotions())
    new.kill_server()
    primary.until([old.address], 60)
    holdfast.until(lambda: len(old.promotions()) > before, "Patroni's line")
    behind = time.time() - (time.monotonic() - primary.at) - old.promotions()[-1]
    figure(f"fail-over: a list {behind:.2f} s after Patroni's line")


@pytest.mark.long
@pytest.mark.parametrize("way", ["refresh = 2;", "watch = true;"])
def test_writers_follow_the_primary(patroni, daemon, writers, way, figure):
    """What the old primary is asked to write once it is one no more: nothing that it does; and nobody waits longer
    than two lookups."""
    script = lookups.program("lookup-patroni")
    one = daemon(f's: {{ listen: {{ path = ".s.PGSQL.5432"; }}; on_withdrawn = "drop"; retry: {{ delay = 1; }};'
                 f'lookup: {{ script = "{script}"; args = {json.dumps(asked(patroni))}; {way} }}; }};')
    leader = patroni.wait_primary()
    assert leader.psql("create table if not exists written (port int, at timestamptz)").returncode == 0
    holdfast.until(lambda: patroni.others(leader)[0].ask("/sync")[0] == 200, "it follows", 60)
    load = writers(one.folder)
    moves = {"fail-over": lambda: patroni.primary().kill_server(), "switch-over": patroni.switch_over}
    for name, move in moves.items():
        old = patroni.primary()
        new = patroni.others(old)[0]
        last = f"select extract(epoch from max(at)) from written where port = {old.port}"
        holdfast.until(lambda: told(old, last) > time.time() - 1, "transactions", 30)
        refused, before = load.refused(), len(new.promotions())
        move()
        holdfast.until(lambda: len(new.promotions()) > before, "a promotion", 60)
        promoted = new.promotions()[-1]
        after = f"from written where extract(epoch from at) > {promoted} and port ="
        first = f"select extract(epoch from min(at)) {after} {new.port}"
        holdfast.until(lambda: told(new, first) > 0, "a transaction", 30)
        assert told(new, f"select count(*) {after} {old.port}") == 0
        figure(f"{name}, {way} first transaction {told(new, first) - promoted:.2f} s after Patroni's line; "
               f"the old primary has refused {load.refused() - refused} writes")
        holdfast.until(lambda: old.ask("/sync")[0] == 200, "the old one follows", 60)
