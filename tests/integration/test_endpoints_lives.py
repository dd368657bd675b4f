"""The worker dies, and the program is upgraded, restarted and reloaded, at random, while dials hang, endpoints are
failed or are asked for their health, and a script's list changes: nobody is refused, and nothing is lost."""
import os
import random
import time

import pytest

import holdfast
import manager
from lookup_script import Source
from storm import Again
from test_withdrawn_session import REFRESH
from upstream import answering, stall
from visits import Visits

pytestmark = [pytest.mark.long, pytest.mark.plain]  # two builds, and real time
SECONDS = 60 if holdfast.LONG else 6
MOVE = 3.0  # seconds from one list to the next: time enough to be withdrawn
STAY = 12   # clients that are attached from begin to end
PROGRAM = os.path.join(holdfast.BUILD, "holdfastd")
OTHER = os.path.join(holdfast.OTHER_BUILD, "holdfastd")
HELLO = r'hello = ( { send = "PING\n"; expect = "PONG"; timeout = 1; } ); '
# The first of the list hangs, the second refuses, the third is well.
MORE = HELLO + "connect_timeout = 1; connect_stagger = 0.1; health: { interval = 0.5; }; retry: { delay = 0.3; };"


def answers(name):
    """Each line is answered with the server's name and the line."""
    return answering(lambda line: b"PONG\n" if line == b"PING\n" else name.encode() + b" " + line)


class Lives(Again):
    """What may happen to the daemon, and what its script says."""

    def __init__(self, one, source, lists):
        super().__init__(0.1)
        self.one, self.source, self.lists = one, source, lists
        self.counts = dict.fromkeys(("deaths", "upgrades", "restarts", "reloads", "moves"), 0)
        self.moved = time.monotonic()

    def once(self):
        if time.monotonic() - self.moved > MOVE:
            self.counts["moves"] += 1
            self.source.say(*self.lists[self.counts["moves"] % 2])
            self.moved = time.monotonic()
        what = random.choices(list(self.counts)[:4], (12, 2, 2, 1))[0]
        getattr(self, what)()
        self.counts[what] += 1

    def deaths(self):
        self.one.kill_worker()

    def upgrades(self):
        self.one.install(OTHER if self.counts["upgrades"] % 2 == 0 else PROGRAM)
        done = self.one.ctl("upgrade", bound=30)
        assert done.returncode == 0, done.stderr

    def restarts(self):
        self.one.restart()

    def reloads(self):
        done = self.one.ctl("reload", bound=30)
        assert done.returncode == 0, done.stderr


class Stayers:
    """Clients that are attached all the time; each asks by numbers, so that a lost or doubled answer is seen."""

    def __init__(self, one, count):
        self.clients = [one.client("s") for _ in range(count)]
        self.number, self.servers = 0, [client.ask("first").split()[0] for client in self.clients]

    def ask_all(self):
        self.number += 1
        for client in self.clients:
            client.send(b"%d\n" % self.number)
        for client, server in zip(self.clients, self.servers):
            assert client.line() == b"%s %d\n" % (server, self.number)

    def close(self):
        for client in self.clients:
            client.close()


@pytest.fixture
def begin(daemon, upstream, folder):
    def start(more):
        well = {name: upstream(answers(name)) for name in "ab"}
        hung, dead = upstream(stall), f"127.0.0.1:{holdfast.free_port()}"
        lists = [(hung.address, dead, well[name].address) for name in "ab"]
        source = Source(folder, *lists[0])
        one = daemon(source.service(f"refresh = {REFRESH};", MORE + more), start=False, kind=manager.Managed)
        one.install(PROGRAM)
        one.start()
        one.wait_connected("s")
        return one, Lives(one, source, lists), hung
    return start


def tell(one, lives, hung, figure, done):
    endpoints = {each["address"]: each for each in one.command("endpoints s")["endpoints"]}
    dead = lives.lists[0][1]
    assert endpoints[dead]["state"] == "failed"
    assert hung.accepted > 0  # whether it is failed already depends on when the last worker began
    status = one.status()
    assert (status["restarts"], status["upgrades"]) == (lives.counts["restarts"], lives.counts["upgrades"])
    figure(f"{lives.counts}; {done}; {hung.accepted} dials hung")


def test_sessions(begin, figure):
    one, lives, hung = begin("warm = 1;")
    stayers = Stayers(one, STAY)
    over = time.monotonic() + SECONDS
    with lives, Visits(one.socket("s"), b"x\n", slots=10, pause=0.01) as visits:
        while time.monotonic() < over:
            stayers.ask_all()
    stayers.ask_all()
    stayers.close()
    longest = max(visit.took for visit in visits.done)
    tell(one, lives, hung, figure, f"{len(visits.done)} visits, the longest {longest:.2f} s, {stayers.number} "
         f"questions by each of {STAY} that stayed")
    assert not visits.unanswered(), visits.unanswered()[:5]
    assert visits.servers().keys() == {"a", "b"}


def test_shared(begin, ask, figure):
    one, lives, hung = begin('mode = "shared"; framing = "line"; loss_reply = "lost\\n"; standby = 1;')
    load = ask().start(one.socket("s"), "line", clients=20, depth=2, rate=2000, error="lost")
    load.wait_running()
    with lives:
        lives.over.wait(SECONDS)
    result = load.finish().result()
    tell(one, lives, hung, figure, f"{result['right']} right, {result['errors']} lost")
    assert result["right"] == result["operations"] and result["wrong"] == result["errors"] == 0
