"""events: a reader that does not read slows nobody, and is told how many it has missed."""
import json

import holdfast

RECONNECTS = 1000


def churn(one):
    """Thousands of events, over one connection."""
    with holdfast.Client(one.control) as control:
        for _ in range(RECONNECTS):
            control.send(b"reconnect s\n")
            assert json.loads(control.line())["ok"]
            control.send(b"wait s 5\n")
            assert json.loads(control.line())["ok"]


def read_to(reader, over):
    """What the reader is told up to an event for which over(event): how many events, and how many were missed."""
    told = missed = 0
    while True:
        event = json.loads(reader.line())
        missed += event.get("missed", 0)
        told += "missed" not in event
        if over(event):
            return told, missed


def test_a_reader_that_does_not_read(daemon, upstream, figure):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    one.wait_connected("s")
    with holdfast.Client(one.control) as deaf, one.client("s") as client:
        deaf.send(b"events\n")
        assert json.loads(deaf.line())["event"] == "connected"
        before = one.status("s")
        churn(one)
        assert client.ask("x") == b"x\n", "clients are served"
        told, missed = read_to(deaf, lambda event: event["event"] == "missed")
        last = one.command("explain s")["entries"][-1]["time"]
        one.command("reconnect s")
        more, none = read_to(deaf, lambda event: event["event"] == "connected" and event["time"] > last)
        after = one.status("s")
    figure(f"{RECONNECTS} reconnects: {told} events told, {missed} missed")
    assert missed > 0 and none == 0, "who reads again is told all"
    # Each connection has attempting_to_connect, obtained_address and connected; it ends with disconnected.
    assert told + missed + more == 3 * (after["connects"] - before["connects"]) \
        + after["disconnects"] - before["disconnects"]
