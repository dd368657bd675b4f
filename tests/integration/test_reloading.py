"""The service manager is told of each reload: RELOADING=1 when it begins, READY=1 when it is over."""
import signal
import time

import pytest

import holdfast


def by_signal(one):
    one.process.send_signal(signal.SIGHUP)


def by_command(one):
    assert one.command_raw("reload") is not None


def by_worker(one):
    one.kill_worker(signal.SIGHUP)


@pytest.mark.parametrize("ask", [by_signal, by_command, by_worker])
@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
def test_is_told(daemon, ask, good):
    one = daemon(holdfast.fixed("s", "127.0.0.1:9"))
    one.configure(holdfast.fixed("s", "127.0.0.1:10") if good else "s: { addres = 1; };")
    for _ in range(2):
        before = time.monotonic_ns() // 1000
        ask(one)
        told = dict(line.split("=") for line in one.wait_notice("RELOADING=1").splitlines())
        assert before <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        one.wait_notice("READY=1")


def test_a_start_and_a_worker_death_are_none(daemon):
    one = daemon(holdfast.fixed("s", "127.0.0.1:9"))
    one.kill_worker()
    one.wait_log("a new worker has taken over")
    by_signal(one)
    one.wait_notice("RELOADING=1")
    assert sum("RELOADING" in notice for notice in one.notices) == 1
