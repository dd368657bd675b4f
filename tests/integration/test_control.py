"""The control socket: one command a line in, one JSON object a line out, whatever comes in."""
import json
import signal

import holdfast


def test_malformed_commands_get_an_error_and_the_connection_stays(daemon):
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}"))
    with holdfast.Client(one.control) as control:
        for line in (b"nonsense", b"status a b c", b"wait", b"status nobody", b"\xff\xfe", b"wait s x", b"log loud",
                     b'"unclosed'):
            control.send(line + b"\n")
            answer = json.loads(control.line())
            assert answer["ok"] is False and answer["error"], line
        control.send(b"ping\n")
        assert json.loads(control.line())["ok"] is True


def test_several_commands_at_once_are_answered_in_order(daemon):
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}"))
    with holdfast.Client(one.control) as control:
        control.send(b"ping\nstatus\nwait s 0\nping\n")
        answers = [json.loads(control.line()) for _ in range(4)]
    assert [answer["ok"] for answer in answers] == [True, True, False, True]
    assert answers[1]["services"][0]["service"] == "s"


def test_status_has_every_promised_field(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address))
    one.wait_connected("s")
    status = one.status()
    for name in "ok pid worker_pid worker_restarts version started config_error services".split():
        assert name in status, name
    wanted = ("service mode state up address since down_since failures outages next_attempt_in_seconds last_error "
              "last_error_at lookup lookup_running_seconds clients held held_longest_seconds in_flight warm resting "
              "withdrawn paused attempts connects disconnects bytes_from_clients bytes_to_clients socket")
    for name in wanted.split():
        assert name in status["services"][0], name
    assert status["services"][0]["state"] == "connected" and status["services"][0]["up"] is True


def test_clients_and_kill(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address))
    with one.client("s") as first, one.client("s") as second:
        assert first.ask("x") == b"x\n" and second.ask("yy") == b"yy\n"
        clients = one.command("clients s")["clients"]
        assert len(clients) == 2
        assert one.ctl("kill", "s", "--id", str(clients[0]["id"])).returncode == 0
        assert first.at_end()
        assert second.ask("z") == b"z\n"


def test_orders_are_carried_out_in_their_order_though_nobody_waits_for_the_answer(daemon):
    one = daemon("".join(holdfast.fixed(f"s{number}", "127.0.0.1:9") for number in range(40)))
    with holdfast.Client(one.control) as control:
        control.send(b"drain --all\n")
    holdfast.until(lambda: all(service["state"] == "drained" for service in one.status()["services"]), "all drained")
    with holdfast.Client(one.control) as first, holdfast.Client(one.control) as second:
        first.send(b"open --all\n")
        second.send(b"drain s39\n")
        assert json.loads(first.line())["opened"] == 40 and json.loads(second.line())["ok"]
    states = [service["state"] for service in one.status()["services"]]
    assert states[39] == "drained" and "drained" not in states[:39]


def test_events_are_seen_as_they_happen(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, "retry: { delay = 0.05; };"))
    one.wait_connected("s")
    with holdfast.Client(one.control) as control:
        control.send(b"events s\n")
        assert json.loads(control.line())["event"] == "connected", "the last one first"
        server.stop()
        seen = []
        while "failed_to_connect" not in seen:
            seen.append(json.loads(control.line())["event"])
        assert seen[:2] == ["disconnected", "attempting_to_connect"]
        server.start()
        while seen[-1] != "connected":
            seen.append(json.loads(control.line())["event"])
    explained = json.dumps(one.command("explain s"))
    assert "disconnected" in explained and "refused" in explained


def test_close_open_drain_outlive_the_worker(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address))
    one.wait_connected("s")
    one.command("close s")
    one.kill_worker()
    one.wait_status("s", state="closed")
    with one.client("s") as client:
        assert client.at_end()
    one.command("open s")
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
        one.command("drain s")
        one.kill_worker()
        assert client.ask("y") == b"y\n", "attached clients stay"
    one.wait_status("s", state="drained")


def test_state_goes_to_the_log_on_usr1(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address))
    one.wait_connected("s")
    length = len(one.log())
    one.process.send_signal(signal.SIGUSR1)
    holdfast.until(lambda: "s" in one.log()[length:] and "connected" in one.log()[length:], "the state of s")
