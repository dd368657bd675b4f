"""holdfastctl alone, against a control socket played by a test: it outlives worker deaths, tells errors apart."""
import json
import os
import shutil
import socket
import threading

import pytest

import holdfast


class Script:
    """Serves connections one after the other; each is given the answers of one list and then closed.  An answer that
    is bytes goes out as it is."""

    def __init__(self, path, *connections):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(16)
        self.commands = []
        self.thread = threading.Thread(target=self.serve, args=(connections,), daemon=True)
        self.thread.start()

    def serve(self, connections):
        for answers in connections:
            connection, _ = self.listener.accept()
            with connection, connection.makefile("rb") as lines:
                self.commands.append(lines.readline().decode().strip())
                for answer in answers:
                    connection.sendall(answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n")
        self.listener.close()


@pytest.fixture
def path(folder):
    return os.path.join(folder, "control.sock")


def ctl(path, *words, **options):
    return holdfast.run(os.path.join(holdfast.BUILD, "holdfastctl"), "-s", path, *words, **options)


def event(number, name="connected"):
    return {"ok": True, "event": name, "service": "s", "time": f"2026-01-01T00:00:0{number}.000Z", "address": None,
            "error": None, "failures": 0}


def test_a_question_is_asked_again_when_the_worker_died(path):
    script = Script(path, [], [], [{"ok": True, "pong": True}])
    done = ctl(path, "ping")
    assert (done.returncode, done.stdout, done.stderr) == (0, "pong\n", "")
    assert script.commands == ["ping"] * 3


def test_a_wait_that_is_asked_again_has_only_what_is_left_of_its_time(path):
    script = Script(path, [], [{"ok": False, "error": "time ran out", "timed_out": True}])
    assert ctl(path, "wait", "s", "10").returncode == 4
    first, second = (float(command.split()[2]) for command in script.commands)
    assert second < first <= 10


def test_a_change_is_not_asked_again(path):
    script = Script(path, [])
    done = ctl(path, "close", "s")
    assert done.returncode == 3 and "not known" in done.stderr
    assert script.commands == ["close s"]


def test_events_go_on_without_the_last_one_twice(path):
    Script(path, [event(1), event(2)], [event(2), event(3)])
    done = ctl(path, "--json", "events")
    assert [json.loads(line)["time"][17:19] for line in done.stdout.splitlines()] == ["01", "02", "03"]
    assert done.returncode == 3 and "has ended" in done.stderr


@pytest.mark.parametrize("ends, code, said", [
    ([{"upgrades": 3, "ready": True}], 0, "upgraded: version 2 has taken over (was 1)"),
    ([{"upgrades": 3, "ready": False, "upgrade_error": "its workers died"}], 1, "taken back"),
    ([{"upgrades": 3}], 0, "upgraded")])
def test_an_upgrade_is_one_when_the_new_program_is_ready(path, ends, code, said):
    """Until then it may be taken back.  The state is asked for before, in case the answer does not come."""
    before = [{"ok": True, "version": "1", "upgrades": 2}]
    begins = [[], [{"ok": True, "version": "1", "upgrades": 2}], [{"ok": True, "upgrades": 3, "ready": False}], []]
    script = Script(path, before, [{"ok": True, "version": "1", "upgrades": 2}], *begins,
                    [{"ok": True, "version": "2", **end} for end in ends])
    done = ctl(path, "upgrade")
    assert done.returncode == code and said in done.stdout + done.stderr
    assert script.commands == ["status", "upgrade"] + ["status"] * 5


def test_words_arrive_as_they_were_given(path):
    script = Script(path, [{"ok": True, "killed": 1}])
    assert ctl(path, "kill", "s", "--unit", 'a "b\\ c').returncode == 0
    assert script.commands == ['kill s --unit "a \\"b\\\\ c"']


@pytest.mark.parametrize("answer, code", [
    ({"ok": True}, 0), ({"ok": False, "error": "no"}, 1), ({"ok": False, "error": "usage: x", "usage": True}, 2),
    ({"ok": False, "error": "late", "timed_out": True}, 4)])
def test_exit_codes_follow_the_answer(path, answer, code):
    Script(path, [answer])
    done = ctl(path, "open", "s")
    assert done.returncode == code
    assert done.stderr == ("" if code == 0 else f"holdfastctl: {answer['error']}\n")


def test_all_errors_of_a_reload_are_printed(path):
    Script(path, [{"ok": False, "error": "nothing was changed", "errors": ["a:1: b", "a:2: c"]}])
    done = ctl(path, "reload")
    assert done.returncode == 1
    assert "a:1: b" in done.stderr and "a:2: c" in done.stderr


def test_no_socket_and_nobody_listening_and_no_permission_are_told_apart(path, folder):
    done = ctl(path, "ping")
    assert done.returncode == 3 and "no socket" in done.stderr and path in done.stderr
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    done = ctl(path, "ping")
    assert done.returncode == 3 and "nobody listens" in done.stderr
    if os.geteuid() == 0:
        os.chmod(path, 0o600)
        program = shutil.copy(os.path.join(holdfast.BUILD, "holdfastctl"), folder)
        done = holdfast.run(program, "-s", path, "ping", user=65534, group=65534, extra_groups=[])
        assert done.returncode == 3 and "permission denied" in done.stderr


def test_the_socket_comes_from_the_environment(path):
    Script(path, [{"ok": True, "pong": True}])
    program = os.path.join(holdfast.BUILD, "holdfastctl")
    assert holdfast.run(program, "ping", env=holdfast.environment(HOLDFAST_SOCKET=path)).returncode == 0


@pytest.mark.parametrize("words, part", [
    ([], "which command"), (["pnig"], 'did you mean "ping"'), (["wait"], "usage: holdfastctl wait SERVICE"),
    (["ping", "x"], "usage"), (["-x"], "bad option -x;"), (["-xV"], "bad option -x;"),
    (["--xy"], "bad option --xy;"), (["status", "a\nb"], "newline"),
    (["status", "--jsn"], '"status" has no option --jsn; did you mean --json?'),
    (["kill", "s", "--uint", "x"], "no option --uint; did you mean --unit?"),
    (["wait", "s", "-5"], "no option -5"), (["lookup", "-x", "s"], '"lookup" has no option -x')])
def test_usage_errors_need_no_daemon(path, words, part):
    done = ctl(path, *words)
    assert done.returncode == 2 and part in done.stderr and done.stdout == ""


@pytest.mark.parametrize("words", [["help", "reload"], ["reload", "--help"], ["reload", "-h"], ["help", "check"],
                                   ["check", "--help"], ["top", "--help"], ["help", "help"]])
def test_help_of_one_command_is_its_usage_and_what_it_does(path, words):
    done = ctl(path, *words)
    command = next(word for word in words[::-1] if not word.startswith("-"))
    usage, does = done.stdout.splitlines()
    assert done.returncode == 0 and done.stderr == "" and usage.startswith(f"usage: holdfastctl {command}")
    assert does in ctl(path, "help").stdout


def test_help_of_a_misspelt_command_names_the_nearest(path):
    done = ctl(path, "help", "relaod")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'holdfastctl: no command "relaod"; did you mean "reload"?\n'


@pytest.mark.parametrize("option", ["-s", "--socket"])
def test_a_socket_that_is_not_named_is_told(option):
    done = holdfast.run(os.path.join(holdfast.BUILD, "holdfastctl"), option)
    assert done.returncode == 2 and done.stderr == f"holdfastctl: {option} needs the name of a socket\n"
