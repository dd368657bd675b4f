"""Every kind of exchange at once, and nobody is killed (restarts would mask a lost wake-up)."""
import holdfast
import storm


def test_all_kinds(daemon, load, figure):
    generator = load()
    one = daemon(holdfast.behind(generator))
    before = storm.warmed_up(one, generator)
    generator.start(one.socket("s"), 20 if holdfast.LONG else 2 if holdfast.SANITIZED else 4, **holdfast.ALL_KINDS)
    result = generator.result()
    figure(f"{result['bytes'] >> 20} MiB, {result['round_trips']} round trips, {result['ask']} connections")
    assert one.restarts() == 0
    storm.assert_no_file_leaked(one, before)


def test_data_then_reset_from_either_side(daemon, load):
    generator = load()
    one = daemon(holdfast.behind(generator))
    generator.start(one.socket("s"), 2, server_reset=4, client_reset=4)
    result = generator.result()
    assert result["server-reset"] >= 100 and result["client-reset"] >= 100
