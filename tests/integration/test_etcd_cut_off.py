"""A service whose endpoints are in a real etcd of three members, through a daemon: a member is cut off, the leader is
killed, keys are put and leases end, while clients come and go and each is answered; needs root."""
import contextlib
import os
import subprocess
import time

import pytest

import holdfast
import lookups
from etcd_cluster import Cluster
from network import Network
from upstream import named
from visits import Visits

pytestmark = [pytest.mark.plain, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

NEAR, FAR = "10.9.1.1", "10.9.1.2"


class Place:
    """A network with two members, the daemon and its servers, and another with the third member."""

    def __init__(self, stack, folder):
        self.near, self.far = Network(), Network()
        stack.callback(self.near.end)
        stack.callback(self.far.end)
        self.near.run("ip", "link", "add", "line", "type", "veth", "peer", "name", "line", "netns",
                      str(self.far.holder.pid))
        for network, address in ((self.near, NEAR), (self.far, FAR)):
            network.run("ip", "address", "add", f"{address}/24", "dev", "line")
            network.run("ip", "link", "set", "line", "up")
        hosts = [(NEAR, self.near.wrapper), (NEAR, self.near.wrapper), (FAR, self.far.wrapper)]
        self.etcd = Cluster(folder, hosts=hosts)
        stack.callback(self.etcd.stop)
        self.etcd.start()
        *self.close, self.away = self.etcd.members
        self.servers = self.etcd.servers(self.away, *self.close)

    def cut(self):
        """Packets to the far member are dropped from now on."""
        self.near.run("ip", "link", "set", "line", "down")

    def mend(self):
        self.near.run("ip", "link", "set", "line", "up")
        self.etcd.wait_leader()


@pytest.fixture
def place(folder):
    with contextlib.ExitStack() as stack:
        yield Place(stack, folder)


def test_lookups_go_on_through_the_other_members(place, daemon, figure):
    servers = {name: place.near.host(number, named(name)) for number, name in enumerate("abc", 5)}
    script, key = lookups.program("lookup-etcd"), "/holdfast/s/it"
    with contextlib.ExitStack() as stack:
        for server in servers.values():
            server.start()
            stack.callback(server.stop)
        place.etcd.put(key, servers["a"].address)
        source = f'script = "{script}"; args = ["--server", "{place.servers}"]; refresh = 0.5;'
        one = daemon(f"s: {{ lookup: {{ {source} }}; retry: {{ delay = 0.5; }}; }};", wrapper=place.near.wrapper)
        watch = lookups.Watch("lookup-etcd", "--server", place.servers, "--refresh", "30", wrapper=place.near.wrapper)
        stack.callback(watch.stop)
        visits = stack.enter_context(Visits(one.socket("s"), b"x\n", slots=2, pause=0.02))

        def moves(name, what, change):
            change()
            done = time.monotonic()
            watch.until([servers[name].address])
            one.wait_status("s", address=servers[name].address, bound=60)
            figure(f"{what}: the watch has it {watch.at - done:.2f} s after that, the daemon is there after "
                   f"{time.monotonic() - done:.2f} s")

        watch.until([servers["a"].address])
        one.wait_connected("s")
        moves("b", "put", lambda: place.etcd.put(key, servers["b"].address))
        place.cut()
        put = ["put", key, servers["c"].address]
        moves("c", "put with a member cut off", lambda: holdfast.until(
            lambda: place.etcd.ctl(*put, members=place.close, check=False).returncode == 0, "put", 60))
        place.mend()
        place.etcd.wait_leader().kill()
        put[2] = servers["a"].address
        moves("a", "put with the leader killed", lambda: holdfast.until(
            lambda: place.etcd.ctl(*put, check=False).returncode == 0, "put", 60))
        words = ["--server", place.servers, "--name", "ahead", "--ttl", "2", "s", servers["b"].address]
        publisher = subprocess.Popen([*place.near.wrapper, lookups.program("publish-etcd"), *words],
                                     stdin=subprocess.DEVNULL, env=lookups.clean())
        stack.callback(lambda: (publisher.kill(), publisher.wait()))
        watch.until([servers["b"].address, servers["a"].address])
        one.wait_status("s", address=servers["b"].address, bound=60)
        moves("a", "publisher with a lease of 2 s killed", publisher.kill)
        assert not visits.unanswered(), visits.unanswered()
    assert visits.servers().keys() == set("abc")
