"""The worker dies again and again while a script's answer changes: clients that are drained lose nothing, those that
are dropped end then only, and new ones are answered by the right server."""
import time

import pytest

import holdfast
from lookup_script import Source
from storm import Deaths
from test_withdrawn_session import NOTICED, REFRESH
from upstream import named
from visits import Visits

pytestmark = pytest.mark.long
MOVES = 20 if holdfast.LONG else 3


def begin(daemon, upstream, folder, more):
    servers = {name: upstream(named(name)) for name in "ab"}
    source = Source(folder, servers["a"].address)
    one = daemon(source.service(f"refresh = {REFRESH};", f"retry: {{ delay = 0.2; }}; {more}"))
    one.wait_connected("s")
    return servers, source, one


def followed(visits, name):
    """Waits until this server has answered, and after that nobody else: the time."""
    begun = time.monotonic()

    def only_this():
        now = time.monotonic()
        seen = visits.servers(max(begun, now - 1))
        return now - begun > 1 and seen.keys() == {name}
    holdfast.until(only_this, f"{name} alone", 2 * NOTICED)
    return time.monotonic()


@pytest.mark.parametrize("policy", ["drain", "drop"])
def test_sessions(daemon, upstream, folder, figure, policy):
    servers, source, one = begin(daemon, upstream, folder, f'warm = 1; on_withdrawn = "{policy}";')
    stay = {}
    with Deaths(one) as deaths, Visits(one.socket("s"), b"x\n", slots=4, pause=0.01) as visits:
        for number in range(MOVES):
            old, new = "ab" if number % 2 == 0 else "ba"
            client = one.client("s")
            assert client.ask("x") == f"{old} x\n".encode()
            source.say(servers[new].address)
            stay[client] = old
            settled = followed(visits, new)
            visits.wait_for(20)
            assert visits.servers(settled).keys() == {new}
            if policy == "drop":
                assert client.at_end()
            for each, server in stay.items() if policy == "drain" else ():
                assert each.ask("y") == f"{server} y\n".encode()
    for client in stay:
        client.close()
    lost = visits.unanswered()
    figure(f"{deaths.count} kills, {MOVES} moves, {len(visits.done)} visits, {len(lost)} ended by the drop")
    assert one.restarts() >= deaths.count * 0.8
    assert len(lost) <= (4 * MOVES if policy == "drop" else 0), lost[:5]
    assert all(visit.error.startswith("ended") for visit in lost), lost[:5]


@pytest.mark.parametrize("policy", ["drain", "drop"])
def test_shared(daemon, upstream, folder, ask, figure, policy):
    servers, source, one = begin(daemon, upstream, folder, f'mode = "shared"; framing = "line"; '
                                 f'on_withdrawn = "{policy}"; loss_reply = "lost\\n";')
    load = ask().start(one.socket("s"), "line", clients=20, depth=2, rate=2000, error="lost")
    load.wait_running()
    with Deaths(one) as deaths:
        for number in range(MOVES):
            address = servers["ba"[number % 2]].address
            source.say(address)
            one.wait_status("s", 2 * NOTICED, address=address, up=True)
    result = load.finish().result()
    figure(f"{deaths.count} kills, {MOVES} moves, {result['right']} right, {result['errors']} lost by the drop")
    assert result["right"] + result["errors"] == result["operations"] and result["wrong"] == 0
    assert result["errors"] <= (40 * MOVES if policy == "drop" else 0)
