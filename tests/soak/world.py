"""world - what a soak is done to: a daemon with a service of each kind, holdfast-tls, and their servers, half of
which are behind a link that can be cut."""
import contextlib
import os
import signal
import socket
import subprocess
import threading

import asking
import holdfast
import manager
import network
import real_servers
import test_spool
import tls_program
import upstream

HERE, THERE = "10.9.1.1", "10.9.1.2"
SOON = "retry: { delay = 0.1; };"
LOADED = r'hello = ( { send = "PING\r\n"; expect = "+PONG"; timeout = 5; } );'  # it listens before


def within(place, work):
    """What work() gives in this network; what it raises is raised."""
    def keep():
        try:
            return work(), None
        except Exception as failure:
            return None, failure

    value, failure = place.inside(keep)
    if failure:
        raise failure
    return value


class FarLoad(holdfast.Load):
    """Whose server is behind the link."""

    def __init__(self, folder, far):
        self.far = far
        super().__init__(folder)
        self.address = f"{THERE}:{self.port}"

    def listen(self):
        def work():
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port = holdfast.free_port()
            self.listener.bind((THERE, port))
            self.listener.listen(4096)
            return port

        return within(self.far, work)

    def end_process(self):
        """What has run until now; another may be started."""
        holdfast.Generator.end(self)
        self.process = None


class Front:
    """HAProxy before the servers of bytes, of which one takes TLS.  Down, it listens no more and goes on with whom it
    has."""

    def __init__(self, folder, far, certificate, plain, secret):
        self.folder, self.far, self.processes = folder, far, []
        self.port, self.tls_port = holdfast.free_port(), holdfast.free_port()
        self.address, self.tls_address = f"{THERE}:{self.port}", f"{THERE}:{self.tls_port}"
        with open(f"{folder}/front.pem", "w") as both:
            for name in certificate:
                with open(name) as file:
                    both.write(file.read())
        with open(f"{folder}/haproxy.cfg", "w") as file:
            file.write("defaults\n mode tcp\n timeout connect 20s\n timeout client 600s\n timeout server 600s\n"
                       f"listen plain\n bind {self.address}\n server s {plain}\n"
                       f"listen tls\n bind {self.tls_address} ssl crt {folder}/front.pem\n server t {secret}\n")
        self.up()

    def up(self):
        def work():
            self.processes.append(subprocess.Popen(["haproxy", "-db", "-q", "-f", f"{self.folder}/haproxy.cfg"],
                                                   stdin=subprocess.DEVNULL, env=holdfast.environment()))
            holdfast.until(self.listens, "HAProxy listens")

        within(self.far, work)

    def listens(self):
        with socket.socket() as one:
            return one.connect_ex((THERE, self.port)) == 0

    def down(self):
        self.processes[-1].send_signal(signal.SIGUSR1)

    def tidy(self):
        """Ends those that only go on."""
        for one in self.processes[:-1]:
            one.kill()
            one.wait()
        del self.processes[:-1]

    def end(self):
        for one in self.processes:
            one.kill()
            one.wait()


