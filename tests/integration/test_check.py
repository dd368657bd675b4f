"""holdfastctl check: what a monitoring plugin prints and exits with."""
import os
import shutil
import signal
import socket

import pytest

import holdfast
from test_ctl import Script, ctl

OK, WARNING, CRITICAL, UNKNOWN = range(4)


@pytest.fixture
def path(folder):
    return os.path.join(folder, "control.sock")


def check(one, *words):
    done = one.ctl("check", *words)
    assert done.stderr == ""
    assert done.stdout.count("|") == 1 or done.returncode == UNKNOWN
    return done.returncode, done.stdout


def test_up_down_closed_and_one_service(daemon, upstream):
    port = holdfast.free_port()
    one = daemon(holdfast.fixed("good", upstream().address) + holdfast.fixed("bad", f"127.0.0.1:{port}"))
    one.wait_connected("good")
    one.wait_status("bad", state="waiting")
    code, text = check(one)
    assert code == WARNING
    assert text.startswith("HOLDFAST WARNING - 1 of 2 services up; bad down for ")
    assert "Connection refused" in text.splitlines()[0].split("|")[0]
    assert "bad_down=" in text and "good_clients=0;;;0" in text
    assert check(one, "-c", "0")[0] == CRITICAL
    assert check(one, "--warning", "100", "--critical=200")[0] == OK
    code, text = check(one, "good")
    assert (code, text.split(" |")[0]) == (OK, "HOLDFAST OK - 1 of 1 service up")
    one.command("pause good 1")
    code, text = check(one, "good")
    assert (code, text.split(" |")[0]) == (OK, "HOLDFAST OK - 1 of 1 service up, 1 paused"), "not yet for too long"
    one.command("close good")
    code, text = check(one, "good")
    assert code == WARNING and "good closed by " in text


def test_an_abort_is_critical_at_once(daemon, folder):
    script = os.path.join(folder, "lookup")
    with open(script, "w") as file:
        file.write("#!/bin/sh\necho 'abort: decommissioned'\n")
    os.chmod(script, 0o755)
    one = daemon(f'gone: {{ lookup: {{ script = "{script}"; }}; }};')
    one.wait_status("gone", state="aborted")
    code, text = check(one)
    assert code == CRITICAL and "gone aborted for " in text and "decommissioned" in text


@pytest.mark.parametrize("words, part", [
    (["nobody"], 'no service "nobody"'), (["-w", "x"], "not a time"), (["-w", "-1"], "not a time"),
    (["-c", "1e10"], "not a time"), (["-w", "61"], "less than -w"), (["-w"], "needs a time"),
    (["--crit", "nan"], "not a time"), (["-x"], "no option -x"), (["--jsn"], "no option --jsn"),
    (["s", "t"], "one service or none")])
def test_what_cannot_be_judged_is_unknown(daemon, words, part):
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}"))
    code, text = check(one, *words)
    assert code == UNKNOWN and text.startswith("HOLDFAST UNKNOWN - ") and part in text and text.count("\n") == 1


def test_no_daemon_is_critical_and_no_permission_unknown(path, folder):
    done = ctl(path, "check")
    assert done.returncode == CRITICAL and done.stdout.startswith("HOLDFAST CRITICAL - no socket at ")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    assert ctl(path, "check").returncode == CRITICAL
    if os.geteuid() == 0:
        os.chmod(path, 0o600)
        program = shutil.copy(os.path.join(holdfast.BUILD, "holdfastctl"), folder)
        done = holdfast.run(program, "-s", path, "check", user=65534, group=65534, extra_groups=[])
        assert done.returncode == UNKNOWN and "permission denied" in done.stdout


@pytest.mark.parametrize("answer", [
    b"nonsense\n", b"[]\n", b"null\n", {"ok": True}, {"ok": True, "services": {}}, {"ok": True, "services": [1]},
    {"ok": True, "services": [{"service": 5}]}, {"ok": False, "error": "too | many\nconnections"}])
def test_a_malformed_answer_is_unknown(path, answer):
    Script(path, [answer])
    done = ctl(path, "check")
    assert done.returncode == UNKNOWN and done.stdout.startswith("HOLDFAST UNKNOWN - ") and "|" not in done.stdout


def test_the_death_of_the_worker_is_no_outage(path):
    script = Script(path, [], [], [{"ok": True, "services": [{"service": "s", "state": "idle", "up": True}]}])
    done = ctl(path, "check")
    assert (done.returncode, script.commands) == (OK, ["status"] * 3)
    assert done.stdout.startswith("HOLDFAST OK - 1 of 1 service up")


@pytest.mark.long
def test_a_daemon_that_does_not_answer_within_ten_seconds_is_critical(daemon):
    one = daemon(arguments=["--no-keeper"])
    one.process.send_signal(signal.SIGSTOP)
    done = one.ctl("check", bound=12)
    one.process.send_signal(signal.SIGCONT)
    assert done.returncode == CRITICAL and "does not answer" in done.stdout
