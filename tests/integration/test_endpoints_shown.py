"""endpoints tells of each address how it is, also after the worker's death."""
import json
import re
import signal

import holdfast
from lookup_script import Source
from upstream import named, stall


def begin(daemon, catalog, upstream):
    """One is fine, one refuses, one hangs in hello; all have been tried."""
    fine, hangs = upstream(named("fine")), upstream(stall)
    refuses = f"127.0.0.1:{holdfast.free_port()}"
    for name, address, tail in (("fine", fine.address, " priority=1 weight=3"), ("hangs", hangs.address, ""),
                                ("refuses", refuses, "")):
        catalog.publish("s", name, address + tail)
    one = daemon(f's: {{ lookup: {{ catalog = "{catalog.folder}"; }}; connect_stagger = 0; '
                 'hello = ( { send = "hi\\n"; expect = "fine hi"; timeout = 0.2; } ); };\n')
    one.wait_connected("s")
    return one, fine.address, hangs.address, refuses


def told(one):
    return {endpoint["from"]: endpoint for endpoint in one.command("endpoints s")["endpoints"]}


def test_each_is_told_with_its_state(daemon, catalog, upstream):
    one, fine, hangs, refuses = begin(daemon, catalog, upstream)
    with one.client("s") as client:
        assert client.ask("x") == b"fine x\n"
        told_first = told(one)
    assert {name: told_first[name]["address"] for name in told_first} == {"fine": fine, "hangs": hangs,
                                                                          "refuses": refuses}
    first = told_first["fine"]
    assert (first["state"], first["priority"], first["weight"], first["failures"]) == ("ok", 1, 3, 0)
    assert first["connections"] >= 1 and first["connect_seconds"] < 1 and first["failed_until"] is None
    assert first["last_error"] is None
    for name, error in (("hangs", "hello: no answer within 0.2 s"), ("refuses", "Connection refused")):
        endpoint = told_first[name]
        assert (endpoint["state"], endpoint["failures"], endpoint["connections"]) == ("failed", 1, 0), endpoint
        assert endpoint["last_error"] == error and endpoint["failed_until"] > endpoint["last_error_at"]
    one.kill_worker(signal.SIGKILL)
    after = told(one)
    for name, endpoint in told_first.items():
        for field in ("address", "state", "failures", "failures_total", "last_error"):
            assert after[name][field] == endpoint[field], (name, field)
        assert after[name]["connects"] >= endpoint["connects"]  # what the client took is replaced


def test_for_people_what_is_not_well_stands_in_capitals(daemon, catalog, upstream):
    one, fine, _, refuses = begin(daemon, catalog, upstream)
    text = one.ctl("endpoints").stdout
    assert re.search(rf"^s +{re.escape(fine)} +ok ", text, re.MULTILINE), text
    assert re.search(rf"^s +{re.escape(refuses)} +FAILED .*Connection refused", text, re.MULTILINE), text
    done = one.ctl("endpoints", "nobody")
    assert done.returncode == 1 and 'no service "nobody"' in done.stderr


def test_metrics(daemon, catalog, upstream):
    one, fine, _, refuses = begin(daemon, catalog, upstream)
    lines = one.command("metrics")["metrics"].splitlines()
    for name, address, value in (("up", fine, "1"), ("up", refuses, "0"), ("failures_total", refuses, "1"),
                                 ("connects_total", fine, "1"), ("connections", refuses, "0")):
        assert f'holdfast_endpoint_{name}{{service="s",address="{address}"}} {value}' in lines


def test_one_that_is_withdrawn(daemon, folder, upstream):
    a, b = upstream(named("a")), upstream(named("b"))
    source = Source(folder, a.address)
    one = daemon(source.service("refresh = 0.3;", "warm = 0;"))
    with one.client("s") as client:
        assert client.ask("x") == b"a x\n"
        source.say(b.address)
        holdfast.until(lambda: "withdrawn" in [endpoint["state"] for endpoint in
                                               one.command("endpoints s")["endpoints"]], "withdrawn")
        old, = [endpoint for endpoint in one.command("endpoints")["endpoints"] if endpoint["address"] == a.address]
        assert (old["state"], old["connections"]) == ("withdrawn", 1) and old["withdrawn_since"]
        assert one.ctl("endpoints").stdout.count("WITHDRAWN") == 1
        text = f"endpoint {a.address} withdrawn by the look-up; connections left: 1"
        assert text in one.ctl("explain", "s").stdout


def test_a_lost_connection_is_told_by_its_own_address(daemon, upstream):
    """Not by that of the address that was dialled last, in vain."""
    a, b = upstream(), upstream()
    one = daemon(f's: {{ addresses = ["{a.address}", "{b.address}"]; warm = 0; retry: {{ delay = 5; }}; }};\n')
    one.wait_connected("s")
    assert one.status("s")["address"] == a.address
    a.stop()
    b.stop()
    with holdfast.Client(one.control) as control:
        control.send(b"events s\n")
        assert json.loads(control.line())["event"] == "connected"
        with one.client("s"):
            event = json.loads(control.line())
    assert event["event"] == "disconnected", event
    assert event["address"] == a.address, event
    assert f"dial {b.address}" in event["error"], event
