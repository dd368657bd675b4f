"""pause and resume: new work is held, what is in flight ends; no client notices more than a delay."""
import os
import pwd
import threading

import pytest

import asking
import holdfast
import manager
import test_crash_points
from asking import Resp
from upstream import answering, collecting

ME = pwd.getpwuid(os.geteuid()).pw_name


class Command:
    """A command that is not answered at once."""

    def __init__(self, one, line):
        self.client = holdfast.Client(one.control)
        self.client.send(line.encode() + b"\n")

    def answer(self):
        with self.client:
            return holdfast.json.loads(self.client.line())


def wait_paused(one, service):
    return one.wait_status(service, paused=True)


def test_new_clients_are_held_and_attached_ones_go_on(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    with one.client("s") as attached:
        assert attached.ask("one") == b"one\n"
        pause = Command(one, "pause s")
        status = wait_paused(one, "s")
        assert (status["paused_by"], status["outages"]) == (ME, 0) and status["paused_since"]
        with one.client("s") as fresh:
            fresh.send(b"two\n")
            one.wait_status("s", clients=1, held=1)
            assert attached.ask("three") == b"three\n"
            attached.close()
            assert pause.answer() == {"ok": True, "service": "s", "paused": True, "held": 1}
            server.wait(lambda self: not self.connections, "no connection is left")
            status = one.status("s")
            assert (status["state"], status["warm"], status["down_since"]) == ("idle", 0, None)
            one.command("resume s")
            assert fresh.line() == b"two\n"
    status = one.status("s")
    assert (status["paused"], status["paused_by"], status["paused_since"]) == (False, None, None)
    assert status["outages"] == 0
    assert "paused by" in str(one.command("explain s")) and "resumed by" in str(one.command("explain s"))


def test_when_its_time_is_over_it_stays_paused_and_names_who_is_left(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address))
    with one.client("s") as attached:
        assert attached.ask("one") == b"one\n"
        done = one.ctl("pause", "s", "0.1")
        assert done.returncode == 4
        number = one.command("clients s")["clients"][0]["id"]
        assert f"it stays paused: 1 client is left: {number} (pid {os.getpid()}, user {ME}" in done.stderr
        assert one.status("s")["paused"]
        assert "PAUSED" in one.ctl("status").stdout
        assert one.command_raw("pause s 0")["left"][0]["pid"] == os.getpid()
        done = one.ctl("pause", "--kill", "s", "5")
        assert (done.returncode, attached.at_end()) == (0, True)
    assert one.ctl("resume", "s").stdout == "s: resumed; connecting again\n"
    assert one.ctl("resume", "s").stdout == "s: was not paused\n"


def test_with_kill_a_client_that_may_change_its_upstream_stays(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, 'on_upstream_end = "reconnect";'))
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        one.command("pause s --kill")
        client.send(b"two\n")
        one.wait_status("s", held=1, clients=0)
        one.command("resume s")
        assert client.line() == b"two\n"


def test_hold_timeout_ends_nobody_and_on_down_refuses_nobody(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, 'hold_timeout = 0.1; on_down = "refuse"; max_held = 1;'))
    one.wait_connected("s")
    one.command("pause s")
    with one.client("s") as held, one.client("s") as surplus:
        assert surplus.at_end()
        held.send(b"one\n")
        holdfast.until(lambda: (one.status("s")["held_longest_seconds"] or 0) > 0.3, "it has waited for long")
        one.command("resume s")
        assert held.line() == b"one\n"
    assert one.status("s")["refused"]["hold_timeout"] == 0


def test_nothing_is_tried_while_it_is_paused(daemon):
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}", "retry: { delay = 0.01; };"))
    holdfast.until(lambda: one.status("s")["failures"] > 2, "it is down")
    one.command("pause s")
    attempts = one.wait_status("s", state="idle")["attempts"]
    with one.client("s"):
        one.wait_status("s", held=1)
        done = one.ctl("wait", "s", "0.2")
        assert done.returncode == 4 and "paused by an operator" in done.stderr
        assert one.status("s")["attempts"] == attempts
        assert "resume s" in one.command_raw("reconnect s")["error"]
        one.command("resume s")
        holdfast.until(lambda: one.status("s")["attempts"] > attempts + 1, "it is tried again")


