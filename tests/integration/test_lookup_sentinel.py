"""lookup-sentinel, with a real Redis master, two replicas and three real sentinels."""
import os
import socket
import threading
import time

import pytest

import holdfast
import lookups
from lookups import failed, found
from sentinel_cluster import NAME, Cluster

pytestmark = pytest.mark.plain


@pytest.fixture(scope="module")
def sentinel(module_folder):
    one = Cluster(module_folder)
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.fixture
def watch(sentinel):
    def make(*arguments):
        return lookups.Watch("lookup-sentinel", "--server", sentinel.servers(), "--refresh", "60", *arguments, NAME)

    yield from holdfast.each_ends(make, lookups.Watch.stop)


class Writers:
    """A client of a service that counts, and connects again when it must: which server has answered, and when."""

    COUNT = "redis.call('incr', 'n') return string.match(redis.call('info', 'server'), 'tcp_port:(%d+)')"

    def __init__(self, path):
        self.path, self.over, self.answers = path, threading.Event(), []
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        command = b"*3\r\n$4\r\nEVAL\r\n$%d\r\n%s\r\n$1\r\n0\r\n" % (len(self.COUNT), self.COUNT.encode())
        while not self.over.is_set():
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(holdfast.BOUND)
                try:
                    client.connect(self.path)
                    while not self.over.wait(0.005):  # its pace
                        client.sendall(command)
                        answer = client.recv(500)
                        if not answer:
                            break
                        self.answers.append((time.time(), answer.split(b"\r\n")[-2].decode()))
                except OSError:
                    pass

    def answered(self, server, since):
        """When this one has counted, since then."""
        return [at for at, port in list(self.answers) if at > since and port == str(server.port)]

    def refused(self, since):
        return sum(at > since and "READONLY" in text for at, text in list(self.answers))

    def stop(self):
        self.over.set()
        self.thread.join()


@pytest.fixture
def writers():
    yield from holdfast.each_ends(Writers, Writers.stop)


def test_servers_by_their_role(sentinel):
    ask = ["lookup-sentinel", "--server", sentinel.servers()]
    master = [sentinel.settle().address]
    assert found(*ask, NAME) == master
    replicas = sorted(one.address for one in sentinel.replicas())
    assert sorted(found(*ask, "--role", "replica", NAME)) == replicas
    both = found(*ask, "--role", "replica,master", "my%s", service="master")
    assert sorted(both) == sorted([f"{one} priority=0" for one in replicas] + [f"{master[0]} priority=1"])
    assert found("lookup-sentinel", "--server", f"127.0.0.1:1,{sentinel.servers()}", NAME) == master
    assert "it watches no master other" in failed(*ask, "other")
    assert "not Redis's protocol" not in failed("lookup-sentinel", "--server", "127.0.0.1:1", NAME)
    assert failed("lookup-sentinel", "--server", sentinel.master.address, NAME).startswith(sentinel.master.address)


def test_with_a_password_from_a_file_over_tls(folder):
    authority = lookups.Authority(folder)
    one = Cluster(folder, sentinels=1, authority=authority, password="secret", name="secure")
    path = os.path.join(folder, "password")
    with open(path, "w") as file:
        file.write("secret\n")
    ask = ["lookup-sentinel", "--server", one.servers(), "--ca", authority.ca]
    try:
        one.start()
        assert found(*ask, "--password-file", path, NAME) == [one.master.address]
        assert found(*ask, "--user", "default", "--password-file", path, NAME) == [one.master.address]
        assert "NOAUTH" in failed(*ask, NAME)
        with open(path, "w") as file:
            file.write("wrong\n")
        assert "WRONGPASS" in failed(*ask, "--password-file", path, NAME)
    finally:
        one.stop()


def left(one, address):
    """Lookups have not listed it, and nobody has a connection to it."""
    found = [each for each in one.command("endpoints s")["endpoints"] if each["address"] == address]
    return not found or (found[0]["state"] == "withdrawn" and not found[0]["connections"])


@pytest.mark.long
@pytest.mark.parametrize("way", ["refresh = 2;", "watch = true;"])
@pytest.mark.parametrize("mode", ["session", 'shared"; framing = "resp'])
def test_writers_follow_the_master(sentinel, daemon, writers, mode, way, figure):
    script = lookups.program("lookup-sentinel")
    one = daemon(f's: {{ mode = "{mode}"; on_withdrawn = "drop"; retry: {{ delay = 1; }};'
                 f'lookup: {{ script = "{script}"; {way}'
                 f'args = ["--server", "{sentinel.servers()}", "{NAME}"]; }}; }};')
    load = writers(one.socket("s"))
    for name, move in (("switch-over", sentinel.switch_over), ("fail-over", sentinel.kill_master)):
        old = sentinel.settle()
        holdfast.until(lambda server=old: load.answered(server, time.time() - 0.1), "it counts")
        when = sentinel.moved(move)
        answered = holdfast.until(lambda since=when: load.answered(sentinel.master, since), "another one counts", 60)
        holdfast.until(lambda address=old.address: left(one, address), "the old one is left")
        assert not load.answered(old, answered[0]), "nothing is written to the old one any more"
        figure(f"{name}, {way} first write at the new master {answered[0] - when:.2f} s after +promoted-slave; "
               f"until then the old one took {len(load.answered(old, when))} and refused {load.refused(when)}")
        if old.process is None:
            old.follow(sentinel.master)
    print(one.ctl("explain", "s").stdout)


def test_a_watch_follows_a_fail_over_and_outlives_the_sentinel_that_it_asked(sentinel, watch, figure):
    """That one is back by then: two alone often vote for themselves."""
    old = sentinel.settle()
    master, replicas = watch(), watch("--role", "replica")
    master.until([old.address])
    replicas.until(sorted(one.address for one in sentinel.replicas()))
    sentinel.sentinels[0].kill()
    holdfast.until(lambda: any("the watch has ended" in line for line in master.errors), "it has asked another")
    sentinel.sentinels[0].start()
    assert sentinel.settle() is old
    when = sentinel.moved(sentinel.kill_master)
    master.until([sentinel.master.address])
    behind = time.time() - (time.monotonic() - master.at) - when
    figure(f"a list {behind * 1000:.0f} ms after +promoted-slave")
    replicas.until([one.address for one in sentinel.redis if one not in (sentinel.master, old)])
