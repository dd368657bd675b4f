"""storm - deaths of the worker while clients are served."""
import random
import signal

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