class World:
    def __init__(self, folder):
        self.folder = folder
        self.stack = contextlib.ExitStack()
        self.near, self.far = network.Network(), network.Network()
        self.stack.callback(self.far.end)
        self.stack.callback(self.near.end)
        self.join()
        self.begin_servers()
        self.begin_tls()
        self.variant = {"extra": False, "front": True, "own": 4}
        os.mkdir(f"{folder}/d")
        self.one = manager.Managed(f"{folder}/d", self.text(), 'log: { level = "notice"; target = "stderr"; };')
        self.one.install(os.path.join(holdfast.BUILD, "holdfastd"))
        self.stack.callback(self.one.end)
        within(self.near, self.one.start)
        for name in ("s", "tls", "stay", "redis", "counters", "log", "cache"):
            self.one.wait_connected(name)
        self.stay = self.one.client("stay")
        self.stack.callback(lambda: self.stay.close())
        self.answered, self.replaced = 0, 0

    def join(self):
        self.near.run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns",
                      self.far.holder.pid)
        self.near.run("ip", "address", "add", f"{HERE}/24", "dev", "near")
        self.near.run("ip", "link", "set", "near", "up")
        self.far.run("ip", "address", "add", f"{THERE}/24", "dev", "far")
        self.mend()

    def cut(self):
        self.far.run("ip", "link", "set", "far", "down")

    def mend(self):
        self.far.run("ip", "link", "set", "far", "up")

    def begin_servers(self):
        self.load, self.load_tls = FarLoad(self.folder, self.far), FarLoad(self.folder, self.far)
        self.stack.callback(self.load.end)
        self.stack.callback(self.load_tls.end)
        self.authority = tls_program.Authority(self.folder)
        self.front = Front(self.folder, self.far, self.authority.issue("front"), self.load.address,
                           self.load_tls.address)
        self.stack.callback(self.front.end)
        self.redis = real_servers.Redis(self.folder)
        self.counters = real_servers.Redis(self.folder, True, ("--bind", THERE, "--protected-mode", "no"))
        self.counters.address = f"{THERE}:{self.counters.port}"
        self.cache = real_servers.Memcached(self.folder)
        self.collector = test_spool.Collector()
        for place, server in ((self.near, self.redis), (self.far, self.counters), (self.near, self.cache)):
            within(place, server.start)
            self.stack.callback(server.kill)
        self.collector_up()
        self.stack.callback(lambda: self.collector.is_up and self.collector.down())
        self.echo = upstream.Upstream(port=holdfast.free_port(), host=THERE)
        within(self.far, self.echo.start)
        self.stack.callback(self.echo.stop)

    def counters_up(self):
        within(self.far, self.counters.start)

    def collector_up(self):
        within(self.near, self.collector.up)

    def begin_tls(self):
        os.mkdir(f"{self.folder}/tls")
        self.tls = within(self.near, lambda: tls_program.Program(f"{self.folder}/tls"))
        self.stack.callback(self.tls.end)

    def text(self):
        """The configuration, with what reloads change."""
        addresses = [self.load.address] + [self.front.address] * self.variant["front"]
        listed = ", ".join(f'"{address}"' for address in addresses)
        return (f's: {{ addresses = [{listed}]; pick = "random"; {SOON} warm = 1; }};\n'
                f'tls: {{ address = "{self.front.tls_address}"; {SOON} warm = 1; tls: {{ '
                f'ca = "{self.authority.ca}"; socket = "{self.folder}/tls/tls.sock"; name = "localhost"; }}; }};\n'
                f'stay: {{ address = "{self.echo.address}"; {SOON} }};\n' +
                asking.shared("redis", self.redis.address, f'max_own = {self.variant["own"]};') +
                asking.shared("counters", self.counters.address, LOADED) +
                asking.shared("cache", self.cache.address, "", "memcache") +
                asking.shared("log", self.collector.address, f'replies = "none"; spool: {{ path = '
                              f'"{self.folder}/spool"; fsync = "no"; max_size = {256 << 20}; }};', "line") +
                f'extra: {{ address = "{self.echo.address}"; {SOON} warm = 2; }};\n' * self.variant["extra"])

    def configure(self):
        self.one.configure(self.text(), 'log: { level = "notice"; target = "stderr"; };')

    def restart(self):
        within(self.near, self.one.restart)

    def ask_stay(self):
        """The session that has been there since the start."""
        line = b"%d\n" % (self.answered + 1)
        self.stay.send(line)
        right = self.stay.line() == line
        self.answered += right
        return right

    def replace_stay(self):
        """Of one that has failed nothing more is to be learned.  Whether there is another now."""
        self.stay.close()
        try:
            self.stay = self.one.client("stay")
        except OSError:
            return False
        self.replaced += 1
        return True

    def end(self):
        self.stack.close()


class CacheUser(threading.Thread):
    """A client of memcache that comes again and again, and reads what it has written."""

    def __init__(self, path, name):
        super().__init__(daemon=True)
        self.path, self.key, self.over = path, name.encode(), threading.Event()
        self.right, self.failures = 0, []

    def run(self):
        while not self.over.is_set():
            try:
                with holdfast.Client(self.path, 60) as client:
                    for _ in range(20):
                        self.once(client)
                        self.over.wait(0.02)
            except (OSError, AssertionError) as failure:
                self.failures.append(str(failure))
                self.over.wait(0.1)

    def once(self, client):
        value = b"%d" % (self.right + 1)
        client.send(b"set %s 0 0 %d\r\n%s\r\nget %s\r\n" % (self.key, len(value), value, self.key))
        answer = [client.line() for _ in range(4)]
        expected = [b"STORED\r\n", b"VALUE %s 0 %d\r\n" % (self.key, len(value)), value + b"\r\n", b"END\r\n"]
        assert answer == expected, f"{answer} in place of {expected}"
        self.right += 1

    def finish(self):
        self.over.set()
        self.join()
        return self.right, self.failures
