"""Which endpoint a connection goes to: by weight, by number of connections, and never to one that hangs."""
import collections
import time

import pytest

import holdfast
from upstream import named, stall

WEIGHTS = {"a": 1, "b": 1, "c": 2, "d": 4}
CLIENTS = 10000 if holdfast.LONG else 800


def fleet(daemon, catalog, upstream, more):
    """Four of these weights."""
    for name, weight in WEIGHTS.items():
        catalog.publish("s", name, f"{upstream(named(name)).address} weight={weight}")
    one = daemon(f's: {{ lookup: {{ catalog = "{catalog.folder}"; }}; {more} }};\n')
    one.wait_connected("s")
    return one


def visits(one, count):
    """Who has answered how many clients that came one after the other."""
    answered = collections.Counter()
    for _ in range(count):
        with one.client("s") as client:
            answered[client.ask("x").split()[0].decode()] += 1
    return answered


@pytest.mark.parametrize("pick, within", [("rotate", 0.02), ("random", 0.05)])
def test_shares_go_by_weight(daemon, catalog, upstream, figure, pick, within):
    """Of all clients: with fewer than in the long run chance has more room (four standard deviations)."""
    one = fleet(daemon, catalog, upstream, f'pick = "{pick}";')
    answered = visits(one, CLIENTS)
    shares = {name: answered[name] / CLIENTS for name in WEIGHTS}
    if pick == "random" and not holdfast.LONG:
        within = 4 * (0.25 / CLIENTS) ** 0.5
    for name, weight in WEIGHTS.items():
        assert abs(shares[name] - weight / 8) <= within, shares
    figure(", ".join(f"{name} {shares[name]:.3f}" for name in WEIGHTS))


def test_least_gives_the_slow_one_the_fewest(daemon, catalog, upstream):
    """Clients stay for as long as their server takes; there are always six."""
    one = fleet(daemon, catalog, upstream, 'pick = "least"; warm = 0;')
    staying, answered = collections.deque(), collections.Counter()
    for _ in range(200):
        client = one.client("s")
        name = client.ask("x").split()[0].decode()
        answered[name] += 1
        staying.append((name, client))
        if len(staying) > 6:  # those of the slow one stay twice as long
            if staying[0][0] == "a" and len(staying) < 12:
                staying.rotate(-1)
            staying.popleft()[1].close()
    for _, client in staying:
        client.close()
    assert answered["a"] == min(answered.values()) and len(answered) == 4, answered


@pytest.mark.parametrize("long", [False, pytest.param(True, marks=pytest.mark.long)])
def test_one_that_hangs_in_hello_holds_nobody_up_once_it_is_known(daemon, upstream, figure, long):
    """Ten clients a second."""
    hangs, well = upstream(stall), upstream(named("well"))
    stagger = 0.25
    one = daemon(f's: {{ addresses = ["{hangs.address}", "{well.address}"]; connect_stagger = {stagger}; '
                 'hello = ( { send = "hi\\n"; expect = "well hi"; timeout = 2; } ); };\n')
    one.wait_connected("s")
    begin, waits = time.monotonic(), []
    while time.monotonic() - begin < (60 if long else 5):
        now = time.monotonic()
        with one.client("s") as client:
            assert client.ask("x") == b"well x\n"
        waits.append(time.monotonic() - now)
        time.sleep(max(0, 0.1 - waits[-1]))
    assert max(waits) <= stagger + (0.05 if long else 0.25), sorted(waits)[-5:]
    figure(f"{len(waits)} clients, the longest waited {max(waits) * 1000:.0f} ms")
