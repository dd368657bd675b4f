"""Endpoints are killed, stopped and restarted at random, at least two are always well: no client is refused."""
import random
import signal
import socket
import subprocess
import threading
import time

import pytest

import holdfast

PING, PONG = b"PING\r\n", b"+PONG\r\n"


class Server:
    """A redis-server that can be killed, stopped, and started anew."""

    def __init__(self, folder):
        self.port, self.folder, self.state, self.process = holdfast.free_port(), folder, "dead", None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no", "--dir", self.folder],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=holdfast.environment())
        self.state = "well"

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as client:
                client.sendall(PING)
                return client.recv(7) == PONG
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.state = "dead"

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)
        self.state = "stopped"

    def mend(self):
        if self.state == "stopped":
            self.process.send_signal(signal.SIGCONT)
            self.state = "well"
        elif self.state == "dead":
            self.start()


@pytest.fixture
def servers(folder):
    made = []

    def start(count):
        made.extend(Server(folder) for _ in range(count))
        for server in made:
            holdfast.until(server.answers, "a server")
        return made

    yield start
    for server in made:
        if server.state != "dead":
            server.kill()


def misfortune(servers, seconds):
    """Something happens every 50 ms; the first two are always well."""
    end, dice = time.monotonic() + seconds, random.Random(1)
    while time.monotonic() < end:
        server = dice.choice(servers[2:])
        if server.state != "well":
            server.mend()
        elif dice.random() < 0.5:
            server.kill()
        else:
            server.stop()
        time.sleep(0.05)


class Visitors:
    """Clients that come, ask, and leave, until they are told to stop."""

    def __init__(self, path, count):
        self.path, self.waits, self.refused, self.cut = path, [], [], 0
        self.done, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self.visit) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def visit(self):
        while not self.done.is_set():
            begin, said = time.monotonic(), b""
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(holdfast.BOUND)
                    client.connect(self.path)
                    client.sendall(PING)
                    said = client.recv(7)
            except OSError as error:
                said = str(error).encode()
            with self.lock:
                if said == PONG:
                    self.waits.append(time.monotonic() - begin)
                elif said in (b"", b"[Errno 104] Connection reset by peer", b"timed out"):
                    self.cut += 1  # its server died, or was stopped, with its question
                else:
                    self.refused.append(said)

    def finish(self):
        self.done.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.plain
@pytest.mark.parametrize("count, visitors, seconds", [
    (6, 10, 5), pytest.param(20, 50, 60, marks=pytest.mark.long)], ids=["6", "20"])
@pytest.mark.parametrize("kills", [False, True], ids=["", "kills"])
def test_nobody_is_refused(daemon, servers, figure, count, visitors, seconds, kills):
    group = servers(count)
    addresses = ", ".join(f'"127.0.0.1:{server.port}"' for server in group)
    one = daemon(f's: {{ addresses = [ {addresses} ]; pick = "random"; retry: {{ delay = 1; }}; warm = 1; '
                 'hello = ( { send = "PING\\r\\n"; expect = "+PONG"; timeout = 1; } ); };\n',
                 top='log: { level = "info"; target = "stderr"; };')
    one.wait_connected("s")
    people, storm = Visitors(one.socket("s"), visitors), threading.Thread(target=misfortune, args=(group, seconds))
    storm.start()
    while storm.is_alive():
        if kills:
            one.kill_worker(signal.SIGKILL)
        storm.join(0.5)
    for server in group:
        server.mend()
    people.finish()
    late = sum(wait > 0.3 for wait in people.waits)
    assert not people.refused, people.refused[:5]
    assert len(people.waits) > 100
    figure(f"{len(people.waits)} answered, {late} of them after more than 300 ms, longest "
           f"{max(people.waits):.2f} s; {people.cut} cut with their server; none refused")
