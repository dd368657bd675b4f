"""Files of sockets and the lock that somebody has removed are made again; nobody who has connected is lost."""
import fcntl
import os
import shutil
import signal
import socket
import stat

import pytest

import holdfast
import scrape

CRASHES = ["listener.opened:2", "listener.unlinked:2", "listener.shut:2", "listener.unnamed:3", "listener.placed:3",
           "listener.named:2", "control.opened:2", "control.unnamed:2", "control.placed:2", "control.named:2",
           "metrics.opened:2", "metrics.unnamed:2", "metrics.placed:2", "metrics.named:2"]


def socket_at(path):
    """Whether somebody listens there."""
    try:
        holdfast.Client(path).close()
    except OSError:
        return False
    return True


def again(path):
    holdfast.until(lambda: socket_at(path), f"{path} again")


def everything(daemon, upstream, folder, **more):
    """A daemon with a service, one whose socket is elsewhere, and metrics."""
    address = upstream().address
    elsewhere = f"{folder}/elsewhere"
    os.makedirs(elsewhere, exist_ok=True)
    one = daemon(holdfast.fixed("s", address, 'listen: { mode = "0600"; };') +
                 holdfast.fixed("far", address, f'listen: {{ path = "{elsewhere}/far"; }};'),
                 top=scrape.listening(f"unix:{elsewhere}/metrics"), **more)
    return one, {"s": one.socket("s"), "far": f"{elsewhere}/far", "metrics": f"{elsewhere}/metrics",
                 "control": one.control}


@pytest.mark.parametrize("what", ["s", "far", "metrics", "control"])
def test_removed(folder, daemon, upstream, what):
    one, paths = everything(daemon, upstream, folder)
    before, mode = os.stat(paths[what]), os.stat(paths[what]).st_mode
    with one.client("s") as stays:
        assert stays.ask("1") == b"1\n"
        os.unlink(paths[what])
        again(paths[what])
        assert os.stat(paths[what]).st_mode == mode and os.stat(paths[what]).st_ino != before.st_ino
        one.wait_log(f"{paths[what]} was removed; created again")
        assert one.log().count("was removed") == 1
        assert stays.ask("2") == b"2\n"
    with one.client("s") as client:
        assert client.ask("3") == b"3\n"
    one.process.send_signal(signal.SIGHUP)
    one.wait_log("info reloaded")
    assert one.restarts() == 0


def test_whoever_had_connected_to_the_removed_socket_is_served(folder, daemon, upstream):
    """And whoever has connected to the control socket is answered."""
    one, paths = everything(daemon, upstream, folder)
    os.kill(one.worker(), signal.SIGSTOP)
    early = [one.client("s") for _ in range(20)]
    operator = holdfast.Client(one.control)
    for client in early:
        client.send(b"early\n")
    operator.send(b"ping\n")
    os.unlink(paths["s"])
    os.unlink(paths["control"])
    os.kill(one.worker(), signal.SIGCONT)
    assert [client.line() for client in early] == 20 * [b"early\n"]
    assert b'"ok":true' in operator.line()
    again(paths["s"])
    again(paths["control"])
    for client in [*early, operator]:
        client.close()


@pytest.mark.parametrize("how", ["emptied", "removed", "moved"])
def test_runtime_directory(folder, daemon, upstream, how):
    one = daemon(holdfast.fixed("s", upstream().address) +
                 holdfast.fixed("deep", upstream().address, 'listen: { path = "deep/down/s"; };'))
    paths = [one.socket("s"), one.path("deep/down/s"), one.control, one.path("holdfastd.lock")]
    kept = f"{folder}/kept"
    with one.client("s") as stays:
        if how == "emptied":
            for path in paths:
                os.unlink(path)
        elif how == "removed":
            os.rename(one.folder, kept)
            shutil.rmtree(kept)
        else:
            os.rename(one.folder, kept)
        for path in paths[:3]:
            again(path)
        holdfast.until(lambda: os.path.exists(paths[3]), "the lock file")
        assert stays.ask("1") == b"1\n"
    assert stat.S_IMODE(os.stat(one.folder).st_mode) == 0o755
    with holdfast.Client(paths[1]) as client:
        assert client.ask("2") == b"2\n"
    assert one.restarts() == 0


