"""SIGSEGV sent to the worker costs a pause, not a session."""
import signal

import pytest

import asking
import holdfast
import storm

pytestmark = pytest.mark.plain  # a sanitizer has its own handlers


def run_crashes(daemon, load, count, figure):
    """Workers live for a second or so between, and sessions are many: what K7 delays and blames is another
    matter."""
    generator = load()
    one = daemon(holdfast.behind(generator))
    generator.start(one.socket("s"), count * 3, ping=400, think=20)
    assert storm.strike(one, generator, count, 1.0, signal.SIGSEGV)[0] == count
    generator.finish()
    figure(f"{generator.result()['round_trips']} round trips")


def test_6_crashes(daemon, load, figure):
    run_crashes(daemon, load, 6, figure)


@pytest.mark.long
def test_50_crashes(daemon, load, figure):
    run_crashes(daemon, load, 50, figure)


def test_3_crashes_in_shared_mode(daemon, redis, ask):
    """Nobody is blamed for so few, and no reply is lost."""
    one = daemon(asking.shared("cache", redis().address))
    load = ask().start(one.socket("cache"), "redis-incr", clients=20, depth=4, rate=20000)
    assert storm.strike(one, load, 3, 1.0, signal.SIGSEGV)[0] == 3
    result = load.finish().result()
    assert result["errors"] == 0 and result["right"] == result["operations"]
    assert one.status("cache")["disconnects"] == 0
