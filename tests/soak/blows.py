"""blows - what is done to a world at random: each is an event that is counted; what begins and ends later is undone
by the time that the round ends."""
import collections
import os
import signal
import time

import holdfast

MEAN = 0.8  # seconds between two


class Blows:
    def __init__(self, world, dice):
        self.world, self.dice = world, dice
        self.counts = collections.Counter()
        self.undo = {}  # of what has begun: (when it ends, how)
        self.tls_pids = 0

    def round(self, seconds):
        """Blows of a few kinds for so long."""
        kinds = sorted(self.dice.sample(KINDS, self.dice.randint(3, len(KINDS))))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(self.dice.uniform(0, 2 * MEAN))
            self.end_due()
            kind = self.dice.choice(kinds)
            if kind not in self.undo:
                getattr(self, "do_" + kind)()
                self.counts[kind] += 1
        self.end_due(True)
        return kinds

    def end_due(self, every=False):
        for kind, (when, how) in list(self.undo.items()):
            if every or when <= time.monotonic():
                del self.undo[kind]
                how()

    def later(self, kind, most, how):
        self.undo[kind] = (time.monotonic() + self.dice.uniform(0.1, most), how)

    def do_kill(self):
        self.world.one.kill_worker()

    def do_hang(self):
        """The keeper finds that it does not move."""
        self.world.one.kill_worker(signal.SIGSTOP)

    def do_freeze(self):
        pid = self.world.one.kill_worker(signal.SIGSTOP)
        time.sleep(self.dice.uniform(0.05, 1))
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def do_upgrade(self):
        done = self.world.one.ctl("upgrade", bound=60)
        if done.returncode:
            self.counts["upgrade that was refused"] += 1
            print("  upgrade:", done.stderr.strip()[:200], flush=True)

    def do_restart(self):
        self.world.restart()

    def do_reload(self):
        self.world.variant = {"extra": self.dice.random() < 0.5, "front": self.dice.random() < 0.5,
                              "own": self.dice.randint(2, 8)}
        self.world.configure()
        os.kill(self.world.one.keeper, signal.SIGHUP)

    def do_pause(self):
        name = self.dice.choice(("s", "tls", "redis"))
        self.pause(name)
        self.later("pause", 2, lambda: self.world.one.question(f"resume {name}"))

    def pause(self, name):
        """It stays paused if clients are left after a second, which the answer tells as an error."""
        def asked():
            try:
                answer = self.world.one.command_raw(f"pause {name} 1")
            except ConnectionError:  # the worker died over the answer
                return None
            assert not answer or answer["ok"] or answer.get("timed_out"), answer
            return answer

        holdfast.until(asked, f"pause {name}")

    def do_reconnect(self):
        """Of shared services only one whose clients expect to be told of what was under way."""
        self.world.one.question("reconnect " + self.dice.choice(("s", "tls", "counters", "stay")))

    def do_redis(self):
        """A server of shared mode dies, and comes again with what it has answered for."""
        self.world.counters.kill()
        self.later("redis", 2, self.world.counters_up)

    def do_front(self):
        """An endpoint refuses, and goes on with whom it has."""
        self.world.front.down()
        self.later("front", 3, self.world.front.up)

    def do_collector(self):
        self.world.collector.down()
        self.later("collector", 3, self.world.collector_up)

    def do_cut(self):
        self.world.cut()
        self.later("cut", 3, self.world.mend)

    def do_tls(self):
        """Another instance of holdfast-tls opens from now on; what the last one has stays with it."""
        self.world.tls.upgrade()


KINDS = [name[3:] for name in vars(Blows) if name.startswith("do_")]
WHAT = {
    "kill": "worker killed (SIGKILL)", "hang": "worker stopped (SIGSTOP), until the keeper replaces it",
    "freeze": "worker stopped for up to a second", "upgrade": "upgrade of holdfastd",
    "upgrade that was refused": "of these, refused (a death came between)",
    "restart": "restart of holdfastd, sessions in the file descriptor store", "reload": "reload, something changed",
    "pause": "service paused and resumed", "reconnect": "reconnect", "redis": "Redis killed and started",
    "front": "endpoint refuses for up to 3 s", "collector": "collector gone for up to 3 s",
    "cut": "network cut for up to 3 s", "tls": "upgrade of holdfast-tls",
}
