"""How long clients stand still when the worker dies: reported, not judged."""
import statistics

import pytest

import holdfast


@pytest.mark.plain
@pytest.mark.parametrize("sessions,think", [(10, 1), (1000, 50)])
def test_stall(daemon, load, figure, sessions, think):
    kills = 100 if holdfast.LONG else 25
    generator = load()
    one = daemon(holdfast.behind(generator))
    generator.start(one.socket("s"), 600, ping=sessions, think=think)
    generator.wait_running()
    for _ in range(kills):
        assert not generator.ended_within(0.1), generator.complaints()
        generator.mark()
        one.kill_worker()
    generator.finish()
    marks = generator.result()["marks_ms"]
    figure(f"median {statistics.median(marks):.1f} ms, worst {max(marks):.1f} ms of {len(marks)} deaths")
