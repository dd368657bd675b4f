"""Metrics: what is served is right, is read by others, and goes on over deaths and reloads."""
import os
import stat

import pytest

pytest.importorskip("prometheus_client", reason="needs it: apt-get install python3-prometheus-client")

import holdfast  # noqa: E402
import manager  # noqa: E402
import scrape  # noqa: E402


@pytest.fixture
def port():
    return f"127.0.0.1:{holdfast.free_port()}"


def promtool(body):
    done = holdfast.subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, text=True,
                                   timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def awkward(server):
    """Services of all kinds, with names as odd as may be."""
    return (holdfast.fixed("s", server.address) + holdfast.fixed("S-_9" + "x" * 60, "127.0.0.1:1") +
            holdfast.fixed("line", server.address, 'mode = "shared"; framing = "line";') +
            holdfast.fixed("tv", server.address, 'mode = "shared"; framing = "line"; replies = "broadcast";') +
            'gone: { lookup: { script = "/bin/false"; }; };\n')


def test_two_formats_over_tcp_and_unix_sockets_and_the_control_socket(daemon, upstream, port, folder):
    server = upstream()
    one = daemon(awkward(server), top=scrape.listening(port))
    one.wait_connected("s")
    with one.client("s") as client, one.client("line") as member:
        assert client.ask("x") == member.ask("x") == b"x\n"
        one.wait_status("line", messages_to_clients=1)
        found = scrape.values(scrape.text(port))
    assert found['holdfast_up{service="s"}'] == 1 and found['holdfast_up{service="gone"}'] == 0
    assert found['holdfast_down_seconds{service="s"}'] == 0 < found['holdfast_down_seconds{service="gone"}']
    assert found['holdfast_clients{service="s"}'] == found['holdfast_clients_accepted_total{service="line"}'] == 1
    assert found['holdfast_bytes_total{direction="from_clients",service="s"}'] == 2
    assert found['holdfast_hold_seconds_count{service="s"}'] == 0, "a connection was ready"
    assert 'holdfast_hold_seconds_count{service="line"}' not in found
    assert found['holdfast_messages_total{direction="to_clients",service="line"}'] == 1
    assert found['holdfast_lookup_failures_total{service="gone"}'] >= 1
    assert found["holdfast_config_ok"] == 1 and found["holdfast_worker_restarts_total"] == 0
    assert 'holdfast_refused_total{reason="max_held",service="S-_9' + "x" * 60 + '"}' in found
    one.command("fail s 60")
    one.command("pause tv")
    found = scrape.values(scrape.text(port))
    assert found['holdfast_failing{service="s"}'] == found['holdfast_paused{service="tv"}'] == 1
    assert found['holdfast_failing{service="tv"}'] == found['holdfast_paused{service="s"}'] == 0
    older, code, kind = scrape.curl(port)
    assert (code, kind) == (200, scrape.PROMETHEUS)
    promtool(older)
    asked = one.ctl("metrics", "--openmetrics")
    assert asked.returncode == 0 and scrape.values(asked.stdout).keys() == found.keys()
    promtool(one.ctl("metrics").stdout)
    # What Prometheus itself asks for.
    assert scrape.curl(port, "-H", "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5")[2] == \
        scrape.OPENMETRICS
    assert scrape.curl(port, "--http1.0")[0].endswith("# EOF\n")


def test_other_paths_and_methods_are_turned_away(daemon, port):
    daemon("", top=scrape.listening(port))
    assert scrape.curl(port, path="/metrics/")[1] == scrape.curl(port, path="/none")[1] == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert scrape.curl(port, "-X", method)[1] == 405
    assert scrape.curl(port, "-d", "x=y")[1] == 405
    assert scrape.curl(port, path="/metrics?x=y")[1] == 200


def count(found, name, le="+Inf"):
    return found[f'holdfast_{name}_seconds_bucket{{le="{le}",service="s"}}']