def test_what_is_closed_cannot_be_paused_and_a_pause_outlives_a_close(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address))
    one.command("close s")
    assert 'open s' in one.command_raw("pause s")["error"]
    one.command("open s")
    one.wait_connected("s")
    one.command("pause s")
    one.command("pause s")
    one.command("close s")
    with one.client("s") as refused:
        assert refused.at_end()
    one.command("open s")
    with one.client("s") as held:
        held.send(b"one\n")
        one.wait_status("s", held=1, paused=True)
        one.command("resume s")
        assert held.line() == b"one\n"


@pytest.mark.parametrize("shared", [False, True], ids=["session", "shared"])
def test_it_outlives_worker_upgrade_restart_and_reload(daemon, upstream, shared):
    server = upstream()

    def services(more=""):
        if shared:
            return asking.shared("s", server.address, more, "line")
        return holdfast.fixed("s", server.address, more)
    one = daemon(services(), kind=manager.Managed)
    one.wait_connected("s")
    server.wait_accepted(1)
    one.command("pause s")
    since = one.status("s")["paused_since"]
    with one.client("s") as client:
        client.send(b"one\n")
        one.wait_status("s", held=1)
        accepted = server.accepted
        one.kill_worker()
        one.wait_status("s", paused=True, paused_by=ME, paused_since=since, held=1)
        assert one.restarts() == 1
        assert one.ctl("upgrade").returncode == 0
        one.wait_status("s", paused=True, paused_since=since, held=1)
        one.restart()
        one.wait_status("s", paused=True, paused_since=since, held=1)
        one.configure(services("connect_timeout = 1; "))  # renews the upstream
        one.command("reload")
        one.wait_status("s", paused=True, held=1, state="idle")
        assert server.accepted == accepted
        one.command("resume s")
        assert client.line() == b"one\n"


def test_a_pause_that_waits_goes_on_over_the_workers_death(daemon, upstream):
    """holdfastctl asks again."""
    one = daemon(holdfast.fixed("s", upstream().address))
    done = []
    with one.client("s") as attached:
        assert attached.ask("one") == b"one\n"
        waiting = threading.Thread(target=lambda: done.append(one.ctl("pause", "s", "10")))
        waiting.start()
        wait_paused(one, "s")
        one.kill_worker()
        assert attached.ask("two") == b"two\n"
    waiting.join()
    assert done[0].returncode == 0, done[0].stderr


@pytest.mark.skipif(not test_crash_points.points(), reason="no build with --enable-crash-points")
@pytest.mark.parametrize("shared", [False, True], ids=["session", "shared"])
def test_a_worker_that_dies_over_an_order_leaves_it_to_the_next(daemon, upstream, shared):
    server = upstream()
    text = asking.shared("s", server.address, "", "line") if shared else holdfast.fixed("s", server.address)
    one = daemon(text, build=holdfast.CRASH_BUILD, environment_more={"HOLDFAST_CRASH": "switch.ordered:1"})
    one.wait_connected("s")
    assert one.ctl("pause", "s").returncode == 0
    one.wait_status("s", paused=True, state="idle")
    with one.client("s") as client:
        client.send(b"one\n")
        one.wait_status("s", held=1)
        assert one.ctl("resume", "s").returncode == 0
        assert client.line() == b"one\n"
    with holdfast.Client(one.control) as control:  # asked once: it would die each time
        control.send(b"fail s 3\n")
        assert control.at_end()
    assert one.status("s")["failing"]["by"] == ME
    one.wait_status("s", failing=None, up=True)
    assert one.log().count("crash point switch.ordered") == 3


def when_told(go):
    """Each line comes back once the event has come."""
    return answering(lambda line: line if go.wait(holdfast.BOUND) else line)


