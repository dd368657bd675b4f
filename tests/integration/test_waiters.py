"""Many wait over the control socket; who does not wait is answered all the same, and who finds no place is told."""
import json
import resource
import socket

import pytest

import holdfast

WAITING = 1024
UNREACHED = 3


@pytest.fixture
def many_files():
    """Files for the waiters' ends; the daemon gives waiters a quarter of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4 * WAITING:
        pytest.skip(f"at most {hard} files can be open here, {4 * WAITING} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def waiter(one, command):
    end = socket.socket(socket.AF_UNIX)
    end.connect(one.control)
    end.settimeout(holdfast.BOUND)
    end.sendall(command)
    return end


def test_1024_wait_and_others_are_answered(daemon, upstream, many_files):
    server = upstream(start=False)
    one = daemon(holdfast.fixed("s", server.address, "retry: { delay = 0.1; };"))
    waiters = [waiter(one, b"wait s 60\n") for _ in range(WAITING)]
    try:
        status = one.ctl("status")
        assert status.returncode == 0 and "s " in status.stdout
        for words in (["wait", "s", "10"], ["try", "s"], ["events"], ["pause", "s", "1"],
                      ["drain", "s", "--wait", "1"]):
            done = one.ctl(*words)
            assert done.returncode == UNREACHED, (words, done)
            assert "1024 control connections wait" in done.stderr, (words, done)
        assert not one.status("s")["paused"] and one.status("s")["administered"] is None, "a refusal does nothing"
        question = one.ctl("wait", "s", "0")
        assert question.returncode == 1 and "not connected" in question.stderr
        assert one.ctl("check", "s").returncode != 3
        waiters.pop().close()
        waiters.append(waiter(one, b"wait s 60\n"))
        server.start()
        for end in waiters:
            answer = json.loads(end.makefile("rb").readline())
            assert answer["ok"] and answer["connected"], answer
        assert one.ctl("wait", "s", "10").returncode == 0
    finally:
        for end in waiters:
            end.close()
