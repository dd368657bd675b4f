"""Who may run which command of the control socket: root, the daemon's user, administrators, those who can open it."""
import contextlib
import grp
import json
import os
import pwd
import socket

import pytest

import holdfast

pytestmark = [pytest.mark.plain,
              pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become others: run tests/run as root")]

CHANGES = ["close s", "open s", "disable s", "enable s", "drain s", "open --all", "drain --all --wait 0",
           "open --all", "kill s --id 99", "reconnect s", "pause s 5", "resume s", "fail s 5", "fail s 0",
           "log debug", "log default", "reload --force", "reload"]
READS = ["status", "status s", "endpoints", "clients", "clients s --by user", "wait s 5", "try s 5", "lookup s",
         "explain s", "reload --dry-run", "config", "metrics", "metrics --openmetrics", "log", "ping", "help"]
OWN, ADMIN, GROUP_ADMIN, MEMBER, OTHER = "daemon", "games", "bin", "sys", "man"


@contextlib.contextmanager
def being(user, group=None):
    """This process as another user, to whom what is opened meanwhile belongs."""
    one = pwd.getpwnam(user)
    before = os.getgroups()
    os.setgroups([grp.getgrnam(group).gr_gid] if group else [])
    os.setegid(one.pw_gid)
    os.seteuid(one.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


class Operator:
    """A connection to the control socket of somebody else."""

    def __init__(self, one, user, group=None):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(holdfast.BOUND)
        with being(user, group):
            self.socket.connect(one.control)
        self.lines = self.socket.makefile("rb")

    def ask(self, line):
        self.socket.sendall(line.encode() + b"\n")
        return json.loads(self.lines.readline())


def serve(daemon, server, settings, mode="0660"):
    """A daemon of a user of its own."""
    one = daemon(holdfast.fixed("s", server.address), start=False, top=f'control: {{ mode = "{mode}"; {settings} }};',
                 wrapper=("setpriv", f"--reuid={OWN}", f"--regid={OWN}", "--clear-groups"))
    for path in (one.folder, one.config):
        os.chown(path, pwd.getpwnam(OWN).pw_uid, grp.getgrnam(OWN).gr_gid)
    one.spawn()
    holdfast.until(lambda: os.path.exists(one.control), "control socket")  # it may not write to our notify socket
    one.wait_connected("s")
    return one


def refused(answer):
    return not answer["ok"] and answer.get("denied") and answer["error"].startswith("permission denied: user ")


def state(one):
    """All that an order could have changed."""
    status, service = one.command("status"), one.status("s")
    reloads = [note for note in one.command("explain s")["entries"] if "reload" in note.get("text", "")]
    return [status["upgrades"], status["worker_pid"], one.command("log")["level"], len(reloads)] + [
        service[name] for name in ("state", "administered", "paused", "failing", "connects")]


def expect_granted(operator):
    for line in CHANGES:
        answer = operator.ask(line)
        assert not refused(answer) and "usage" not in answer, (line, answer)
    assert operator.ask("upgrade now")["usage"], "it is not asked for permission first"


def expect_read_only(one, operator):
    before = state(one)
    for line in CHANGES + ["upgrade", "upgrade now"]:
        answer = operator.ask(line)
        assert refused(answer), (line, answer)
    assert state(one) == before
    for line in READS:
        assert operator.ask(line)["ok"], line
    assert operator.ask("events s")["ok"]


def test_every_command_is_tried(daemon, upstream):
    one = serve(daemon, upstream(), "")
    tried = {line.split()[0] for line in CHANGES + READS} | {"upgrade", "events"}
    assert {row["command"] for row in one.command("help")["commands"]} == tried


def test_with_no_administrators_named_the_socket_s_group_may_read(daemon, upstream):
    one = serve(daemon, upstream(), "")
    for user in ("root", OWN):
        expect_granted(Operator(one, user))
    expect_read_only(one, Operator(one, MEMBER, OWN))
    with pytest.raises(PermissionError):
        Operator(one, OTHER)


def test_administrators_may_change_and_others_read(daemon, upstream):
    one = serve(daemon, upstream(), f'admin_users = ["{ADMIN}"]; admin_groups = ["{GROUP_ADMIN}"];', "0666")
    for operator in (Operator(one, "root"), Operator(one, OWN), Operator(one, ADMIN), Operator(one, GROUP_ADMIN),
                     Operator(one, OTHER, GROUP_ADMIN)):
        expect_granted(operator)
    for operator in (Operator(one, MEMBER, OWN), Operator(one, OTHER)):
        expect_read_only(one, operator)


def test_the_refusal_says_who_asked_and_what_would_allow_it_and_the_command_exits_with_1(daemon, upstream):
    one = serve(daemon, upstream(), "")
    with being(MEMBER, OWN):
        done = one.ctl("pause", "s")
        assert one.ctl("status").returncode == 0 and one.ctl("log").returncode == 0
    assert done.returncode == 1
    assert (f'permission denied: user {MEMBER} may read, but "pause" changes something; that is for root, user '
            f"{OWN}, control.admin_users and control.admin_groups (both empty)") in done.stderr, done


def test_a_reload_changes_what_an_open_connection_may(daemon, upstream):
    server = upstream()
    one = serve(daemon, server, f'admin_users = ["{ADMIN}"];', "0666")
    former, later = Operator(one, ADMIN), Operator(one, OTHER)
    waiting = Operator(one, ADMIN)
    with one.client("s") as client:
        assert client.ask("a") == b"a\n"
        waiting.socket.sendall(b"pause s 30\npause s 31\n")  # the second is asked when the first was answered
        one.wait_status("s", paused=True)
        one.configure(holdfast.fixed("s", server.address),
                      f'control: {{ mode = "0666"; admin_users = ["{OTHER}"]; }};')
        one.command("reload")
        assert refused(former.ask("resume s")) and one.status("s")["paused"]
    assert json.loads(waiting.lines.readline())["ok"], "what was begun is answered"
    assert refused(json.loads(waiting.lines.readline())), "what waited behind it is asked anew"
    assert later.ask("resume s")["ok"]
