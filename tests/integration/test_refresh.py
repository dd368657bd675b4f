"""While connected a service is looked up again: what it has moved from gets no new connection, though it lives."""
import os
import signal
import time

import pytest

import holdfast
from lookup_script import Source
from name_server import A, AAAA
from upstream import named

pytestmark = pytest.mark.plain


def server_of(one):
    with one.client("s") as client:
        return client.ask("x").split()[0]


def told(one, text):
    return holdfast.until(lambda: text in one.ctl("explain", "s").stdout, text)


@pytest.fixture
def two(upstream):
    return upstream(named("a")), upstream(named("b"))


def test_new_clients_follow_a_script_whose_answer_changes(daemon, folder, two):
    a, b = two
    source = Source(folder, a.address)
    one = daemon(source.service("refresh = 0.3;"))
    one.wait_connected("s")
    assert server_of(one) == b"a"
    with one.client("s") as old:
        assert old.ask("x") == b"a x\n"
        source.say(b.address)
        told(one, f"lookup: {b.address}")
        server_of(one)  # takes what was ready
        assert [server_of(one) for _ in range(5)] == [b"b"] * 5
        assert old.ask("y") == b"a y\n"
    status = one.status("s")
    assert (status["attempts"], status["disconnects"], status["lookup_failures"]) == (1, 0, 0), status


def test_another_order_is_a_change_too(daemon, folder, two):
    a, b = two
    source = Source(folder, a.address, b.address)
    one = daemon(source.service("refresh = 0.3;"))
    one.wait_connected("s")
    assert server_of(one) == b"a"
    source.say(b.address, a.address)
    told(one, f"lookup: {b.address} {a.address}")
    server_of(one)
    assert server_of(one) == b"b"


def test_a_shared_service_keeps_its_connection_and_notices(daemon, folder, two):
    a, b = two
    source = Source(folder, a.address)
    one = daemon(source.service("refresh = 0.3;", 'mode = "shared"; framing = "line"; retry: { delay = 0.2; };'))
    with one.client("s") as client:
        assert client.ask("x") == b"a x\n"
        source.say(b.address)
        told(one, f"lookup: {b.address}")
        assert client.ask("y") == b"a y\n"
        a.stop()
        one.wait_status("s", address=b.address, state="connected")
        assert client.ask("z") == b"b z\n"


def test_what_fails_changes_nothing_and_is_counted(daemon, folder, two):
    a, b = two
    source = Source(folder, a.address)
    one = daemon(source.service("refresh = 0.2; keep_last = true;"))
    one.wait_connected("s")
    for answer in ("nonsense", "abort: gone"):
        before = one.status("s")["lookup_failures"]
        source.say(answer)
        holdfast.until(lambda: one.status("s")["lookup_failures"] >= before + 2, "failures")
    status = one.status("s")
    assert (status["state"], status["up"], status["attempts"], status["candidates"]) == ("connected", True, 1, 1)
    assert status["last_error"] is None, status
    fails = "the lookup fails, the addresses stay as they are"
    assert one.log().count(f"warning s: {fails}") == 1, "it is told, and not again at each lookup"
    assert one.ctl("explain", "s").stdout.count(fails) == 1
    source.say(b.address)
    told(one, f"lookup: {b.address}")


@pytest.mark.parametrize("min_interval,refresh", [(0.5, 0.2), (0, 0.3)], ids=["min_interval", "refresh"])
def test_a_script_is_run_no_more_often_than_both_allow(daemon, folder, upstream, min_interval, refresh):
    source = Source(folder, upstream(named("a")).address)
    one = daemon(source.service(f"refresh = {refresh}; min_interval = {min_interval};"))
    one.wait_connected("s")
    cut = []
    for _ in range(4):
        server_of(one)
        cut.append(len(source.runs()))
        one.kill_worker(signal.SIGKILL)
        count = len(source.runs())
        cut.append(count)
        holdfast.until(lambda: len(source.runs()) >= count + 2, "two more runs")
    times = source.runs()
    # One that a death has interrupted is run again at once, but for min_interval.
    gaps = [times[i] - times[i - 1] for i in range(1, len(times)) if min_interval > 0 or i not in cut]
    assert min(gaps) >= max(min_interval, refresh * 0.7) - 0.02, [round(gap, 2) for gap in gaps]


