"""Clients of other namespaces: a user that has no number here is nobody, a process that cannot be seen has none."""
import os
import signal
import subprocess

import pytest

import holdfast

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user, and namespaces")
OVERFLOW = 65534
UNMAPPED = 4242  # a user outside of the daemon's user namespace


class Inside:
    """socat in namespaces of its own, asked line by line."""

    def __init__(self, path, *wrapper):
        self.process = subprocess.Popen([*wrapper, "socat", "-t0.1", "-", f"UNIX:{path}"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, env=holdfast.environment(), start_new_session=True)

    def ask(self, text):
        try:
            self.process.stdin.write(text.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return ""
        return self.process.stdout.readline().decode()

    def end(self):
        self.process.stdin.close()
        self.process.wait(holdfast.BOUND)
        self.process.stdout.close()


class Contained(holdfast.Daemon):
    """A daemon in a pid namespace; unshare, which waits for it, hands no signal on."""

    def __init__(self, folder, services):
        super().__init__(folder, services, wrapper=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"])

    def stop(self, number=signal.SIGINT):
        os.kill(self.children()[0], number)
        return holdfast.wait_exit(self.process, holdfast.BOUND * 2)


@pytest.fixture(autouse=True)
def namespaces():
    if holdfast.run("unshare", "--user", "--map-root-user", "--pid", "--fork", "true").returncode != 0:
        pytest.skip("no namespaces can be made here")


@pytest.fixture
def inside():
    yield from holdfast.each_ends(Inside)


def in_a_user_namespace(daemon, folder, services, top=""):
    """A daemon that knows root alone: whoever else comes has no number there."""
    os.chmod(folder, 0o755)
    return daemon(services, top=top, wrapper=["unshare", "--user", "--map-root-user"])


def other_user(*words):
    return ["setpriv", f"--reuid={UNMAPPED}", f"--regid={UNMAPPED}", "--clear-groups", *words]


def test_a_user_without_a_number_is_in_no_list(daemon, upstream, folder, inside):
    server = upstream()
    lists = [f'allow_users = ["{OVERFLOW}"];', f'allow_groups = ["{OVERFLOW}"];', 'allow_users = ["nobody"];']
    names = [f"s{i}" for i in range(len(lists))]
    services = "".join(holdfast.fixed(name, server.address, f'listen: {{ mode = "0666"; {allowed} }};')
                       for name, allowed in zip(names, lists))
    one = in_a_user_namespace(daemon, folder, services + holdfast.fixed(
        "open", server.address, 'listen: { mode = "0666"; };'),
        top=f'control: {{ mode = "0666"; admin_users = ["{OVERFLOW}"]; admin_groups = ["nogroup"]; }};')
    for name in names:
        assert inside(one.socket(name), *other_user()).ask("x") == "", name
    one.wait_log("client of user unknown closed: not in allow_users or allow_groups")
    client = inside(one.socket("open"), *other_user())
    assert client.ask("x") == "x\n"
    seen = one.command("clients open")["clients"]
    assert [(each["user"], each["uid"]) for each in seen] == [("unknown", OVERFLOW)]
    assert " unknown " in one.ctl("clients").stdout
    program = os.path.join(one.build, "holdfastctl")
    done = holdfast.run(*other_user(program, "-s", one.control, "close", "open"))
    assert done.returncode == 1 and "permission denied" in done.stderr
    assert holdfast.run(*other_user(program, "-s", one.control, "status")).returncode == 0


def test_the_test_of_the_configuration_tells_that_such_an_entry_is_in_vain(daemon):
    users = f'listen: {{ allow_users = ["{OVERFLOW}", "root"]; }};'
    one = daemon(holdfast.fixed("s", "127.0.0.1:9", users), start=False)
    done = holdfast.run(os.path.join(one.build, "holdfastd"), "-t", "-c", one.config)
    assert done.returncode == 0 and f'"{OVERFLOW}" lets nobody in' in done.stderr and '"root"' not in done.stderr


def test_a_process_of_another_pid_namespace_has_no_number(daemon, upstream):
    """The daemon is in a namespace of its own; the test's client is out of its sight."""
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, 'listen: { allow_users = ["bin"]; };')
                 + holdfast.fixed("open", server.address), kind=Contained)
    with one.client("open") as client:
        assert client.ask("x") == b"x\n"
        seen, = one.command("clients open")["clients"]
        assert (seen["pid"], seen["unit"], seen["container"]) == (None, None, None)
        assert seen["uid"] == os.getuid()
        line = one.ctl("clients").stdout.splitlines()[1].split()
        assert line[:4] == ["open", str(seen["id"]), "-", "root"]
        assert one.command("clients open --by pid")["counts"] == [{"pid": None, "clients": 1, "held": 0}]
        assert one.ctl("clients", "--by", "pid").stdout.splitlines()[1].split() == ["1", "0", "-"]
        left = one.command_raw("pause open 0.01")
        assert left["left"][0]["pid"] is None and "pid" not in left["error"], left
    with one.client("s") as refused:
        assert refused.at_end()
    one.wait_log("not in allow_users or allow_groups pid=- unit=-")
