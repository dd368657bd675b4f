"""The worker is killed with SIGKILL at random moments under load: nothing lost, nothing wrong, nothing leaked."""
import pytest

import holdfast
import storm


def run_storm(daemon, load, figure, seconds, kills):
    generator = load()
    one = daemon(holdfast.behind(generator))
    before = storm.warmed_up(one, generator)
    generator.start(one.socket("s"), seconds, **holdfast.ALL_KINDS)
    hit, with_pipes = storm.strike(one, generator, kills, seconds / kills * 0.9)
    result = generator.result()
    figure(f"{hit} kills, {with_pipes} of them with pipes, {result['bytes'] >> 20} MiB, "
           f"{result['round_trips']} round trips, {result['ask']} connections")
    assert hit >= kills * 0.8
    assert with_pipes >= hit / 2
    assert one.restarts() >= hit * 0.8  # two signals may meet one death
    storm.assert_no_file_leaked(one, before)


def test_kills_at_random(daemon, load, figure):
    run_storm(daemon, load, figure, *((4, 30) if holdfast.SANITIZED else (8, 60)))


@pytest.mark.long
def test_300_kills(daemon, load, figure):
    run_storm(daemon, load, figure, 20, 300)
