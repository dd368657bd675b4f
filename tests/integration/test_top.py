"""holdfastctl top on a real terminal: what it paints, at several sizes, while the daemon comes and goes."""
import os
import re
import signal

import pytest

import holdfast
from screen import Control, Terminal, ago, service

PROGRAM = os.path.join(holdfast.BUILD, "holdfastctl")
LONG_ERROR = "lookup script /usr/local/libexec/find-feed: exit 3: no copy of feed answers in any of the three places"
HEADS_80 = "SERVICE          STATE▼  SINCE CLIENTS HELD IN/s OUT/s WORK/s  LAST ERROR"


def fleet():
    """One service in each state, and enough others to fill a screen."""
    return [
        service("billing", clients=12, last_error="10.0.0.4:7001: Connection refused", last_error_at=ago(11000)),
        service("cache", mode="shared", clients=345, messages_from_clients=0, messages_to_clients=0, in_flight=17,
                own=3),
        service("database-primary-europe-west", "waiting", False, down_since=ago(123), held=7,
                held_longest_seconds=61.2, last_error="10.1.2.3:5432: Connection timed out", last_error_at=ago(3),
                next_attempt_in_seconds=4.2),
        service("feed", "connecting", False, down_since=ago(4000), last_error=LONG_ERROR, last_error_at=ago(30)),
        service("legacy", "closed", False,
                administered={"what": "closed", "by": "root", "uid": 0, "since": ago(90000)}),
        service("mail", paused=True, paused_since=ago(33), paused_by="ann"),
        service("naïve-日本語", clients=1),
    ] + [service(f"web-{i}", clients=i) for i in range(1, 24)]


@pytest.fixture
def terminal():
    yield from holdfast.each_ends(lambda path, **more: Terminal(PROGRAM, "-s", path, "top", **more))


@pytest.fixture
def control(folder):
    path = os.path.join(folder, "control.sock")

    def end(one):
        try:
            one.stop()
        except OSError:
            pass

    yield from holdfast.each_ends(lambda *services, **more: Control(path, *services, **more), end)


def at_column(line, text):
    return line.index(text) if text in line else -1


def test_80x24_has_the_main_columns_and_nothing_overlaps(control, terminal):
    screen = terminal(control(*fleet(), worker_restarts=2).path)
    screen.until("1-17 of 30")
    lines = screen.lines()
    assert len(lines) == 24
    assert lines[0] == "holdfastd 0.1.0  up 3d 4h  pid 812  worker restarted 2 times"
    assert lines[1] == "30 services  26 UP  1 DOWN  1 HOLD  1 PAUSED  1 CLOSED"
    assert re.fullmatch(r"634 clients  7 held  in \S+B/s  out \S+B/s  \S+ clients/s  \S+ messages/s", lines[2])
    assert lines[3] == "" and lines[4] == HEADS_80
    assert [line[17:23].strip() for line in lines[5:11]] == ["HOLD", "DOWN", "PAUSED", "CLOSED", "UP", "UP"]
    assert lines[5].startswith("database-primar… HOLD     2min       0    7")
    assert lines[6].startswith("feed             DOWN       1h") and lines[6].endswith("lookup script /u…")
    assert lines[8].endswith("closed by root") and "3h ago: 10.0.0.4…" in lines[9]
    assert lines[22].startswith("database-primary-europe-west HOLD  10.1.2.3:5432: Connection timed out")
    assert lines[23] == "q quit  ? help  / filter  Enter explain  <> sort  r reverse           1-17 of 30"
    error_at = HEADS_80.index("LAST ERROR")
    assert all(line[error_at - 2:error_at].strip() == "" for line in lines[4:22])


def test_200x60_has_more_columns_and_whole_errors(control, terminal):
    screen = terminal(control(*fleet()).path, columns=200, lines=60)
    screen.until("1-30 of 30")
    heads = screen.line("SERVICE").split()
    assert heads == ("SERVICE MODE STATE▼ SINCE CLIENTS NEW/s HELD IN/s OUT/s MSG/s FLIGHT OWN "
                     "OUTAGES ADDRESS LAST ERROR").split()
    assert re.search(r" 17 +3 ", screen.line("cache"))
    row = screen.line("database-primary-europe-west session HOLD")
    assert row.endswith(" 10.1.2.3:5432: Connection timed out; next attempt in 4.2 s")
    screen.press("j")
    screen.until(f"feed DOWN  {LONG_ERROR}")
    assert screen.line("naïve-日本語").split()[1:3] == ["session", "UP"]
    state_at = screen.line("SERVICE").index("STATE")
    for state in ("HOLD", "DOWN", "PAUSED", "CLOSED"):
        assert at_column(next(line for line in screen.lines()[5:] if state in line), state) == state_at


