"""SIGSEGV sent to the worker costs a pause, not a session."""
import signal

import pytest

import holdfast
import storm


def run_crashes(daemon, load, count, figure):
    """Workers live for a second or so between, and sessions are many: what K7 delays and blames is another
    matter."""
    generator = load()
    one = daemon(holdfast.behind(generator), environment_more={"ASAN_OPTIONS": "handle_segv=0"})
    generator.start(one.socket("s"), count * 3, ping=400, think=20)
    assert storm.strike(one, generator, count, 1.0, signal.SIGSEGV)[0] == count
    generator.finish()
    figure(f"{generator.result()['round_trips']} round trips")


def test_6_crashes(daemon, load, figure):
    run_crashes(daemon, load, 6, figure)


@pytest.mark.long
def test_50_crashes(daemon, load, figure):
    run_crashes(daemon, load, 50, figure)
