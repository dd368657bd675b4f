"""Host names: what of a name server's answer is used, in which order, and for how long it is good."""
import os
import time

import pytest

import holdfast
from name_server import A, AAAA

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a mount, and port 53")

HERE, HERE6 = b"\x7f\0\0\1", b"\0" * 15 + b"\1"


def look_up(daemon, names, folder, port):
    one = daemon(holdfast.fixed("s", f"both.test:{port}", "lookup: { timeout = 3; };"),
                 wrapper=names.wrapper(folder))
    return one, one.command("lookup s")


@pytest.mark.parametrize("zone,found", [
    ({A: [(HERE, 60)]}, "127.0.0.1:{}"),
    ({AAAA: [(HERE6, 60)]}, "[::1]:{}"),
    ({A: [(HERE, 60)], AAAA: [(HERE6, 60)]}, "[::1]:{} 127.0.0.1:{}"),
], ids=["AAAA dropped", "A dropped", "both answered"])
def test_what_is_answered_is_used(daemon, folder, upstream, name_server, figure, zone, found):
    server = upstream()
    names = name_server(zone)
    one = daemon(holdfast.fixed("s", f"both.test:{server.port}", "lookup: { timeout = 3; };"),
                 wrapper=names.wrapper(folder))
    begun = time.monotonic()
    answer = one.command("lookup s")
    took = time.monotonic() - begun
    addresses = answer["addresses"]
    assert addresses == found.format(*[server.port] * 2).split(), answer
    figure(f"{took * 1000:.0f} ms")
    if A in zone:
        one.wait_connected("s")
        with one.client("s") as client:
            assert client.ask("x") == b"x\n"
    if len(zone) == 2:
        assert len(names.asked) % 2 == 0 and set(names.asked) == {A, AAAA}


def test_the_kinds_of_addresses_take_turns(daemon, folder, name_server):
    names = name_server({A: [(b"\x7f\0\0" + bytes([i]), 60) for i in range(1, 5)], AAAA: [(HERE6, 60), (HERE6, 60)]})
    _, answer = look_up(daemon, names, folder, 9)
    found = answer["addresses"]
    assert found[:2] == ["[::1]:9", "127.0.0.1:9"] and len(found) == 5, answer
    assert all(each["from"] == "both.test" and each["weight"] == 1 for each in answer["endpoints"])


@pytest.mark.parametrize("zone,alias,ttl", [
    ({A: [(HERE, 300), (b"\x7f\0\0\2", 20)], AAAA: [(HERE6, 60)]}, None, 20),
    ({A: [(HERE, 300)], AAAA: [(HERE6, 7)]}, None, 7),
    ({A: [(HERE, 300)], AAAA: []}, ("real.test", 5), 5),
    ({A: [(HERE, 0)], AAAA: []}, None, 0),
    ({A: [(HERE, 0xffffffff)], AAAA: []}, None, 0),
    ({A: [(HERE, 30)]}, None, 30),
], ids=["of one kind", "of the other", "of the alias", "none", "malformed", "of what came"])
def test_the_shortest_time_to_live_counts(daemon, folder, name_server, zone, alias, ttl):
    _, answer = look_up(daemon, name_server(zone, alias), folder, 9)
    assert answer["ttl_seconds"] == ttl, answer


def test_what_no_server_said_has_no_time_to_live(daemon, folder, name_server):
    names = name_server({A: [(HERE, 1)], AAAA: []})
    one = daemon(holdfast.fixed("s", "localhost:9") + holdfast.fixed("t", "127.0.0.1:9"),
                 wrapper=names.wrapper(folder))
    for name in ("s", "t"):
        answer = one.command(f"lookup {name}")
        assert "127.0.0.1:9" in answer["addresses"] and answer["ttl_seconds"] is None, answer
    assert names.asked == []


def test_an_answer_that_is_too_long_for_a_packet_comes_whole(daemon, folder, name_server):
    zone = {A: [(bytes([127, 0, i, 1]), 9) for i in range(100)], AAAA: [(HERE6, 60)]}
    _, answer = look_up(daemon, name_server(zone, truncated=True), folder, 9)
    found = answer["addresses"]
    assert len(found) == 64 and "[::1]:9" in found[:2] and answer["ttl_seconds"] == 9, answer


def test_a_server_that_is_silent_is_a_failed_look_up(daemon, folder, name_server):
    names = name_server({})
    one = daemon(holdfast.fixed("s", "both.test:9", "lookup: { timeout = 0.5; };"), wrapper=names.wrapper(folder))
    answer = one.command_raw("lookup s")
    assert not answer["ok"] and "resolve both.test: time-out after 0.5 s" in answer["error"], answer
