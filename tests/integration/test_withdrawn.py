"""A service has moved, and its old endpoint lives: new clients follow it, the attached do as on_withdrawn says."""
import json
import signal
import threading

import pytest

import holdfast
from lookup_script import Source
from test_refresh import server_of, told
from upstream import named

WITHDRAWN = "withdrawn by the lookup"


@pytest.fixture
def two(upstream):
    return upstream(named("a")), upstream(named("b"))


def begin(daemon, folder, two, more):
    """The source, the daemon, a client attached to the first server; the second is listed alone then."""
    source = Source(folder, two[0].address)
    one = daemon(source.service("refresh = 0.4;", more))
    one.wait_connected("s")
    client = one.client("s")
    assert client.ask("x") == b"a x\n"
    source.say(two[1].address)
    told(one, f"lookup: {two[1].address}")
    return source, one, client


@pytest.mark.parametrize("how", ["keep", "drain", "drop"])
@pytest.mark.parametrize("warm", [0, 1])
def test_session_mode(daemon, folder, two, how, warm):
    source, one, client = begin(daemon, folder, two, f'on_withdrawn = "{how}"; warm = {warm};')
    with client:
        assert [server_of(one) for _ in range(5)] == [b"b"] * 5
        if how == "drop":
            assert client.read_all() == b""
            told(one, WITHDRAWN)
        else:
            told(one, WITHDRAWN)
            assert client.ask("y") == b"a y\n"
        assert [server_of(one) for _ in range(5)] == [b"b"] * 5
    assert one.status("s")["outages"] == 0
    source.say(two[0].address)
    holdfast.until(lambda: one.ctl("explain", "s").stdout.count(f"lookup: {two[0].address}") == 2, "back")
    assert [server_of(one) for _ in range(5)] == [b"a"] * 5


@pytest.mark.parametrize("how", ["keep", "drain", "drop"])
def test_shared_mode(daemon, folder, two, how):
    source, one, client = begin(daemon, folder, two, f'on_withdrawn = "{how}"; mode = "shared"; framing = "line";')
    with client:
        told(one, WITHDRAWN)
        if how == "keep":
            assert client.ask("y") == b"a y\n"
            assert server_of(one) == b"a"
            return
        one.wait_status("s", state="connected", address=two[1].address)
        assert client.ask("y") == b"b y\n"
        assert server_of(one) == b"b"
    assert one.status("s")["outages"] == 0
    source.say(two[0].address)
    one.wait_status("s", state="connected", address=two[0].address)
    assert server_of(one) == b"a"


@pytest.mark.parametrize("policy", ["drain", "drop"])
def test_what_is_ready_is_told_as_what_it_is_connected_to_then(daemon, folder, two, policy):
    """Its clients' next connections were dialled there long before the old endpoint is withdrawn."""
    source, one, client = begin(daemon, folder, two, f'on_withdrawn = "{policy}"; warm = 1;')
    with client, holdfast.Client(one.control) as control:
        control.send(b"events s\n")
        seen = []
        while len(seen) < 5:
            event = json.loads(control.line())
            seen += [(event["event"], event.get("address"))] if "event" in event else []
        assert seen == [("connected", two[0].address), ("disconnected", two[0].address),
                        ("attempting_to_connect", None), ("obtained_address", two[1].address),
                        ("connected", two[1].address)]
        assert server_of(one) == b"b"
    story = one.ctl("explain", "s").stdout
    assert f"{two[0].address}: {WITHDRAWN}" in story, story
    assert one.status("s")["outages"] == 0


