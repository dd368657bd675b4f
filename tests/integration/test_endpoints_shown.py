"""endpoints, explain, top and metrics tell of each address how it is, also after the worker's death."""
import json
import os
import re
import signal

import holdfast
from lookup_script import Source
from screen import Terminal
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


def test_for_people_what_is_not_well_stands_first_and_in_capitals(daemon, catalog, upstream):
    one, fine, _, refuses = begin(daemon, catalog, upstream)
    text = one.ctl("endpoints").stdout
    assert [line.split()[2] for line in text.splitlines()] == ["STATE", "FAILED", "FAILED", "ok"], text
    assert text.count("FAILED (tried again ") == 2, text
    assert re.search(rf"^s +{re.escape(fine)} +ok ", text, re.MULTILINE), text
    assert re.search(rf"^s +{re.escape(refuses)} +FAILED .*Connection refused", text, re.MULTILINE), text
    done = one.ctl("endpoints", "nobody")
    assert done.returncode == 1 and 'no service "nobody"' in done.stderr


STORIES = (("hangs", r"failed: hello: no answer within 0\.2 s; tried again (in \d+\.\d s|now)"),
           ("refuses", r"failed: Connection refused; tried again (in \d+\.\d s|now)"),
           ("fine", r"ok; connections: [1-9]"))


def stories(begun):
    """What is told of each, in a regular expression."""
    address = dict(zip(("fine", "hangs", "refuses"), begun[1:]))
    return [re.escape(address[name]) + " " + story for name, story in STORIES]


def test_explain_tells_the_same_after_the_history(daemon, catalog, upstream):
    begun = begin(daemon, catalog, upstream)
    for _ in range(2):
        text = begun[0].ctl("explain", "s").stdout
        lines = text.splitlines()[-4:]
        assert lines[3].startswith("now: s is connected"), text
        for story in stories(begun):
            assert sum(bool(re.fullmatch("endpoint " + story, line)) for line in lines[:3]) == 1, (story, text)
        assert lines[2].startswith(f"endpoint {begun[1]} ok"), text
        begun[0].kill_worker(signal.SIGKILL)
        begun[0].wait_connected("s")


def test_the_detail_page_of_top(daemon, catalog, upstream):
    begun = begin(daemon, catalog, upstream)
    program = os.path.join(holdfast.BUILD, "holdfastctl")
    screen = Terminal(program, "-s", begun[0].control, "top", columns=120, lines=30)
    try:
        screen.until("1-1 of 1")
        screen.press("\r")
        for story in stories(begun):
            screen.until(lambda wanted=story: re.search("^" + wanted, screen.text(), re.MULTILINE))
        assert screen.colour(f"{begun[3]} failed")[0] == "red"
    finally:
        screen.end()


def test_what_a_catalog_passes_over(daemon, catalog, upstream):
    server = upstream(named("a"))
    catalog.publish("s", "good", server.address)
    catalog.publish("s", "nonsense", "10.0.0.7")
    one = daemon(f's: {{ lookup: {{ catalog = "{catalog.folder}"; }}; }};\n')
    one.wait_connected("s")
    line = "s: catalog entry nonsense is ignored: no port"
    assert one.command("endpoints s")["passed_over"] == [{"service": "s", "name": "nonsense", "reason": "no port"}]
    assert line in one.ctl("endpoints", "s").stdout.splitlines()
    one.wait_log(line)
    catalog.publish("s", "odd\x1bname", "10.0.0.8:0")
    one.wait_log("is ignored: port 0 is not a port")
    text = one.ctl("endpoints", "s").stdout
    assert "is ignored: port 0 is not a port" in text and "\x1b" not in text
    restarts = one.restarts()
    one.kill_worker(signal.SIGKILL)
    holdfast.until(lambda: one.restarts() > restarts and len(one.command("endpoints s")["passed_over"]) == 2, "again")
    catalog.publish("s", "late", "nowhere")
    one.wait_log("catalog entry late is ignored")
    assert one.log().count(line) == 1 and one.log().count("port 0 is not a port") == 1, "each once"
    catalog.publish("s", "nonsense", server.address)
    holdfast.until(lambda: [entry["name"] for entry in one.command("endpoints s")["passed_over"]] ==
                   ["late", "odd\\x1bname"], "mended")


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
        text = f"endpoint {a.address} withdrawn by the lookup; connections left: 1"
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