def test_deaths_of_the_worker_do_not_put_it_off(daemon, folder, upstream):
    source = Source(folder, upstream(named("a")).address)
    one = daemon(source.service("refresh = 2;"))
    one.wait_connected("s")
    ends = time.monotonic() + 6
    while time.monotonic() < ends:
        one.kill_worker(signal.SIGKILL)
        one.wait_status("s", state="connected")
    assert len(source.runs()) >= 3, source.runs()


def test_it_is_changed_in_place(daemon, folder, upstream):
    source = Source(folder, upstream(named("a")).address)
    one = daemon(source.service("refresh = 0;"))
    one.wait_connected("s")
    one.configure(source.service("refresh = 0.1;"))
    assert one.command("reload")["renewed"] == []
    holdfast.until(lambda: len(source.runs()) >= 4, "runs")
    one.configure(source.service("refresh = 3600;"))
    assert one.command("reload")["renewed"] == []
    one.command("lookup s")
    count = len(source.runs())
    server_of(one)
    assert len(source.runs()) == count


def test_nothing_is_looked_up_while_paused(daemon, folder, upstream):
    source = Source(folder, upstream(named("a")).address)
    one = daemon(source.service("refresh = 0.1; min_interval = 0;"))
    one.wait_connected("s")
    holdfast.until(lambda: len(source.runs()) >= 3, "runs")
    one.command("pause s")
    count = len(source.runs())
    with one.client("s", bound=0.6) as held, pytest.raises(TimeoutError):
        held.ask("x")
    assert len(source.runs()) == count
    one.command("resume s")
    holdfast.until(lambda: len(source.runs()) >= count + 3, "runs")


@pytest.mark.parametrize("order", ["close s", "drain s", "fail s 20"])
def test_the_look_ups_go_on_while_clients_have_connections(daemon, folder, two, order):
    """And no longer, once the service is not connected any more: another one's lookups tell how time goes by."""
    a, b = two
    os.mkdir(f"{folder}/t")
    source, clock = Source(folder, a.address), Source(f"{folder}/t", b.address)
    one = daemon(source.service("refresh = 0.3;", 'warm = 0; on_withdrawn = "drop";')
                 + clock.service("refresh = 0.3;").replace("s:", "t:", 1))
    with one.client("s") as client:
        assert client.ask("x") == b"a x\n"
        one.command(order)
        source.say(b.address)
        assert client.at_end()
    one.wait_status("s", clients=0)
    count, begun = len(source.runs()), len(clock.runs())
    holdfast.until(lambda: len(clock.runs()) >= begun + 6, "the other's lookups")
    assert len(source.runs()) <= count + 1, "one may have been under way"


def test_an_idle_service_withdraws_the_second_endpoint_too(daemon, folder, two):
    """The first one is what it was told to be connected to: then nothing is, until another client comes."""
    servers = {name: server.address for name, server in zip((b"a", b"b"), two)}
    source = Source(folder, *servers.values())
    one = daemon(source.service("refresh = 0.3;", 'warm = 0; pick = "rotate"; on_withdrawn = "drop";'))
    with one.client("s") as first, one.client("s") as second:
        names = [client.ask("x").split()[0] for client in (first, second)]
        assert set(names) == set(servers)
        nowhere = f"127.0.0.9:{holdfast.free_port()}"
        source.say(servers[names[1]], nowhere)
        assert first.at_end()
        assert one.status("s")["state"] == "idle"
        assert second.ask("y") == names[1] + b" y\n"
        source.say(nowhere)
        assert second.at_end()


def test_what_is_listed_again_is_not_withdrawn_any_more(daemon, folder, two):
    a, b = two
    source = Source(folder, a.address)
    one = daemon(source.service("refresh = 0.3;", "warm = 0; withdrawn_timeout = 3;"))
    with one.client("s") as client:
        assert client.ask("x") == b"a x\n"
        source.say(b.address)
        told(one, f"{a.address} withdrawn by the lookup")
        source.say(a.address, b.address)
        told(one, f"lookup: {a.address} {b.address}")
        assert [each["state"] for each in one.command("endpoints s")["endpoints"]] == ["ok", "ok"]
        count = len(source.runs())
        holdfast.until(lambda: len(source.runs()) >= count + 16, "lookups for more than 3 s, withdrawn_timeout")
        assert client.ask("y") == b"a y\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a mount, and port 53")
