"""Files on a mount that is dead and name services that do not answer: a reload waits for them, clients do not."""
import json
import os
import subprocess
import time

import pytest

import holdfast

pytestmark = [pytest.mark.plain,
              pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/fuse"),
                                 reason="needs root and /dev/fuse")]

# A file system whose server has stopped answering, until this program ends.
DEAD = """
import ctypes, os, sys
fuse = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0".encode()
assert ctypes.CDLL(None).mount(b"dead", sys.argv[1].encode(), b"fuse", 0, options) == 0
print("ready", flush=True)
sys.stdin.read()
"""
# A name service's cache that takes questions and does not answer them.
SILENT = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind("/run/nscd/socket")
os.chmod("/run/nscd/socket", 0o666)
listener.listen(1000)
print("ready", flush=True)
sys.stdin.read()
"""
# Mounts are the daemon's alone.
ALONE = ["unshare", "--mount", "--propagation", "private", "bash", "-c",
         'mount -t tmpfs none /run && mkdir -p /run/nscd && exec "$@"', "bash"]


@pytest.fixture
def beside():
    """beside(daemon, script, argument...) runs a script where the daemon's mounts are, until it is told to end."""
    made = []

    def start(one, script, *arguments):
        command = ["nsenter", "-t", str(one.keeper), "-m", "/usr/bin/python3", "-c", script, *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=holdfast.environment())
        made.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    def end(process):
        process.stdin.close()
        process.wait(holdfast.BOUND)
        process.stdout.close()

    start.end = end
    yield start
    for process in made:
        if process.poll() is None:
            end(process)


def ask(one, line):
    operator = holdfast.Client(one.control)
    operator.send(line.encode() + b"\n")
    return operator


def answer(operator):
    with operator:
        return json.loads(operator.line())


def test_reload_over_a_dead_mount(folder, daemon, upstream, beside, figure):
    mount = f"{folder}/conf.d"
    os.mkdir(mount)
    services = holdfast.fixed("s", upstream().address)
    one = daemon(services, wrapper=ALONE)
    dead = beside(one, DEAD, mount)
    one.configure(services)
    with open(one.config) as file:
        text = file.read()
    with open(one.config, "w") as file:
        file.write(text.replace('include_directory = ""', f'include_directory = "{mount}"'))
    worker = one.worker()
    operator = ask(one, "reload")
    count, worst = holdfast.come_and_go(one, 3)
    assert one.command("ping")
    assert (one.worker(), one.restarts()) == (worker, 0)
    beside.end(dead)
    refused = answer(operator)
    assert not refused["ok"] and mount in json.dumps(refused)
    one.configure(services)
    one.command("reload")
    figure(f"{count} clients in 3 s, the longest took {worst * 1000:.0f} ms")


def test_names_that_are_not_answered(daemon, upstream, beside, figure):
    """Of a reload, and of clients and those who give orders, who are shown by number then."""
    services = holdfast.fixed("s", upstream().address)
    one = daemon(services, wrapper=ALONE)
    beside(one, SILENT)
    worker = one.worker()
    one.configure(holdfast.fixed("s", one.status("s")["address"], 'listen: { allow_users = [ "root", "nobody" ]; };'))
    operator = ask(one, "reload")
    count, worst = holdfast.come_and_go(one, 3)
    assert answer(operator)["ok"]
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
        begin = time.monotonic()
        shown = one.command("clients s")["clients"][0]
        assert time.monotonic() - begin < 1 and shown["user"] == "root"
    one.command("pause s")
    one.command("resume s")
    assert (one.worker(), one.restarts()) == (worker, 0)
    figure(f"{count} clients in 3 s, the longest took {worst * 1000:.0f} ms")