@pytest.mark.parametrize("more", ['on_withdrawn = "drop";', "withdrawn_timeout = 1;"], ids=["drop", "drain"])
@pytest.mark.parametrize("killed", [False, True], ids=["lives", "killed"])
def test_who_has_lost_its_place_to_another_is_withdrawn_too(daemon, folder, two, more, killed):
    """Sixty-four endpoints, all a service has room for, are replaced by sixty-four others."""
    port = holdfast.free_port()
    others = [f"127.0.9.{i}:{port}" for i in range(1, 127)]
    source = Source(folder, two[0].address, *others[:63])
    one = daemon(source.service("refresh = 0.5;", f'warm = 0; pick = "ordered"; {more}'))
    with one.client("s") as client:
        assert client.ask("x") == b"a x\n"
        source.say(two[1].address, *others[63:])
        told(one, f"lookup: {two[1].address}")
        shown = {each["address"]: each["connections"] for each in one.command("endpoints s")["endpoints"]}
        assert two[0].address not in shown and sum(shown.values()) == 0, shown
        if killed:
            one.kill_worker(signal.SIGKILL)
        assert client.read_all() == b""
    assert server_of(one) == b"b"


def test_with_nothing_else_to_go_to_all_stays(daemon, folder, two):
    source = Source(folder, two[0].address)
    one = daemon(source.service("refresh = 0.3;", 'on_withdrawn = "drop"; warm = 0;'))
    with one.client("s") as client:
        assert client.ask("x") == b"a x\n"
        source.say("# none")
        before = one.status("s")["lookup_failures"]
        holdfast.until(lambda: one.status("s")["lookup_failures"] >= before + 5, "failed lookups")
        assert client.ask("y") == b"a y\n"


def test_a_shared_connection_moves_only_where_somebody_answers(daemon, folder, upstream):
    """Nobody listens at the new endpoint: the old one, which lives, is not left for it."""
    server, other = upstream(named("a")), upstream(named("b"), start=False)
    source = Source(folder, server.address)
    one = daemon(source.service("refresh = 0.4;", 'mode = "shared"; framing = "line"; retry: { delay = 0.2; };'))
    one.wait_connected("s")
    with one.client("s") as client:
        source.say(other.address)
        told(one, WITHDRAWN)
        told(one, "failed: ")
        assert client.ask("x") == b"a x\n"
        assert one.status("s")["up"] and one.status("s")["outages"] == 0
        other.start()
        one.wait_status("s", state="connected", address=other.address)
        assert client.ask("y") == b"b y\n"
    assert one.status("s")["outages"] == 0


def test_a_reload_withdraws_nothing_by_itself(daemon, folder, two):
    """The first lookup after it is one of two, as any other."""
    source = Source(folder, two[0].address, two[1].address)
    more = 'on_withdrawn = "drop"; warm = 1;'
    one = daemon(source.service("refresh = 30;", more))
    with one.client("s") as client:
        assert client.ask("x") == b"a x\n"
        source.say(two[1].address)
        one.configure(source.service("refresh = 30; timeout = 4;", more))
        assert one.command("reload")["ok"]
        told(one, f"lookup: {two[1].address}")
        source.say(two[0].address, two[1].address)
        holdfast.until(lambda: one.ctl("explain", "s").stdout.count(f"lookup: {two[0].address}") == 2, "back")
        assert client.ask("y") == b"a y\n"


def test_withdrawn_timeout(daemon, folder, two):
    source, one, client = begin(daemon, folder, two, "withdrawn_timeout = 0.5; warm = 0;")
    with client:
        assert client.read_all() == b""
    assert server_of(one) == b"b"


def test_nothing_in_flight_is_lost_when_a_shared_connection_moves(daemon, folder, two):
    """Clients ask all the while; the service moves there and back."""
    source = Source(folder, two[0].address)
    one = daemon(source.service("refresh = 0.3;", 'mode = "shared"; framing = "line"; on_withdrawn = "drain";'))
    one.wait_connected("s")
    done, wrong, answers = threading.Event(), [], []

    def ask():
        count = 0
        with one.client("s") as client:
            while not done.is_set():
                answer = client.ask(f"x{count}")
                if answer not in (f"a x{count}\n".encode(), f"b x{count}\n".encode()):
                    wrong.append(answer)
                    return
                count += 1
        answers.append(count)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for server in (two[1], two[0], two[1]):
        source.say(server.address)
        one.wait_status("s", state="connected", address=server.address)
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong and len(answers) == 8 and min(answers) > 0
