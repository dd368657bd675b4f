"""Twenty endpoints are killed, stopped and restarted at random, two at least are well: no client is refused, and
none is without an answer unless its own endpoint dies over it."""
import collections
import random
import re
import signal
import threading
import time

import pytest

import holdfast
from storm import Again
from visits import Visits

pytestmark = pytest.mark.plain  # real programs at full speed
SERVERS = 20
WELL = 2  # at least
CLIENTS = 50
SECONDS = 60 if holdfast.LONG else 6
MEAN = 0.1  # seconds between two blows
LONG_WAIT = 0.3
STAGGER = 0.25


class Storm(Again):
    """Blows to Redis servers at random; who was ill when is kept."""

    def __init__(self, servers):
        super().__init__(MEAN)
        self.servers = {server.port: server for server in servers}
        self.state = dict.fromkeys(self.servers, "well")
        self.ill = collections.defaultdict(list)  # of a port: [from, to, how]
        self.counts = collections.Counter()

    def falls(self, port, how):
        self.state[port] = how
        self.ill[port].append([time.monotonic(), float("inf"), how])

    def rises(self, port):
        self.state[port] = "well"
        self.ill[port][-1][1] = time.monotonic()

    def once(self):
        port = random.choice(list(self.servers))
        server, state = self.servers[port], self.state[port]
        if state == "well" and list(self.state.values()).count("well") <= WELL:
            return
        if state == "well" and random.random() < 0.5:
            self.falls(port, "stopped")
            server.process.send_signal(signal.SIGSTOP)
        elif state == "well" or (state == "stopped" and random.random() < 0.5):
            self.falls(port, "killed")
            server.kill()
        elif state == "stopped":
            server.process.send_signal(signal.SIGCONT)
            self.rises(port)
        else:
            server.start()
            self.rises(port)
        self.counts[f"{state} -> {self.state[port]}"] += 1

    def run(self):
        super().run()
        for port, state in self.state.items():
            if state == "stopped":
                self.servers[port].process.send_signal(signal.SIGCONT)
                self.rises(port)

    def was_ill(self, port, begin, end):
        """How it was, if it was so at some time between."""
        for since, until, how in self.ill[port]:
            if since <= end and until >= begin:
                return how
        return None

    def killed(self, begin, end):
        return any(how == "killed" and begin <= since <= end
                   for each in self.ill.values() for since, _, how in each)

    def fell(self, begin, end):
        """How many fell ill between."""
        return sum(begin <= since <= end for each in self.ill.values() for since, _, _ in each)


def explain(storm, visit):
    """Why it waited for long or had no answer; None: for no reason that is one."""
    if visit.answer is None:
        if storm.killed(visit.begun, visit.ended):
            return "its endpoint was killed over it"
        # one that was stopped before and is killed: seen at once, the other side's end comes a moment later
        return "its endpoint was killed over it" if storm.killed(visit.begun - 0.1, visit.ended) else None
    how = storm.was_ill(int(visit.answer), visit.begun, visit.ended)
    if how is not None:
        return f"its endpoint was {how} over it"
    # Each that is not yet known to be ill costs a client connect_stagger at most.
    unknown = storm.fell(visit.begun - 5, visit.ended)
    if visit.took < LONG_WAIT + STAGGER * unknown:
        return "endpoints before it had just fallen ill"
    return None


def fight(daemon, redis, figure, during):
    servers = [redis() for _ in range(SERVERS)]
    listed = ", ".join(f'"{server.address}"' for server in servers)
    one = daemon(f's: {{ addresses = [{listed}]; pick = "random"; retry: {{ delay = 0.5; }}; connect_timeout = 1; '
                 r'hello = ( { send = "PING\r\n"; expect = "+PONG"; timeout = 1; } ); };')
    one.wait_connected("s")
    # Who answers: "*2", "$4", "port", "$5", and the port.
    with Storm(servers) as storm, Visits(one.socket("s"), b"CONFIG GET port\r\n", slots=CLIENTS, pause=0.02,
                                         lines=5) as visits:
        during(one)
        storm.over.set()
        storm.join()
    reasons = collections.Counter()
    unexplained = []
    for visit in visits.done:
        if visit.answer is None or visit.took > LONG_WAIT:
            reason = explain(storm, visit)
            reasons[reason] += 1
            unexplained += [visit] if reason is None else []
    refused = [visit for visit in visits.done if visit.error and visit.error.startswith("refused")]
    codes = collections.Counter(re.findall(r" code=(\w\w)", one.log()))
    figure(f"{len(visits.done)} clients of {len(visits.servers())} servers; {sum(storm.counts.values())} blows "
           f"{dict(storm.counts)}; {len(visits.unanswered())} without an answer, "
           f"{sum(visit.took > LONG_WAIT for visit in visits.done)} waited over {LONG_WAIT * 1000:.0f} ms: "
           f"{dict(reasons)}; ends {dict(codes)}")
    assert not refused, refused[:5]
    assert not unexplained, unexplained[:5]
    assert codes.keys() <= {"CA", "CC", "CH", "UA"}, codes  # by itself, or by the end of what it was attached to
    assert len(visits.done) > SECONDS * 100
    return one, visits


def test_no_client_is_refused(daemon, redis, figure):
    pause = threading.Event()
    one, _ = fight(daemon, redis, figure, lambda one: pause.wait(SECONDS))
    assert one.restarts() == 0


def test_nor_while_the_worker_dies(daemon, redis, figure):
    pause = threading.Event()
    kills = []

    def strike(one):
        over = time.monotonic() + SECONDS
        while time.monotonic() < over:
            pause.wait(random.uniform(0, 0.2))
            kills.append(one.kill_worker())

    one, _ = fight(daemon, redis, figure, strike)
    figure(f"{len(kills)} kills")
    assert one.restarts() >= len(kills) * 0.8
