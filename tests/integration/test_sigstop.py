"""A worker that hangs (SIGSTOP) is noticed by its missing heartbeat and replaced; clients see a pause."""
import signal

import pytest

import holdfast

pytestmark = pytest.mark.plain  # the keeper's watching, and many sessions


def run_stops(daemon, load, count):
    """Many sessions, so that no single one is blamed three times within ten seconds (K7)."""
    generator = load()
    one = daemon(holdfast.behind(generator))
    generator.start(one.socket("s"), count * 6, ping=300, think=20)
    generator.wait_running()
    for _ in range(count):
        restarts = one.restarts()
        worker = one.kill_worker(signal.SIGSTOP)
        holdfast.until(lambda: one.worker() not in (0, worker), "another worker")
        assert one.restarts() == restarts + 1
    generator.finish()
    generator.result()


def test_3_stops(daemon, load):
    run_stops(daemon, load, 3)


@pytest.mark.long
def test_50_stops(daemon, load):
    run_stops(daemon, load, 50)