@pytest.mark.parametrize("mode", ["", 'mode = "shared"; framing = "line"; retry: { delay = 0.2; };'],
                         ids=["session", "shared"])
def test_new_connections_follow_a_zone_when_its_time_to_live_is_over(daemon, folder, upstream, name_server, figure,
                                                                     mode):
    b = upstream(named("b"))
    a = upstream(named("a"), host="127.0.0.2", port=b.port)
    names = name_server({A: [(b"\x7f\0\0\2", 1)], AAAA: []})
    one = daemon(holdfast.fixed("s", f"both.test:{b.port}", mode or "warm = 1;"), wrapper=names.wrapper(folder))
    one.wait_connected("s")
    assert server_of(one) == b"a"
    begun = time.monotonic()
    names.zone = {A: [(b"\x7f\0\0\1", 1)], AAAA: []}
    told(one, f"lookup: {b.address}")
    took = time.monotonic() - begun
    figure(f"noticed after {took:.2f} s")
    assert took < 4
    if mode:
        a.stop()
        one.wait_status("s", address=b.address, state="connected")
    else:
        server_of(one)
    assert server_of(one) == b"b"
    asked = len(names.asked)
    holdfast.until(lambda: len(names.asked) >= asked + 6, "three more")
    assert time.monotonic() - begun >= 3


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a mount, and port 53")
def test_a_name_server_that_gives_another_order_changes_nothing(daemon, folder, upstream, name_server):
    server = upstream(named("a"))
    ones, twos = (b"\x7f\0\0\1", 1), (b"\x7f\0\0\2", 1)
    names = name_server({A: [ones, twos], AAAA: []})
    one = daemon(holdfast.fixed("s", f"both.test:{server.port}"), wrapper=names.wrapper(folder))
    one.wait_connected("s")
    for zone in ([twos, ones], [ones, twos], [twos, ones]):
        names.zone = {A: zone, AAAA: []}
        asked = len(names.asked)
        holdfast.until(lambda: len(names.asked) >= asked + 4, "two lookups")
    assert one.ctl("explain", "s").stdout.count("lookup:") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a mount, and port 53")
@pytest.mark.parametrize("how", ["dropped", "failing", "late"])
def test_a_kind_of_addresses_is_withdrawn_only_if_the_answer_says_so(daemon, folder, upstream, name_server, how):
    server = upstream(named("a"))
    ones = [(b"\x7f\0\0\1", 1)]
    names = name_server({A: ones, AAAA: [(b"\0" * 15 + b"\1", 1)]})
    one = daemon(holdfast.fixed("s", f"both.test:{server.port}", "lookup: { timeout = 0.5; refresh = 1; };"),
                 wrapper=names.wrapper(folder))
    one.wait_connected("s")

    def listed():
        return sum(each["state"] != "withdrawn" for each in one.command("endpoints s")["endpoints"])

    assert listed() == 2
    if how == "late":
        names.late[AAAA] = 0.2
    elif how == "failing":
        names.failing.add(AAAA)
    else:
        names.zone = {A: ones}
    # Three lookups: the first and the last are more than a second apart.
    asked, failed = len(names.asked), one.status("s")["lookup_failures"]
    holdfast.until(lambda: len(names.asked) >= asked + 8 if how == "late" else
                   one.status("s")["lookup_failures"] >= failed + 3, "lookups")
    status = one.status("s")
    assert listed() == 2 and (status["lookup_failures"] == 0) == (how == "late"), status
    answer = one.command("lookup s")
    assert f"127.0.0.1:{server.port}" in answer["addresses"], answer
    names.late.clear()
    names.failing.clear()
    names.zone = {A: ones, AAAA: []}
    holdfast.until(lambda: listed() == 1, "withdrawn")
