"""Descriptors 0 to 2 closed at the start: nothing else comes in their place, and all works."""
import itertools
import os
import signal

import pytest

import holdfast

COMBINATIONS = [closed for n in (1, 2, 3) for closed in itertools.combinations((0, 1, 2), n)]
NAMES = ["".join(map(str, closed)) for closed in COMBINATIONS]


def without(closed):
    """Starts a program with these descriptors closed."""
    return ["bash", "-c", " ".join(["exec", '"$@"', *(f"{fd}>&-" for fd in closed)]), "bash"]


def assert_null(pid, closed):
    for fd in closed:
        assert os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/null"


@pytest.mark.parametrize("closed", COMBINATIONS, ids=NAMES)
def test_the_daemon_serves(daemon, upstream, folder, closed):
    """Through a lookup script, a worker's death and an upgrade."""
    server = upstream()
    script = f"{folder}/lookup"
    with open(script, "w") as file:
        file.write(f"#!/bin/sh\necho warning >&2\necho {server.address}\n")
    os.chmod(script, 0o755)
    one = daemon(f's: {{ lookup: {{ script = "{script}"; }}; retry: {{ delay = 0.1; }}; }};', wrapper=without(closed))
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        assert_null(one.keeper, closed)
        one.kill_worker()
        assert client.ask("two") == b"two\n"
        os.kill(one.keeper, signal.SIGUSR2)
        holdfast.until(lambda: one.status()["upgrades"] == 1, "an upgrade")
        assert client.ask("three") == b"three\n"
        assert_null(one.keeper, closed)
        assert one.status()["upgrade_error"] is None
    if 2 not in closed:
        assert "upgraded: version" in one.log()


@pytest.mark.parametrize("closed", COMBINATIONS, ids=NAMES)
def test_holdfastctl_asks(daemon, closed):
    one = daemon(holdfast.fixed("s", "127.0.0.1:9"))
    done = holdfast.run(*without(closed), f"{one.build}/holdfastctl", "-s", one.control, "ping")
    assert done.returncode == 0
    assert ("pong" in done.stdout) == (1 not in closed), done