def test_states_have_colours_and_are_legible_without(control, terminal):
    path = control(*fleet()).path
    screen = terminal(path)
    screen.until("1-17 of 30")
    screen.press("n")
    screen.until(lambda: screen.lines()[21].startswith("web-10 "))
    wanted = {"UP": "green", "DOWN": "red", "HOLD": "brown", "PAUSED": "cyan", "CLOSED": "magenta"}
    seen = {state: screen.colour(f"{state:6} ") for state in wanted}
    for state, colour in wanted.items():
        assert seen[state][0] == colour and seen[state][1] == (state != "UP"), state
    for more in ({"NO_COLOR": "1"}, {"TERM": "vt100"}):
        plain = terminal(path, **more)
        plain.until("1-17 of 30")
        assert {cell.fg for row in range(24) for cell in plain.screen.buffer[row].values()} == {"default"}
        assert plain.colour("DOWN   ")[1], "bold stays"
        assert [line[17:23].strip() for line in plain.lines()[5:9]] == ["HOLD", "DOWN", "PAUSED", "CLOSED"]


def test_a_terminal_without_utf8_is_given_ascii(control, terminal):
    screen = terminal(control(*fleet()).path, LANG="C", LC_ALL="C")
    screen.until("1-17 of 30")
    assert "database-primar~" in screen.text() and "STATEv" in screen.text() and "na?ve-???" in screen.text()
    assert screen.text().isascii()


def test_filter_sort_and_explain(control, terminal):
    one = control(*fleet())
    one.answers["explain"] = lambda name: {"ok": True, "service": name, "state": "connected", "entries": [
        {"time": f"2026-11-25T03:{i:02}:00.000Z", "event": "disconnected", "text": f"entry {i} of {name}"}
        for i in range(60)]}
    screen = terminal(one.path)
    screen.until("1-17 of 30")
    screen.press("/web-2")
    screen.until("filter: web-2_")
    screen.until("1-5 of 5")
    screen.press("\r")
    screen.until("hides 25 of 30")
    screen.press("cc")
    screen.until("▲CLIENTS")
    names = ["web-2", "web-20", "web-21", "web-22", "web-23"]
    screen.until(lambda: [line.split()[0] for line in screen.lines()[5:10]] == names)
    screen.press("\x1b")
    screen.until("1-17 of 30")
    screen.press("n\x1b[A\x1b[6~\r")  # up, a page down
    screen.until("TIME (UTC)")
    screen.until("42-60 of 60")
    name = screen.lines()[0].split()[0]
    assert screen.lines()[0] == f"{name}  UP for 1h 0min"
    assert screen.lines()[22] == f"11-25 03:59:00  disconnected           entry 59 of {name}"
    screen.press("g")
    screen.until("1-19 of 60")
    screen.press("\x1b")
    screen.until(HEADS_80.replace("STATE▼", "STATE ").replace("SERVICE ", "SERVICE▼"))
    screen.press("q")
    assert screen.exit_code() == 0


def test_help_is_shown_and_left(control, terminal):
    screen = terminal(control(*fleet()).path)
    screen.until("web-9")
    screen.press("?")
    screen.until("holdfastctl top: all services")
    assert all(len(line) <= 80 for line in screen.lines())
    screen.press("?")
    screen.until(HEADS_80)


def test_a_changed_size_is_painted_anew(control, terminal):
    screen = terminal(control(*fleet()).path)
    screen.until("1-17 of 30")
    screen.resize(200, 60)
    screen.until("1-30 of 30")
    assert "OUTAGES" in screen.text()
    screen.resize(40, 10)
    screen.until("1-5 of 30")
    screen.until(lambda: "OUTAGES" not in screen.text() and "SERVICE" in screen.text())
    assert screen.lines()[3] == "SERVICE            STATE▼  CLIENTS HELD"
    assert screen.lines()[4] == "database-primary-… HOLD          0    7"
    screen.resize(3, 2)
    screen.resize(80, 24)
    screen.until(lambda: screen.lines()[4] == HEADS_80)


@pytest.mark.long
def test_rates_come_from_counters_that_may_restart(control, terminal):
    one = control(service("s", bytes_from_clients=10**12))
    screen = terminal(one.path)
    screen.until("1-1 of 1")
    answer = one.answers["status"]
    answer["services"][0]["bytes_from_clients"] += 10**9
    screen.until(lambda: re.search(r" (9\d\dM|1\.0G) ", screen.line("s   ")))
    answer["services"][0]["bytes_from_clients"] = 0
    screen.until(lambda: screen.line("s   ").split()[5] == "0")


