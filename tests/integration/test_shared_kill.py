"""The worker is killed at random moments under load: every answer right, counted at the far end, nobody notices."""
import pytest

import asking
import holdfast
import storm
from holdfast import until
from upstream import collecting

KILLS = 500 if holdfast.LONG else 20
MEAN = 0.06  # seconds between two


@pytest.fixture
def cache(daemon, redis):
    one = daemon(asking.shared("cache", redis(persistent=False).address))
    one.wait_connected("cache")
    return one


def at_rest(one):
    one.wait_status("cache", clients=0, in_flight=0, queued=0, up=True)
    until(lambda: one.pipes() == 0, "no pipes")
    return one.files()


def strike(one, ask, figure, mode, **options):
    """Runs the load while workers die; gives its result."""
    before = at_rest(one)
    load = ask().start(one.socket("cache"), mode, clients=50, **options)
    hit, _ = storm.strike(one, load, KILLS, MEAN)
    assert not load.ended_within(0), load.complaints()
    result = load.finish().result()
    slowest = max(result["slowest_ms"])
    figure(f"{hit} kills, {result['right']} right answers, slowest {slowest:.0f} ms")
    assert hit == KILLS and one.restarts() >= KILLS * 0.8
    assert result["right"] > 0 and result["errors"] == 0
    status = one.status("cache")
    assert (status["losses"], status["retries"], status["disconnects"]) == (0, 0, 0)
    until(lambda: at_rest(one) <= before, f"not more than {before} open files")
    return result


@pytest.mark.parametrize("depth", [1, 16])
def test_own_keys(cache, ask, figure, depth):
    strike(cache, ask, figure, "redis-own", depth=depth)


def test_big_values_and_hostile_splits(cache, ask, figure):
    strike(cache, ask, figure, "redis-own", depth=4, value_bytes=100000, split=True, rate=5000)


def test_clients_come_and_go(cache, ask, figure):
    result = strike(cache, ask, figure, "redis-own", depth=4, visit=20, leavers=10, rate=20000)
    assert result["visits"] > KILLS


@pytest.mark.parametrize("depth", [1, 16])
def test_counters_are_as_many_as_answers(cache, ask, figure, depth):
    result = strike(cache, ask, figure, "redis-incr", depth=depth)
    with asking.Resp(cache.socket("cache")) as client:
        counted = [int(client.ask("GET", f"ask:{number}")) for number in range(50)]
    assert counted == result["counts"]
    assert sum(counted) == result["right"]


def test_one_way_lines(daemon, upstream, ask):
    """Each arrives once."""
    heard = []
    one = daemon(asking.shared("log", upstream(collecting(heard)).address, 'replies = "none"; ', "line"))
    one.wait_connected("log")
    load = ask().start(one.socket("log"), "tell", clients=20, rate=20000, half_close=True)
    storm.strike(one, load, KILLS, MEAN)
    result = load.finish().result()
    until(lambda: len(heard) >= result["operations"], "every line has arrived")
    for writer, count in enumerate(result["counts"]):
        numbers = [int(line.split()[1]) for line in heard if line.startswith(b"%d " % writer)]
        assert numbers == list(range(count))


def test_a_feed(daemon, upstream, ask):
    """Each message comes once to each reader."""
    feed = asking.Feed(20, size=300)
    server = upstream(feed.serve)
    one = daemon(asking.shared("feed", server.address, 'replies = "broadcast"; ', "line"))
    readers = ask().start(one.socket("feed"), "feed", clients=20, ack=asking.ACK)
    one.wait_status("feed", clients=20)
    feed.begin.set()
    storm.strike(one, readers, KILLS, MEAN)
    assert readers.finish().result()["right"] > 0
    assert server.accepted == 1
