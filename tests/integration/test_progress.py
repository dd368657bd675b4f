"""holdfastctl shows on a terminal what it waits for, once a second, and takes the line away; elsewhere nothing."""
import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

import asking
import holdfast


class Terminal:
    """holdfastctl with standard error on a terminal of this width."""

    def __init__(self, one, *words, width=200):
        self.fd, slave = os.openpty()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("4H", 24, width, 0, 0))
        self.process = subprocess.Popen(
            [os.path.join(holdfast.BUILD, "holdfastctl"), "-s", one.control, *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=slave, env=holdfast.environment())
        os.close(slave)
        self.shown = ""

    def wait_shown(self, text):
        deadline = time.monotonic() + holdfast.BOUND
        while text not in self.shown:
            if not select.select([self.fd], [], [], holdfast.remaining(deadline))[0]:
                continue
            self.shown += os.read(self.fd, 4096).decode()

    def end(self):
        """Exit code, and standard output; reads on what comes on the terminal."""
        code = holdfast.wait_exit(self.process)
        out = self.process.stdout.read().decode()
        self.process.stdout.close()
        while select.select([self.fd], [], [], 0)[0]:
            try:
                self.shown += os.read(self.fd, 4096).decode()
            except OSError:  # nobody has the other end any more
                break
        os.close(self.fd)
        return code, out


def test_a_command_that_takes_its_time_tells_what_it_waits_for(daemon, upstream):
    server, mute = upstream(), upstream(lambda connection: connection.recv(1 << 16) and connection.recv(1))
    down = f"127.0.0.1:{holdfast.free_port()}"
    one = daemon(holdfast.fixed("s", server.address) + holdfast.fixed("d", server.address)
                 + holdfast.fixed("down", down, "retry: { delay = 60; };")
                 + asking.shared("m", mute.address, "", "line"))
    with one.client("s") as first, one.client("d") as second, one.client("m") as third:
        assert first.ask("one") == b"one\n" and second.ask("two") == b"two\n"
        third.send(b"three\n")
        one.wait_status("m", in_flight=1)
        one.wait_status("down", failures=1)
        pause, drain = Terminal(one, "pause", "s", "60"), Terminal(one, "drain", "--wait", "60", "d")
        shared = Terminal(one, "pause", "m")
        wait, narrow = Terminal(one, "wait", "down", "60"), Terminal(one, "wait", "down", width=30)
        silent = Terminal(one, "--json", "pause", "s", "60")
        pause.wait_shown("\r\x1b[Kpausing s: 1 client left, 1 s")
        drain.wait_shown("\r\x1b[Kdraining d: 1 client left, 1 s")
        shared.wait_shown("\r\x1b[Kpausing m: 1 request in flight, 1 s")
        wait.wait_shown(f"\r\x1b[Kwaiting for down: waiting: dial {down}: Connection refused, 1 s")
        narrow.wait_shown(", 1 s")
        assert len(narrow.shown.removeprefix("\r\x1b[K")) < 30
    listener = upstream(port=int(down.rpartition(":")[2]))
    one.command("reconnect down")
    for terminal in (wait, narrow, drain, pause):
        code, out = terminal.end()
        assert code == 0 and out and terminal.shown.endswith("\r\x1b[K"), (out, terminal.shown)
    assert listener.accepted
    mute.stop()
    shared.end()
    assert silent.end()[0] == 0 and silent.shown == ""


def test_elsewhere_nothing_is_shown(daemon):
    one = daemon(holdfast.fixed("down", f"127.0.0.1:{holdfast.free_port()}"))
    done = one.ctl("wait", "down", "1.1")
    assert done.returncode == 4 and "\r" not in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [("ping",), ("status",)])
def test_what_is_answered_at_once_shows_nothing(daemon, words):
    terminal = Terminal(daemon(), *words)
    assert terminal.end()[0] == 0 and terminal.shown == ""


def test_attempts_lookups_upgrades_and_reloads_tell_how_long_they_have_been_at_it(daemon, upstream):
    server = upstream()
    one = daemon(start=False)
    go = one.path("go")
    patient = f"#!/bin/sh\nwhile [ ! -e {go} ]; do sleep 0.05; done\n"
    for name, text in (("find", patient + f"echo {server.address}\n"), ("program", patient + "exit 1\n")):
        with open(one.path(name), "w") as file:
            file.write(text)
        os.chmod(one.path(name), 0o755)
    one.install(os.path.join(holdfast.BUILD, "holdfastd"))
    one.configure(f'slow: {{ lookup: {{ script = "{one.path("find")}"; }}; warm = 0; }};\n'
                  + holdfast.fixed("down", f"127.0.0.1:{holdfast.free_port()}", "retry: { delay = 60; };"))
    one.start()
    one.wait_status("down", failures=1)
    one.install(one.path("program"))
    attempt, lookup, upgrade = Terminal(one, "try", "down"), Terminal(one, "lookup", "slow"), Terminal(one, "upgrade")
    attempt.wait_shown("\r\x1b[Ktrying down: attempt 2, waiting, 1 s")
    lookup.wait_shown("\r\x1b[Klooking up slow, 1 s")
    upgrade.wait_shown("\r\x1b[Ktrying the new program, 1 s")
    with open(go, "w"):
        pass
    assert lookup.end()[0] == 0
    assert upgrade.end()[0] == 1
    one.command("reconnect down")
    assert attempt.end()[0] == 1
    worker = one.worker()
    os.kill(worker, signal.SIGSTOP)
    reload = Terminal(one, "reload")
    reload.wait_shown("\r\x1b[Kreading the configuration, 1 s")
    with contextlib.suppress(ProcessLookupError):  # the keeper may have replaced it
        os.kill(worker, signal.SIGCONT)
    assert reload.end()[0] == 0