def test_the_absence_of_the_daemon_is_said_and_outlived(control, terminal):
    one = control(*fleet())
    screen = terminal(one.path)
    screen.until("1-17 of 30")
    one.drop()
    one.answers["status"]["worker_restarts"] = 1
    screen.until("worker restarted 1 time")
    assert "no answer" not in screen.text()
    one.stop()
    screen.until("no answer for")
    assert "nobody listens at" in screen.text() and "web-1" in screen.text(), "what was known stays"
    os.unlink(one.path)
    one.answers["status"]["worker_restarts"] = 2
    one.listen()
    screen.until("worker restarted 2 times")
    screen.until(lambda: "no answer" not in screen.text())


@pytest.mark.long
def test_a_stopped_daemon_is_said_and_keys_still_work(control, terminal):
    one = control(*fleet())
    screen = terminal(one.path)
    screen.until("1-17 of 30")
    one.answers["status"] = None
    screen.until("the daemon is connected and says nothing")
    screen.press("q")
    assert screen.exit_code() == 0


def test_bad_configuration_files_are_said(control, terminal):
    screen = terminal(control(service("s"), config_error="/etc/holdfast/holdfast.conf:3: mode: bad").path)
    screen.until("configuration files are bad, the one before is in force: /etc/holdfast/holdfast")
    assert len(screen.line("configuration files")) == 80


def test_without_a_terminal_or_a_daemon_it_says_so(control, terminal, folder):
    path = control(service("s")).path
    done = holdfast.run(PROGRAM, "-s", path, "top")
    assert done.returncode == 2 and "needs a terminal" in done.stderr and done.stdout == ""
    for term in ("dumb", "no-such-terminal")[:1 if holdfast.SANITIZED else 2]:  # ncurses leaks over an unknown one
        screen = terminal(path, TERM=term)
        assert screen.exit_code() == 2 and "terminal" in screen.text()
    screen = terminal(os.path.join(folder, "nothing.sock"))
    assert screen.exit_code() == 3 and "no socket at" in screen.text()


def test_it_ends_on_a_signal_and_with_its_terminal(control, terminal):
    one = control(service("s"))
    for number in (signal.SIGTERM, signal.SIGINT):
        screen = terminal(one.path)
        screen.until("1-1 of 1")
        os.kill(screen.pid, number)
        assert screen.exit_code() == 0
    screen = terminal(one.path)
    screen.until("1-1 of 1")
    os.close(screen.fd)
    screen.fd = os.open("/dev/null", os.O_RDONLY)
    holdfast.until(lambda: os.waitpid(screen.pid, os.WNOHANG)[0], "its end")
    screen.pid = 0


def test_1000_services_scroll_and_little_is_painted(control, terminal, figure):
    services = [service(f"service-{i}", clients=i) for i in range(1000)]
    screen = terminal(control(*services).path)
    screen.until("1-17 of 1000")
    screen.press("G")
    screen.until("984-1000 of 1000")
    screen.press("g")
    screen.until("1-17 of 1000")
    before = screen.received
    services[3]["clients"] = 55555
    screen.until("55555")
    figure(f"{screen.received - before} bytes painted for one changed number among 1,000 services")
    assert screen.received - before < 600, "only what has changed is painted"


def test_a_real_daemon_is_shown(daemon, upstream, terminal):
    server = upstream()
    one = daemon(holdfast.fixed("good", server.address) +
                 holdfast.fixed("bad", f"127.0.0.1:{holdfast.free_port()}", "retry: { delay = 0.1; jitter = 0; };"))
    one.wait_connected("good")
    screen = terminal(one.control)
    screen.until("2 services  1 UP  1 DOWN")
    screen.until(lambda: "Connection refused" in screen.line("bad DOWN"))
    with one.client("good") as client, one.client("bad"):
        assert client.ask("x") == b"x\n"
        screen.until("1 client  1 held")
        screen.until(lambda: screen.line("bad ").split()[1] == "HOLD")
        one.kill_worker()
        screen.until("worker restarted 1 time")
        assert client.ask("y") == b"y\n"
    one.command("pause bad 1")
    screen.until("1 UP  0 DOWN  0 HOLD  1 PAUSED")
    screen.until(lambda: "paused by" in screen.line("bad PAUSED"))
    screen.press("n\x1b[B\r")
    screen.until("good  UP for")
    screen.until(lambda: re.search(f"connected +{server.address}", screen.text()))
