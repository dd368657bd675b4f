#!/usr/bin/python3
"""soak - a daemon with services of all kinds under load, to which everything happens, at random, for long.

  soak.py [--minutes N] [--seed N] [--report FOLDER]

Rounds of load follow each other: sessions and sessions over TLS whose every byte is checked, shared Redis whose
counters must count each answer once, shared memcached, lines with a spool; one session stays from the start to
the end.  Meanwhile the blows of blows.py fall.  After each round all must have arrived, and at rest file
descriptors and memory are measured.  REPORT.md and its picture are written into the folder.  Exits 1 if anything
was lost or wrong, or if what is held has grown.  HOLDFAST_BUILD names the build, HOLDFAST_PORTS a range of ports;
needs root.
"""
import argparse
import collections
import os
import random
import shutil
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../integration")]
import asking  # noqa: E402
import blows  # noqa: E402
import holdfast  # noqa: E402
import report  # noqa: E402
import world as world_module  # noqa: E402

ROUND = 20  # seconds of blows
WRITERS = 4
STILL = 2   # seconds without a turn of a loop that needs nothing: the machine stood still, not the daemon


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--report", default=HERE)
    return parser.parse_args()


def now():
    """That of the machine, suspended or not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Standstills(threading.Thread):
    """When the machine ran nothing, not even this."""

    def __init__(self):
        super().__init__(daemon=True)
        self.found = []  # (when it was over, how long it was)
        self.last = now()

    def run(self):
        pause = threading.Event()
        while True:
            pause.wait(0.1)
            self.look()

    def look(self):
        last, self.last = self.last, now()
        if self.last - last > STILL:
            self.found.append((self.last, self.last - last))

    def note(self, since):
        """What is to be said of a failure that was waited for since then."""
        self.look()  # whoever finds the failure may run first
        lengths = [length for when, length in self.found if when >= since]
        return f" (the machine stood still for {sum(lengths):.1f} s meanwhile)" if lengths else ""


class Soak:
    def __init__(self, world, dice):
        self.world, self.dice = world, dice
        self.blows = blows.Blows(world, dice)
        self.done = collections.Counter()  # of what was right
        self.wrong = []
        self.samples = []  # report.Sample, at rest
        self.number = 0
        self.begun = time.monotonic()
        self.round_begun = now()
        self.standstills = Standstills()
        self.standstills.start()

    def round(self):
        self.number += 1
        self.round_begun = now()
        self.begin_load()
        kinds = self.blows.round(ROUND)
        before = len(self.wrong)
        self.end_load()
        for text in self.wrong[before:]:
            print(f"  WRONG: {text}", flush=True)
        sample = self.rest()
        self.samples.append(sample)
        print(f"{sample.minutes:6.1f} min, round {self.number}: {' '.join(kinds)}; {sample.text()}", flush=True)

    # The load, and what it found.

    def begin_load(self):
        one, folder = self.world.one, self.world.folder
        more = {"bulk": 1, "bulk_bytes": 4 << 20} if self.dice.random() < 0.3 else {}
        for load, service in ((self.world.load, "s"), (self.world.load_tls, "tls")):
            load.start(one.socket(service), 3600, ping=4, ask=2, half=1, slow=1, think=20, **more,
                       seed=self.dice.randint(1, 1 << 30))
        self.asks = {}
        self.ask("redis", "redis-incr", prefix=f"r{self.number}", depth=4)
        self.ask("counters", "redis-incr", prefix=f"c{self.number}", depth=4, error=asking.LOST)
        self.world.collector.lines = []
        self.ask("log", "tell", half_close=True)
        self.cache = [world_module.CacheUser(one.socket("cache"), f"key{number}") for number in range(WRITERS)]
        for user in self.cache:
            user.start()
        self.stay = threading.Thread(target=self.ask_stay)
        self.over = threading.Event()
        self.stay.start()

    def ask(self, service, mode, **options):
        self.asks[service] = asking.Ask(self.world.folder).start(
            self.world.one.socket(service), mode, clients=WRITERS, rate=100, patience=60, **options)

    def ask_stay(self):
        """A failure is counted once: another session takes the failed one's place."""
        while not self.over.wait(0.2):
            if not self.check(self.world.ask_stay, "the session that stays", now()):
                while not self.world.replace_stay() and not self.over.wait(0.2):
                    pass

    def add_wrong(self, what, failure, since=None):
        note = self.standstills.note(self.round_begun if since is None else since)
        self.wrong.append(f"round {self.number}, {what}: {str(failure)[:1500]}{note}")

    def check(self, work, what, since=None):
        """What work() gives; its failure is counted.  since: when what it looks at began, if not with the round."""
        try:
            value = work()
            if value is False:
                raise AssertionError("not what was expected")
            return value
        except Exception as failure:  # all that a soak meets is told at its end
            self.add_wrong(what, failure, since)
            return None

    def end_load(self):
        self.over.set()
        self.stay.join()
        for load in (self.world.load, self.world.load_tls):
            load.finish()
        for load, service in ((self.world.load, "s"), (self.world.load_tls, "tls")):
            result = self.check(lambda load=load: load.result(120), service)
            if result:
                self.done[service + ", round trips"] += result["round_trips"]
                self.done[service + ", connections"] += sum(result[kind] for kind in ("ask", "half", "slow"))
                self.done[service + ", bytes"] += result["bytes"]
            load.end_process()
        for service, ask in self.asks.items():
            result = self.check(lambda ask=ask: ask.finish().result(120), service)
            if result:
                self.done[f"{service}, answers" if service != "log" else "log, lines"] += \
                    result["operations" if service == "log" else "right"]
                self.done[f"{service}, told as lost"] += result["errors"]
                self.check(lambda: getattr(self, "verify_" + service)(result), service)
            ask.end()
        for user in self.cache:
            right, failures = user.finish()
            self.done["cache, answers"] += 2 * right
            for text in failures:
                self.add_wrong("cache", text)

    def counted(self, service, letter):
        with asking.Resp(self.world.one.socket(service)) as client:
            return [int(client.ask("GET", f"{letter}{self.number}:{number}") or 0) for number in range(WRITERS)]

    def verify_redis(self, result):
        """Each answer was counted once."""
        counted = self.counted("redis", "r")
        assert counted == result["counts"] and result["errors"] == 0, f"{counted}, {result}"

    def verify_counters(self, result):
        """What was answered was counted; what was told as lost may have been."""
        counted = self.counted("counters", "c")
        assert all(there >= known for there, known in zip(counted, result["counts"])), f"{counted}, {result}"
        assert sum(counted) <= result["right"] + result["errors"], f"{counted}, {result}"

    def verify_log(self, result):
        """Each line has arrived, none before the one that was said before it; some may have come again."""
        collector = self.world.collector

        def missing():
            following = [0] * WRITERS
            for line in collector.lines:
                writer, number = (int(word) for word in line.split()[:2])
                assert number <= following[writer], f"{number} of {writer} came before {following[writer]}"
                following[writer] = max(following[writer], number + 1)
            return sum(result["counts"]) - sum(following)

        holdfast.until(lambda: missing() == 0, "all lines", 60)
        self.done["log, lines that came again"] += len(collector.lines) - sum(result["counts"])

    # What is held when nothing moves.

    def rest(self):
        world = self.world
        world.front.tidy()
        world.variant = {"extra": False, "front": True, "own": 4}
        world.configure()
        holdfast.until(lambda: (world.one.question("reload") or {}).get("ok"), "a reload", 60)
        for name in ("s", "tls"):
            world.one.question(f"reconnect {name}")
        holdfast.until(self.rests, "rest", 60)
        tls = world.tls.pids
        holdfast.until(lambda: all(holdfast.proc_state(pid) in ("", "Z") for pid in tls[:-1]), "former instances", 60)
        self.check(lambda: world.one.process.poll() is None, "the keeper lives")
        worker = holdfast.until(world.one.worker, "a worker")
        return report.Sample((time.monotonic() - self.begun) / 60, {
            "keeper": report.measure(world.one.keeper), "worker": report.measure(worker),
            "holdfast-tls": report.measure(tls[-1])})

    def rests(self):
        for one in self.world.one.status()["services"]:
            expected = 1 if one["service"] == "stay" else 0
            if one["clients"] != expected or one["held"] or not one["up"] and one["service"] != "stay":
                return False
            if one.get("spool") and one["spool"]["messages"]:
                return False
        return self.world.one.pipes() == 0 and self.settled("s") and self.settled("tls")

    def settled(self, service):
        status = self.world.one.status(service)
        return status["warm"] or status["resting"]


def main():
    options = arguments()
    folder = tempfile.mkdtemp(prefix="hf-soak-")
    os.chmod(folder, 0o755)
    print(f"SEED={options.seed}, {options.minutes} minutes, in {folder}", flush=True)
    world = world_module.World(folder)
    soak = Soak(world, random.Random(options.seed))
    try:
        while time.monotonic() - soak.begun < options.minutes * 60:
            soak.round()
    except (Exception, KeyboardInterrupt) as failure:
        soak.add_wrong("the soak ended", repr(failure))
        print(f"  WRONG: {soak.wrong[-1]}", flush=True)
    restarts = soak.check(world.one.status, "status at the end") or {}
    soak.check(world.end, "the end")
    good = report.write(options, soak, restarts)
    if good:
        shutil.rmtree(folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
