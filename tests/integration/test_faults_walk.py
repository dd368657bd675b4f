"""Calls of holdfastd and holdfast-tls fail, one at a time, while all kinds of services are used: nobody but the
client concerned notices, nothing is left, all is served.  tests/faults/walk does the same for all calls."""
import os
import random
import subprocess
import sys

import pytest

import faults_world
import holdfast

pytestmark = pytest.mark.plain
# A few of each part that does not take long, other ones each time.
QUICK = ("large", "own", "spool_outage", "tls", "catalog", "pause", "reload", "upgrade")
FUNCTIONS = ("splice", "sendmmsg", "recvmmsg", "epoll_ctl", "openat", "open", "send", "readv", "writev", "fcntl",
             "fork", "clone", "mmap", "vfork", "pipe2", "socket", "accept4")


@pytest.fixture
def world(folder):
    one = faults_world.World(folder)
    yield one
    one.close()


def test_a_sample_of_all_failures(world):
    dice = random.Random()
    world.begin()
    for part in dice.sample(QUICK, 4):
        calls = world.count(part)
        found = [faults_world.Point(part, process, function, dice.randint(1, calls[process, function]), error, 1)
                 for process, function in calls if function in FUNCTIONS
                 for error in faults_world.ERRORS[function]]
        for point in dice.sample(found, min(2, len(found))):
            result = world.try_point(point)
            assert not result.wrong, f"{point}: {result}"


@pytest.mark.long
def test_many_more():
    walk = os.path.join(holdfast.SOURCE, "tests/faults/walk")
    done = subprocess.run([sys.executable, walk, "--most", "2"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=3600, env={**os.environ, "HOLDFAST_BUILD": holdfast.BUILD})
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