def test_requests_in_flight_are_answered_and_others_wait(daemon, upstream):
    """The server answers when it is told to."""
    go = threading.Event()
    server = upstream(when_told(go))
    one = daemon(asking.shared("s", server.address, "", "line"))
    with one.client("s") as first, one.client("s") as second:
        first.send(b"one\n")
        one.wait_status("s", in_flight=1)
        pause = Command(one, "pause s")
        wait_paused(one, "s")
        second.send(b"two\n")
        one.wait_status("s", in_flight=1, queued=1)
        answer = one.command_raw("pause s 0")
        assert "1 request of 1 client is in flight" in answer["error"] and answer["in_flight"] == 1
        assert answer["left"][0]["user"] == ME
        go.set()
        assert first.line() == b"one\n"
        assert pause.answer()["ok"]
        assert server.accepted == 1
        status = one.status("s")
        assert (status["state"], status["in_flight"], status["queued"], status["outages"]) == ("idle", 0, 1, 0)
        one.command("resume s")
        assert second.line() == b"two\n"
        assert first.ask("three") == b"three\n"
    assert (server.accepted, one.status("s")["outages"], one.status("s")["losses"]) == (2, 0, 0)


@pytest.mark.parametrize("on_loss", ["fail", "retry"])
def test_with_kill_requests_in_flight_end_as_on_loss_says(daemon, upstream, on_loss):
    answers = threading.Event()
    server = upstream(answering(lambda line: line if answers.is_set() else None))
    one = daemon(asking.shared("s", server.address, f'on_loss = "{on_loss}"; loss_reply = "gone"; ', "line"))
    with one.client("s") as client:
        client.send(b"one\n")
        one.wait_status("s", in_flight=1)
        one.command("pause s --kill")
        answers.set()
        if on_loss == "fail":
            assert client.line() == b"gone\n"
        one.command("resume s")
        assert client.ask("two") == (b"two\n" if on_loss == "fail" else b"one\n")
    assert one.status("s")["outages"] == 0


def test_a_shared_service_is_resumed_before_its_work_has_ended(daemon, upstream):
    """What is in flight is not lost for it."""
    go = threading.Event()
    server = upstream(when_told(go))
    one = daemon(asking.shared("s", server.address, "", "line"))
    with one.client("s") as client:
        client.send(b"one\n")
        one.wait_status("s", in_flight=1)
        assert one.ctl("pause", "s", "0.05").returncode == 4
        client.send(b"two\n")
        one.wait_status("s", queued=1)
        one.command("resume s")
        go.set()
        assert (client.line(), client.line()) == (b"one\n", b"two\n")
    assert (server.accepted, one.status("s")["losses"]) == (1, 0)


def test_datagrams_and_broadcasts_wait_too(daemon, upstream):
    told = []

    def serve(connection):
        connection.sendall(b"hello\n")
        collecting(told)(connection)
    server = upstream(serve)
    one = daemon(asking.shared("b", server.address, 'replies = "broadcast"; ', "line"))
    with one.client("b") as client:
        one.wait_connected("b")
        one.command("pause b")
        client.send(b"one\n")
        one.wait_status("b", queued=1)
        server.wait(lambda self: not self.connections, "no connection is left")
        one.command("resume b")
        server.wait(lambda self: self.connections, "it is there again")
        holdfast.until(lambda: one.status("b")["messages_to_clients"] > 0, "it speaks")
        client.line()
        one.wait_status("b", in_flight=0, queued=0)
        holdfast.until(lambda: told, "it was told")
    assert told == [b"one\n"]


def test_redis_forgets_nothing_over_a_pause(daemon, redis):
    server = redis()
    one = daemon(asking.shared("cache", server.address))
    with Resp(one.socket("cache")) as client:
        assert client.ask("SET", "k", "v") == "OK"
        one.command("pause cache")
        client.send(asking.command("GET", "k"))
        one.wait_status("cache", queued=1)
        one.command("resume cache")
        assert client.reply() == b"v"
