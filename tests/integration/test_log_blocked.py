"""Nothing waits for the log: neither for a terminal that is stopped nor for a pipe that nobody reads."""
import fcntl
import os
import pty
import re
import select
import termios
import time

import pytest

import holdfast

TOP = 'log: { level = "debug"; target = "stderr"; };'  # each client is a line, and there is no limit
TO_FIRST = ["bash", "-c", 'to=$1; shift; exec "$@" 2>"$to"', "bash"]  # standard error goes to the file named first
LOST = re.compile(rb"(\d+) log lines were lost: nobody read standard error")


def lost(one):
    return one.status()["log_lines_lost"]


def read_until_told(one, fd):
    """Reads what has been written until a line tells how many are missing; gives that number."""
    text, deadline = b"", time.monotonic() + holdfast.BOUND
    while not LOST.search(text):
        assert select.select([fd], [], [], holdfast.remaining(deadline))[0]
        text += os.read(fd, 65536)
    assert b"\0" not in text
    return int(LOST.search(text).group(1))


def check_nobody_waits(one, figure, go_on, fd):
    """Nobody reads, under clients that each are a line or two; then go_on() and read fd."""
    worker = one.worker()
    count, worst = holdfast.come_and_go(one, enough=lambda: lost(one) > 500)
    assert worst < 5
    assert (one.worker(), one.restarts()) == (worker, 0)
    before = lost(one)
    told = re.search(r"^holdfast_log_lines_lost_total (\d+)$", one.command("metrics")["metrics"], re.MULTILINE)
    assert before <= int(told.group(1)) <= lost(one)
    go_on()
    assert read_until_told(one, fd) >= before
    figure(f"{count} clients, the longest took {worst * 1000:.0f} ms; {before} lines lost")


def test_pipe_that_nobody_reads(folder, daemon, upstream, figure):
    path = f"{folder}/pipe"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR)
    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 4096)
    one = daemon(holdfast.fixed("s", upstream().address), top=TOP, wrapper=[*TO_FIRST, path])
    check_nobody_waits(one, figure, lambda: None, fd)
    assert not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
    one.stop()
    os.close(fd)


@pytest.mark.parametrize("stop", ["unread", "stopped"])
def test_terminal_that_takes_nothing(daemon, upstream, figure, stop):
    """Its window is not drawn, or somebody has pressed ^S."""
    master, slave = pty.openpty()
    flags = fcntl.fcntl(slave, fcntl.F_GETFL)
    one = daemon(holdfast.fixed("s", upstream().address), top=TOP, wrapper=[*TO_FIRST, os.ttyname(slave)])
    if stop == "stopped":
        termios.tcflow(slave, termios.TCOOFF)
    check_nobody_waits(one, figure, lambda: termios.tcflow(slave, termios.TCOON), master)
    assert fcntl.fcntl(slave, fcntl.F_GETFL) == flags
    one.stop()
    os.close(master)
    os.close(slave)
