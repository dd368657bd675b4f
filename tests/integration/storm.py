"""storm - deaths of the worker, or other blows, while clients are served."""
import random
import signal
import threading

from holdfast import ALL_KINDS, until


def warmed_up(one, generator):
    """Every kind of exchange has been done once, without a death; gives the number of open files at rest."""
    generator.start(one.socket("s"), 0.3, **ALL_KINDS)
    generator.result()
    return one.settled_files(["s"])


def strike(one, generator, count, mean, number=signal.SIGKILL):
    """Signals workers at random moments; gives how many were hit before the load ended, and at how many of these
    moments there were pipes."""
    generator.wait_running()
    with_pipes = 0
    for done in range(count):
        if generator.ended_within(random.uniform(0, 2 * mean)):
            return done, with_pipes
        generator.mark()
        with_pipes += one.pipes() > 0
        one.kill_worker(number)
    return count, with_pipes


def assert_no_file_leaked(one, before):
    one.settled_files(["s"])
    until(lambda: one.files() <= before, f"not more than {before} open files (now {one.files()})")


class Again(threading.Thread):
    """once(), which is a subclass's, again and again, a random time of this mean (seconds) after the last; what it
    raises fails the test."""

    def __init__(self, mean=0.0):
        super().__init__()
        self.mean, self.over, self.count, self.failure = mean, threading.Event(), 0, None

    def run(self):
        try:
            while not self.over.wait(random.uniform(0, 2 * self.mean)):
                self.once()
                self.count += 1
        except Exception as failure:  # told by the test
            self.failure = failure

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()
        assert self.failure is None, self.failure


class Deaths(Again):
    """Of the worker."""

    def __init__(self, one, mean=0.1):
        super().__init__(mean)
        self.one = one

    def once(self):
        self.one.kill_worker()


class Kills(Again):
    """Of the worker."""

    def __init__(self, one, mean):
        super().__init__(mean)
        self.one = one

    def once(self):
        self.one.kill_worker()
