"""Signals that come before there is a keeper wait for it: none ends the daemon, none is lost."""
import os
import signal
import time

import pytest

import holdfast

pytestmark = pytest.mark.plain

FILES = 250  # so many of so many bytes are read for long enough to come in between
COMMENT = "#" + "x" * 100_000 + "\n"


def reads_configuration(pid):
    """Whether it is at that: it has read a few of the files, and it is no keeper yet."""
    try:
        with open(f"/proc/{pid}/io") as file, open(f"/proc/{pid}/comm") as name:
            return name.read() == "holdfastd\n" and int(file.readline().split()[1]) > 3 * len(COMMENT)
    except OSError:
        return False


def reading(daemon, **options):
    """A daemon that is at its configuration."""
    one = daemon(top='log: { level = "info"; target = "stderr"; };', start=False, **options)
    with open(one.config) as file:
        text = file.read()
    with open(one.config, "w") as file:
        file.write(text.replace('include_directory = ""', 'include_directory = "more"'))
    os.mkdir(os.path.join(one.folder, "more"))
    for number in range(FILES):
        with open(os.path.join(one.folder, "more", f"{number}.conf"), "w") as file:
            file.write(COMMENT + "services: {" + holdfast.fixed(f"s{number}", "127.0.0.1:9") + "};")
    one.spawn()
    deadline = time.monotonic() + holdfast.BOUND
    while not reads_configuration(one.process.pid):
        assert one.process.poll() is None and holdfast.proc_state(one.process.pid) != "Z", one.log()
        holdfast.remaining(deadline)
    return one


def begun(daemon, number, **options):
    """A daemon that was sent the signal meanwhile."""
    one = reading(daemon, **options)
    os.kill(one.process.pid, number)
    return one


@pytest.mark.parametrize("number, done", [(signal.SIGHUP, "reloaded added=0"), (signal.SIGUSR1, "paused=no"),
                                          (signal.SIGUSR2, "upgraded: version")], ids=["HUP", "USR1", "USR2"])
def test_is_acted_on_when_ready(daemon, number, done):
    one = begun(daemon, number)
    one.wait_notice("READY=1")
    one.wait_log(done)
    holdfast.until(lambda: one.status()["ready"], "a worker that is ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_it_in_order(daemon, number):
    one = begun(daemon, number)
    assert holdfast.wait_exit(one.process) == 0, one.log()
    assert "stopping" in one.log()
    assert not os.path.exists(one.socket("s0"))


def test_one_that_was_ignored_is_heard(daemon):
    """As nohup starts it."""
    begun(daemon, signal.SIGHUP, wrapper=["nohup"]).wait_log("reloaded added=0")


def test_one_for_all_processes_waits_too(daemon):
    """As "systemctl kill" sends it."""
    one = reading(daemon)
    os.killpg(one.process.pid, signal.SIGHUP)
    one.wait_notice("READY=1")
    one.wait_log("reloaded added=0")


@pytest.mark.parametrize("option", ["-t", "-T"])
def test_what_only_asks_can_be_interrupted(daemon, option):
    one = begun(daemon, signal.SIGINT, arguments=[option])
    assert holdfast.wait_exit(one.process) == -signal.SIGINT


def test_all_along_an_upgrade_they_wait(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address))
    with one.client("s") as client:
        for number in range(1, 4):
            os.kill(one.keeper, signal.SIGUSR2)
            worker = one.worker()
            while one.worker() in (0, worker):
                os.kill(one.keeper, signal.SIGUSR1)
                os.kill(one.keeper, signal.SIGHUP)
            holdfast.until(lambda: one.status()["upgrades"] >= number, "an upgrade")
        assert client.ask("one") == b"one\n"
