"""Clients are spread over endpoints as pick and the catalog's weights say."""
import contextlib
import threading

import pytest

import holdfast
from upstream import named
from visits import Visits

WEIGHTS = dict(a=1, b=1, c=2, d=4)
CLIENTS = 10000 if holdfast.LONG else 200 if holdfast.SANITIZED else 800
DEVIATIONS = 4.5  # that chance may have: one run in 100,000 has more


def chance(share, count):
    """What a share of so many may differ by chance; with 10,000 at most 2.25 %."""
    return DEVIATIONS * (share * (1 - share) / count) ** 0.5


@pytest.fixture
def spread(daemon, upstream, catalog):
    def start(pick, weights, serve=None, more="warm = 0;"):
        for name, weight in weights.items():
            server = upstream(serve(name) if serve else named(name))
            catalog.publish("s", name, f"{server.address} weight={weight}")
        one = daemon(f's: {{ lookup: {{ catalog = "{catalog.folder}"; }}; pick = "{pick}"; '
                     f"retry: {{ delay = 0.2; }}; {more} }};\n")
        one.wait_status("s", up=True)
        return one
    return start


def shares(visits, figure):
    """Of each server: the wanted share, and the real one."""
    assert not visits.unanswered(), visits.unanswered()[:5]
    servers, count = visits.servers(), len(visits.done)
    total = sum(WEIGHTS.values())
    found = {name: (weight / total, servers[name] / count) for name, weight in WEIGHTS.items()}
    figure(f"{count} clients: " + ", ".join(f"{name} {real * 100:.2f} % of {wanted * 100:.1f}"
                                            for name, (wanted, real) in found.items()))
    return found, count


def visit(one, slots=8):
    with Visits(one.socket("s"), b"x\n", slots=slots, count=CLIENTS) as visits:
        visits.wait(300)
    return visits


@pytest.mark.parametrize("more", ["warm = 0;", "warm = 2;"], ids=["none ready", "two ready"])
def test_rotate_is_exact(spread, figure, more):
    """Within 2 % of each share."""
    found, count = shares(visit(spread("rotate", WEIGHTS, more=more)), figure)
    for name, (wanted, real) in found.items():
        assert abs(real - wanted) < max(0.02 * wanted, 4 / count), name


def test_random_by_weight(spread, figure):
    """As near to each share as chance alone allows."""
    found, count = shares(visit(spread("random", WEIGHTS)), figure)
    for name, (wanted, real) in found.items():
        assert abs(real - wanted) < chance(wanted, count), name


def test_least_gives_a_slow_one_the_fewest(spread, figure):
    never = threading.Event()

    def slow_or_not(name):
        def serve(connection):
            with connection.makefile("rb") as lines:
                for line in lines:
                    never.wait(0.2 if name == "c" else 0.01)
                    connection.sendall(name.encode() + b" " + line)
        return serve

    visits = visit(spread("least", dict.fromkeys("abcd", 1), slow_or_not), slots=16)
    assert not visits.unanswered(), visits.unanswered()[:5]
    servers = visits.servers()
    figure(f"{len(visits.done)} clients: {dict(sorted(servers.items()))}; c is slow")
    assert servers["c"] > 0 and servers["c"] < 0.5 * min(servers[name] for name in "abd")


@pytest.mark.parametrize("pick", ["rotate", "random"])
def test_shares_while_the_worker_dies(spread, figure, pick):
    """Each client is answered; a rotation that begins anew costs little."""
    one = spread(pick, WEIGHTS)
    kills = 0
    with contextlib.ExitStack() as stack:
        visits = stack.enter_context(Visits(one.socket("s"), b"x\n", slots=8, count=CLIENTS))
        while not visits.over.wait(0.1):
            one.kill_worker()
            kills += 1
    found, count = shares(visits, figure)
    figure(f"{kills} kills")
    for name, (wanted, real) in found.items():
        assert abs(real - wanted) < max(0.05, chance(wanted, count) if pick == "random" else 0), name
