"""Restarts in a row, with whatever is in the service manager's store: a start ends serving."""
import contextlib
import fcntl
import os
import random
import signal
import socket

import pytest

import holdfast
import manager


def two(daemon, server):
    return daemon(holdfast.fixed("s", server.address) + holdfast.fixed("t", server.address), kind=manager.Managed)


def links(folder):
    found = []
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"{folder}/{name}"))
    return found


def assert_serves(one):
    for name in ("s", "t"):
        with one.client(name) as client:
            assert client.ask("served") == b"served\n"
    assert one.status()["ready"]


def strike(one):
    """What may be under way when the order to end comes."""
    what = random.choice(("nothing", "death", "reload", "upgrade"))
    if what == "death":
        one.kill_worker()
    elif what == "reload":
        os.kill(one.keeper, signal.SIGHUP)
    elif what == "upgrade":
        os.kill(one.keeper, signal.SIGUSR2)


@pytest.mark.parametrize("count", [12, pytest.param(300, marks=pytest.mark.long)])
def test_restarts_beside_deaths_reloads_and_upgrades_lose_nothing(daemon, upstream, figure, count):
    one = two(daemon, upstream())
    with one.client("s") as client, one.client("t") as other:
        for _ in range(count):
            assert client.ask("one") == b"one\n" and other.ask("two") == b"two\n"
            strike(one)
            one.restart()
        assert client.ask("one") == b"one\n" and other.ask("two") == b"two\n"
    assert "another instance" not in one.log() and "cannot take over" not in one.log()
    figure(f"{one.status()['restarts']} restarts")


@pytest.mark.parametrize("wanted", [".table", ".pair-0", "all", "half"])
def test_a_store_that_has_lost_something(daemon, upstream, wanted):
    """Each entry by itself, all, or any of them: new clients are served."""
    one = two(daemon, upstream())
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        for _ in range(3):
            assert one.term() == 0
            one.drop(lambda name: wanted == "all" or (random.random() < 0.5 if wanted == "half" else name == wanted))
            one.start()
            assert_serves(one)


def test_what_was_in_force_serves_when_the_rest_is_lost_and_the_files_are_bad(daemon, upstream):
    one = two(daemon, upstream())
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        assert one.term() == 0
        one.drop(lambda name: name == ".pair-0")
        one.configure("s: { addres = 1; };")
        one.start()
        assert client.at_end()
    assert_serves(one)
    assert "addres" in one.status()["config_error"]


def test_a_store_that_is_too_small(daemon, upstream):
    one = two(daemon, upstream())
    for room in range(6):
        one.store_max = room
        with one.client("s") as client:
            assert client.ask("one") == b"one\n"
            assert one.term() == 0
            one.start()
            assert_serves(one)


@pytest.mark.parametrize("notice", ["STOPPING=1", "FDSTOREREMOVE=1", "FDSTORE=1", "BARRIER=1"])
def test_a_keeper_that_is_killed_while_it_hands_over(daemon, upstream, notice):
    one = two(daemon, upstream())
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        one.process.send_signal(signal.SIGTERM)
        one.wait_notice(notice)
        one.process.kill()
        holdfast.wait_exit(one.process)
        one.start()
        assert_serves(one)


def test_a_keeper_that_is_killed_leaves_a_worker_that_is_waited_for(daemon, upstream):
    """It is stopped when its end comes, so that it still has the lock and listens: the start waits."""
    one = two(daemon, upstream())
    for _ in range(5):
        one.process.kill()
        holdfast.wait_exit(one.process)
        one.start()
        assert_serves(one)


@contextlib.contextmanager
def left_behind(one, path):
    """What an instance that is about to end still has: its lock, and a socket that it listens on."""
    with open(one.path("holdfastd.lock"), "w") as lock, socket.socket(socket.AF_UNIX) as listener:
        fcntl.flock(lock, fcntl.LOCK_EX)
        listener.bind(path)
        listener.listen(100)
        yield lock, listener


@pytest.mark.parametrize("path", ["control.sock", "s.sock"])
def test_what_a_former_instance_still_has_is_waited_for(daemon, upstream, path):
    """Its lock goes first, its sockets a moment later, as the kernel closes them."""
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address) + holdfast.fixed("t", server.address), start=False)
    with left_behind(one, one.path(path)) as (lock, listener):
        one.spawn()
        lock_path = os.path.realpath(one.path("holdfastd.lock"))
        files = f"/proc/{one.process.pid}/fd"
        holdfast.until(lambda: lock_path in links(files), "a start that has come to the lock")
        lock.close()
        listener.settimeout(holdfast.BOUND)
        listener.accept()[0].close()  # it asks whether somebody listens
    one.wait_notice("READY=1")
    assert_serves(one)


def test_an_order_to_end_during_each_start(daemon, upstream):
    one = two(daemon, upstream())
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        for notice in ("FDSTOREREMOVE=1", "READY=1", "STATUS="):
            one.term()
            one.spawn()
            one.wait_notice(notice)
        one.term()
        one.start()
        assert client.ask("two") == b"two\n"


def test_another_instance_that_lives_is_left_alone(daemon, upstream):
    one = two(daemon, upstream())
    done = holdfast.run(f"{one.build}/holdfastd", "-c", one.config)
    assert done.returncode == 75 and "another instance runs" in done.stderr
    assert_serves(one)