def test_file_in_the_place_of_a_socket(daemon, upstream):
    """It is left alone, and the service is down with the reason; a reload is done all the same."""
    services = holdfast.fixed("s", upstream().address, "retry: { delay = 60; };")
    one = daemon(services)
    path = one.socket("s")
    os.unlink(path)
    with open(path + ".new", "w") as file:
        file.write("somebody's")
    os.chmod(path + ".new", 0o604)
    os.rename(path + ".new", path)

    def is_down():
        status = one.status("s")
        return not status["up"] and "not a socket" in (status["last_error"] or "")
    holdfast.until(is_down, "a service that says what is wrong")
    one.wait_notice("STATUS=0 of 1 services up, 0 clients, 0 held; service s is down: socket ")
    check = one.ctl("check")
    assert check.returncode in (1, 2) and "not a socket" in check.stdout
    one.configure(services + holdfast.fixed("t", upstream().address))
    one.command("reload")
    with open(path) as file:
        assert file.read() == "somebody's"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o604
    os.unlink(path)
    again(path)
    one.wait_status("s", up=True)
    assert one.stop() == 0
    assert not os.path.exists(path)


def test_what_others_have_put_there_stays_at_the_end(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address))
    path = one.socket("s")
    other = socket.socket(socket.AF_UNIX)
    other.bind(path + ".other")
    other.listen()
    os.rename(path + ".other", path)
    one.wait_log("another live server listens there")
    one.kill_worker()
    holdfast.until(lambda: one.restarts() == 1, "another worker")
    assert one.stop() == 0
    assert socket_at(path)
    other.close()


@pytest.mark.plain
def test_second_daemon_does_not_start_without_the_lock_file(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address))
    lock = one.path("holdfastd.lock")
    os.kill(one.keeper, signal.SIGSTOP)  # no worker comes
    os.kill(one.worker(), signal.SIGKILL)
    os.unlink(lock)
    second = holdfast.run(os.path.join(one.build, "holdfastd"), "-c", one.config)
    os.kill(one.keeper, signal.SIGCONT)
    assert second.returncode == 75, second.stderr
    assert "another instance runs" in second.stderr
    one.wait_log("holdfastd.lock was removed; created again")
    second = holdfast.run(os.path.join(one.build, "holdfastd"), "-c", one.config)
    assert second.returncode == 75
    with one.client("s") as client:
        assert client.ask("1") == b"1\n"
    one.kill_worker()
    holdfast.until(lambda: one.restarts() == 2, "another worker")
    assert one.log().count("was removed") == 1


@pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")
@pytest.mark.parametrize("crash", CRASHES)
def test_death_on_the_way(folder, daemon, upstream, crash):
    """Each socket is removed until the worker has died at the place three times; each comes back each time."""
    one, paths = everything(daemon, upstream, folder, build=holdfast.CRASH_BUILD,
                            environment_more={"HOLDFAST_CRASH": crash})
    point = crash.partition(":")[0]
    with one.client("s") as stays:
        for turn in range(12):
            for what in paths:
                os.unlink(paths[what])
            for path in paths.values():
                again(path)
            assert stays.ask(str(turn)) == f"{turn}\n".encode()
            with one.client("s") as client:
                assert client.ask("new") == b"new\n"
            if one.log().count(f"crash point {point}\n") >= 3:
                break
        assert one.log().count(f"crash point {point}\n") >= 3
    for path in paths.values():
        assert os.path.exists(path)


def is_locked(path):
    """Whether somebody has locked what stands at the path now."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


@pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")
@pytest.mark.parametrize("what", ["file", "directory"])
@pytest.mark.parametrize("crash", ["lock.opened:2", "lock.replaced:2", "lock.replaced:3"])
def test_death_as_the_lock_is_taken_again(folder, daemon, upstream, crash, what):
    """The lock file, or the whole directory, is removed until the worker has died there three times."""
    one = daemon(holdfast.fixed("s", upstream().address), build=holdfast.CRASH_BUILD,
                 environment_more={"HOLDFAST_CRASH": crash})
    point, lock, log = crash.partition(":")[0], one.path("holdfastd.lock"), f"{folder}/log-of-removed"
    os.link(one.path("log"), log)

    def logged():
        with open(log) as file:
            return file.read()
    for _ in range(12):
        if what == "file":
            os.unlink(lock)
        else:
            os.rename(one.folder, f"{folder}/removed")
            shutil.rmtree(f"{folder}/removed")
        holdfast.until(lambda: is_locked(lock) and is_locked(one.folder), "both locks")
        again(one.socket("s"))
        if logged().count(f"crash point {point}\n") >= 3:
            break
    assert logged().count(f"crash point {point}\n") >= 3
    with one.client("s") as client:
        assert client.ask("1") == b"1\n"
    assert "another instance has it" not in logged()