def test_a_played_outage_is_counted(daemon, upstream, port):
    """The server is away for a second and a half; two clients wait, one has left."""
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, "retry: { delay = 60; }; hold_retry = 0.05;"),
                 top=scrape.listening(port))
    one.wait_connected("s")
    found = scrape.values(scrape.text(port))
    assert count(found, "outage") == count(found, "hold") == 0
    assert count(found, "lookup") == found['holdfast_lookup_seconds_count{service="s"}'] == 1
    assert count(found, "connect", "1.0") == found['holdfast_connect_seconds_count{service="s"}'] >= 1
    server.stop()
    one.wait_status("s", up=False)
    clients = [one.client("s") for _ in range(3)]
    one.wait_status("s", held=3)
    clients.pop().close()
    one.wait_status("s", held=2)
    holdfast.until(lambda: one.status("s")["held_longest_seconds"] > 1.2, "a hold of over a second")
    server.start()
    for client in clients:
        assert client.ask("x") == b"x\n"
        client.close()
    after = scrape.values(scrape.text(port))
    assert after['holdfast_outages_total{service="s"}'] == count(after, "outage") == 1
    assert (count(after, "outage", "1.0"), count(after, "outage", "60.0")) == (0, 1)
    assert 1.2 < after['holdfast_outage_seconds_sum{service="s"}'] < 60
    assert (count(after, "hold", "1.0"), count(after, "hold", "60.0")) == (0, 2)
    assert 2.4 < after['holdfast_hold_seconds_sum{service="s"}'] < 120
    assert count(after, "lookup") > count(found, "lookup") and count(after, "connect") > count(found, "connect")


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_nothing_goes_down_over_deaths_and_no_scrape_is_refused(daemon, upstream, port, folder, kind):
    server = upstream()
    address = port if kind == "tcp" else f"unix:{folder}/m.sock"
    one = daemon(holdfast.fixed("s", server.address), top=scrape.listening(address))
    before = {}
    for turn in range(12 if holdfast.LONG else 4):
        with one.client("s") as client:
            assert client.ask("x") == b"x\n"
            found = scrape.values(scrape.text(address))
            for name, value in before.items():
                if name.partition("{")[0].endswith(("_total", "_bucket", "_count", "_sum")):
                    assert found[name] >= value, name
            assert found['holdfast_bytes_total{direction="to_clients",service="s"}'] == 2 * (turn + 1)
            before = found
            one.kill_worker()
            # Asked while there may be no worker: it waits in the socket's backlog.
            found = scrape.values(scrape.text(address))
            assert found["holdfast_worker_restarts_total"] == turn + 1


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_all_goes_on_over_a_restart_and_an_upgrade(daemon, upstream, port, folder, kind):
    server = upstream()
    address = port if kind == "tcp" else f"unix:{folder}/m.sock"
    one = daemon(holdfast.fixed("s", server.address), top=scrape.listening(address), start=False,
                 kind=manager.Managed)
    one.install(os.path.join(holdfast.BUILD, "holdfastd"))
    one.start()
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
        before = scrape.values(scrape.text(address))
        one.restart()
        assert one.ctl("upgrade").returncode == 0
        after = scrape.values(scrape.text(address))
    assert after["holdfast_restarts_total"] == after["holdfast_upgrades_total"] == 1
    for name in ("clients_accepted_total", "connect_seconds_count", "lookup_seconds_sum"):
        assert after[f'holdfast_{name}{{service="s"}}'] == before[f'holdfast_{name}{{service="s"}}'] > 0, name


def test_reload_adds_moves_and_removes_it(daemon, upstream, port, folder):
    services = holdfast.fixed("s", upstream().address)
    one = daemon(services)
    unix, other = f"unix:{one.folder}/sub/m.sock", f"127.0.0.1:{holdfast.free_port()}"
    files = one.settled_files(["s"])
    for place, gone in ((port, None), (unix, port), (other, unix), (port, other)):
        one.configure(services, scrape.listening(place))
        one.command("reload")
        assert scrape.text(place).endswith("# EOF\n")
        if gone:
            with pytest.raises(OSError):
                scrape.connect(gone)
        if place == unix:
            assert stat.S_IMODE(os.stat(unix[5:]).st_mode) == 0o660
        one.command("reload")
        assert scrape.text(place).endswith("# EOF\n")
        holdfast.until(lambda: one.files() <= files + 1, "no file but the listener's")
    assert not os.path.exists(unix[5:])
    one.configure(services)
    one.command("reload")
    with pytest.raises(OSError):
        scrape.connect(port)
    holdfast.until(lambda: one.files() <= files, "the files of before")


def test_a_reload_that_cannot_have_it_changes_nothing(daemon, upstream, port):
    server = upstream()
    services = holdfast.fixed("s", server.address)
    one = daemon(services, top=scrape.listening(port))
    one.configure(services + holdfast.fixed("t", server.address), scrape.listening(server.address))
    answer = one.command_raw("reload")
    why = f"metrics.listen: {server.address}: Address already in use: a process of user "
    assert not answer["ok"] and len(answer["errors"]) == 1 and answer["errors"][0].startswith(why)
    assert scrape.values(scrape.text(port))["holdfast_config_ok"] == 0
    assert not os.path.exists(one.socket("t"))
    one.configure(services, scrape.listening("192.0.2.1:9464"))
    answer = one.command_raw("reload")
    assert len(answer["errors"]) == 1 and "holdfast.conf:3: metrics.listen: \"192.0.2.1:9464\": other hosts could " \
        "reach it" in answer["errors"][0]
    one.configure(services, scrape.listening(f"unix:{one.socket('s')}"))
    answer = one.command_raw("reload")
    assert f"metrics.listen: unix:{one.socket('s')} is the socket of service s" in answer["errors"][0]
    one.configure(services, scrape.listening(port))
    one.command("reload")
    assert scrape.values(scrape.text(port))["holdfast_config_ok"] == 1


@pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")
def test_a_death_while_it_moves(daemon, port, folder):
    """The next worker serves at the new place alone, and the old path is gone."""
    one = daemon("", top=scrape.listening(f"unix:{folder}/m.sock"), build=holdfast.CRASH_BUILD,
                 environment_more={"HOLDFAST_CRASH": "metrics.named:2"})
    one.configure("", scrape.listening(port))
    assert one.ctl("reload").returncode != 2
    one.wait_log("crash point metrics.named\n")
    assert scrape.text(port).endswith("# EOF\n")
    assert not os.path.exists(f"{folder}/m.sock")
    assert one.restarts() == 1
