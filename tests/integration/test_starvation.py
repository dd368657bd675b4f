"""Who is greedy, silent or slow, and what has run out, costs others little, and nothing when it is over."""
import contextlib
import os
import socket
import statistics
import threading
import time

import pytest

import asking
import holdfast

pytestmark = pytest.mark.plain

WINDOW = 2 if holdfast.LONG else 0.2  # seconds of a measurement
WINDOWS = 5 if holdfast.LONG else 3
MOST = 5  # times as long as alone a p99 may be beside others
TICK = 4  # milliseconds that the scheduler may take at any time, alone or not


def processor(one):
    """Seconds of the processor that the daemon's processes have used."""
    total = 0
    for pid in (one.keeper, one.worker()):
        with open(f"/proc/{pid}/schedstat") as file:
            total += int(file.read().split()[0]) / 1e9
    return total


def expect_idle(one, figure, what):
    """Of a core less than 5 % while nothing moves."""
    span = 10 if holdfast.LONG else 0.6
    begin, used = time.monotonic(), processor(one)
    threading.Event().wait(span)  # nothing is awaited: that nothing is done is what is measured
    share = (processor(one) - used) / (time.monotonic() - begin)
    figure(f"{what}: {100 * share:.2f} % of a core while nothing moves")
    assert share < 0.05


class Silent:
    """So many clients, who say nothing, in a process of their own: select() knows 1,024 file descriptors."""

    def __init__(self, one, figure, count):
        self.one, self.figure, self.count = one, figure, count

    def __enter__(self):
        ready, self.end = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.end.close()
                clients = [socket.socket(socket.AF_UNIX) for _ in range(self.count)]
                for client in clients:
                    client.connect(self.one.socket("s"))
                ready.sendall(b"!")
                ready.recv(1)
            finally:
                os._exit(0)
        ready.close()
        assert self.end.recv(1) == b"!"
        self.one.wait_status("s", clients=self.count)
        return self

    def __exit__(self, *_):
        expect_idle(self.one, self.figure, f"with {self.count} silent clients")
        self.end.close()
        os.waitpid(self.pid, 0)


@contextlib.contextmanager
def restored(one):
    """Afterwards as many file descriptors are open as before."""
    before = one.files()
    yield
    holdfast.until(lambda: one.files() <= before, f"{before} files")


def expect_fair(figure, ask, path, disturb):
    """A p99 beside those who disturb against one alone, before and after, as medians of windows."""
    def measured(name):
        return statistics.median(window(ask, path, f"{name}{number}") for number in range(WINDOWS))
    measured("warm")
    alone = [measured("before")]
    with disturb:
        beside = measured("beside")
    alone.append(measured("after"))
    figure(f"p99 {alone[0]:.2f} ms alone, {beside:.2f} ms beside them, {alone[1]:.2f} ms after that")
    assert beside < MOST * max(TICK, *alone)


class Hammer:
    """Does something in a process of its own until the end, as quickly as it can."""

    def __init__(self, function, *arguments):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                while True:
                    function(*arguments)
            finally:
                os._exit(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def visit(path):
    """Connects and leaves."""
    with socket.socket(socket.AF_UNIX) as one, contextlib.suppress(OSError):
        one.connect(path)


def visit_and_ask(path):
    with holdfast.Client(path) as client, contextlib.suppress(OSError):
        client.send(b"PING\r\n")
        client.line()


def pipeline(path):
    """Requests in one go, whose answers are read meanwhile."""
    request = asking.command("ECHO", "x" * 100) * 500
    with holdfast.Client(path) as client:
        while True:
            client.send(request)
            left = 500 * len(b"$100\r\n" + b"x" * 100 + b"\r\n")
            while left > 0:
                left -= len(client.socket.recv(left))


def floods(path):
    """Requests whose answers it never reads."""
    with holdfast.Client(path) as client, contextlib.suppress(OSError):
        while True:
            client.send(asking.command("ECHO", "x" * 1000) * 100)


def window(ask, path, number):
    """The 99th percentile of those who behave, in milliseconds."""
    result = ask().start(path, "redis-own", clients=4, depth=1, seconds=WINDOW, prefix=f"w{number}",
                         mix="set,get").result()
    assert result["errors"] == 0
    return result["p99_ms"]


KINDS = {
    "connects in a loop": ("", visit),
    "connects and asks in a loop": ("", visit_and_ask),
    "connects in a loop, shared": ("shared", visit),
    "connects and asks in a loop, shared": ("shared", visit_and_ask),
    "pipelines, shared": ("shared", pipeline),
    "pipelines and does not read, shared": ("shared", floods),
}


@pytest.mark.parametrize("kind", KINDS)
def test_beside_one_who_hammers(daemon, redis, ask, figure, kind):
    mode, function = KINDS[kind]
    server = redis()
    one = daemon(asking.shared("s", server.address) if mode else holdfast.fixed("s", server.address),
                 top='log: { level = "info"; target = "stderr"; };')
    one.wait_connected("s")
    path, alone, beside, yardstick = one.socket("s"), [], [], []
    window(ask, path, "warm")
    with restored(one):
        for number in range(WINDOWS):
            alone.append(window(ask, path, f"a{number}"))
            with Hammer(function, path):
                beside.append(window(ask, path, f"b{number}"))
            with Hammer(lambda: None):
                yardstick.append(window(ask, path, f"c{number}"))
    alone, beside, yardstick = (statistics.median(list_) for list_ in (alone, beside, yardstick))
    figure(f"p99 alone {alone:.2f} ms, beside it {beside:.2f} ms, {beside / alone:.1f} times; beside a process that "
           f"only uses the processor {yardstick:.2f} ms")
    assert beside < MOST * max(TICK, alone, yardstick)
    assert one.restarts() == 0
    expect_idle(one, figure, "afterwards")


@pytest.mark.parametrize("mode", ["session", "shared"])
def test_1000_silent_clients(daemon, redis, ask, figure, mode):
    """Others are served as quickly, and nothing is done for the silent."""
    server = redis()
    one = daemon(holdfast.fixed("s", server.address) if mode == "session" else asking.shared("s", server.address))
    one.wait_connected("s")
    with restored(one):
        expect_fair(figure, ask, one.socket("s"), Silent(one, figure, 1000))
        one.wait_status("s", clients=0)


def test_64_files_and_500_clients(daemon, upstream, figure):
    """All are served, one after the other; an operator is answered meanwhile; nothing turns in circles."""
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), wrapper=["prlimit", "--nofile=64:64"])
    one.wait_connected("s")
    with restored(one):
        clients = [one.client("s") for _ in range(500)]
        for client in clients:
            client.send(b"x\n")
        holdfast.until(lambda: server.accepted >= 10, "some are served")
        expect_idle(one, figure, "with 64 files and 500 clients")
        assert one.command("ping") and one.status("s")["clients"] < 64
        begin = time.monotonic()
        for client in clients:
            assert client.line() == b"x\n"
            client.close()
        figure(f"all 500 were served in {time.monotonic() - begin:.2f} s")
    assert one.log().count("cannot accept") <= 2
    with one.client("s") as client:
        assert client.ask("again") == b"again\n"


@pytest.mark.parametrize("mode", ["session", "shared"])
def test_a_client_that_sends_a_byte_at_a_time(daemon, redis, ask, figure, mode):
    """It delays nobody, and its request is answered in the end."""
    span = 1 if holdfast.LONG else 0.05
    server = redis()
    one = daemon(holdfast.fixed("s", server.address) if mode == "session" else asking.shared("s", server.address))
    one.wait_connected("s")
    with restored(one):
        expect_fair(figure, ask, one.socket("s"), sending_slowly(one, asking.command("ECHO", "slow"), span))


@contextlib.contextmanager
def sending_slowly(one, request, span):
    """A client that sends a byte at a time, and is answered."""
    with one.client("s") as slow:
        def send():
            for at in range(len(request)):
                slow.send(request[at:at + 1])
                threading.Event().wait(span)  # that it is slow is the test
        thread = threading.Thread(target=send)
        thread.start()
        yield
        thread.join(60)
        assert slow.line() == b"$4\r\n" and slow.line() == b"slow\r\n"


def mute(connection):
    """Takes everything, answers nothing."""
    while connection.recv(65536):
        pass


def test_endpoints_that_accept_and_never_answer(daemon, upstream, redis, figure):
    """Where something is said before a connection counts, the good one is taken; where not, clients are the first to
    notice, and time-outs end it."""
    bad = [upstream(mute) for _ in range(3)]
    server = redis()
    listed = ", ".join(f'"{one.address}"' for one in [*bad, server])
    one = daemon(f's: {{ addresses = [{listed}]; hello = ( {{ send = "PING\\r\\n"; expect = "+PONG"; '
                 f'timeout = 0.3; }} ); retry: {{ delay = 0.1; jitter = 0; }}; }};')
    begin = time.monotonic()

    def ask():
        with one.client("s") as client:
            client.send(b"PING\r\n")
            assert client.line() == b"+PONG\r\n"
        one.wait_status("s", state="connected", clients=0, warm=1)
    ask()
    figure(f"served behind three that are mute after {time.monotonic() - begin:.2f} s")
    with restored(one):
        ask()
    assert one.status("s")["address"] == server.address
    expect_idle(one, figure, "with three mute endpoints")


def forking(folder, server, child):
    """A service whose script leaves 50 children behind."""
    script = os.path.join(folder, "forks")
    with open(script, "w") as file:
        file.write(FORKS.format(child=child, folder=folder, address=server.address))
    os.chmod(script, 0o755)
    return f's: {{ lookup: {{ script = "{script}"; timeout = 10; refresh = 3600; }}; }};'


def forked(folder):
    with open(f"{folder}/pids") as file:
        pids = [int(pid) for pid in file.read().split()]
    assert len(pids) >= 50
    return pids


FORKS = """#!/bin/sh
i=0
while [ $i -lt 50 ]; do i=$((i + 1)); {child} & echo $! >>{folder}/pids; done
echo {address}
"""


@pytest.mark.parametrize("child", ["sleep 1000", "sh -c 'trap \"\" TERM HUP INT; sleep 1000'"])
def test_a_lookup_that_forks_50(daemon, upstream, folder, child):
    """They hold its pipe; its answer counts all the same, at once, and they do not outlive it."""
    server = upstream()
    one = daemon(forking(folder, server, child))
    with restored(one):
        begin = time.monotonic()
        with one.client("s") as client:
            assert client.ask("a") == b"a\n"
        assert time.monotonic() - begin < 5, "nobody waits for those who hold the pipe"
    pids = forked(folder)
    holdfast.until(lambda: not any(map(alive, pids)), "the end of all 50")


def test_a_lookup_whose_50_leave_its_group_holds_nobody_up(daemon, upstream, folder):
    """Who makes itself a session of its own, as daemons do, stays; nothing of ours stays open for it."""
    server = upstream()
    one = daemon(forking(folder, server, "setsid sleep 1000"))
    try:
        with restored(one):
            with one.client("s") as client:
                assert client.ask("a") == b"a\n"
            for _ in range(3):
                one.command("reconnect s")
                one.wait_connected("s")
    finally:
        for pid in forked(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)


def alive(pid):
    try:
        return holdfast.proc_state(pid) not in "ZX"
    except OSError:
        return False


@pytest.fixture
def disk(folder):
    """disk(path, inodes) mounts a small file system there."""
    made = []

    def make(path, inodes):
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o755)
        options = f"size=64k,nr_inodes={inodes},mode=755"
        if holdfast.run("mount", "-t", "tmpfs", "-o", options, "none", path).returncode != 0:
            pytest.skip("needs a file system of its own")
        made.append(path)

    yield make
    for path in made:
        holdfast.run("umount", "-l", path)


@contextlib.contextmanager
def nothing_left(path):
    """No byte and no further name has room there."""
    names = []
    with open(f"{path}/ballast", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    with contextlib.suppress(OSError):
        while True:
            names.append(f"{path}/name-{len(names)}")
            os.symlink("x", names[-1])
    yield
    for name in names[:-1]:
        os.unlink(name)
    os.unlink(f"{path}/ballast")


def test_a_full_disk_for_the_runtime_directory(daemon, upstream, folder, disk):
    """Clients are served, also after a death; what needs a new name there says so, and comes when there is room."""
    server = upstream()
    first, second = holdfast.fixed("s", server.address), holdfast.fixed("t", server.address)
    one = daemon(first, start=False)
    disk(one.folder, 40)
    one.log_path = os.path.join(folder, "log")
    one.configure(first)
    one.start()
    with one.client("s") as client:
        one.configure(first + second)  # while there is room for it
        with nothing_left(one.folder):
            assert client.ask("a") == b"a\n"
            one.kill_worker()
            one.wait_status("s", clients=1, warm=1)  # the next worker has opened what it needs
            with restored(one):
                for _ in range(5):
                    done = one.ctl("reload")
                    assert done.returncode == 1 and "No space left on device" in done.stderr, done
            assert client.ask("b") == b"b\n"
            with one.client("s") as other:
                assert other.ask("c") == b"c\n"
            os.unlink(one.socket("s"))
            one.wait_log("No space left on device; nobody can connect; it is tried again")
        if holdfast.LONG:
            holdfast.until(lambda: os.path.exists(one.socket("s")), "made again")
        assert one.ctl("reload").returncode == 0
        holdfast.until(lambda: os.path.exists(one.socket("s")), "made again")
    with one.client("t") as client:
        assert client.ask("d") == b"d\n"


def test_a_full_disk_for_the_catalog(daemon, upstream, folder, disk):
    """An entry that found no room is empty: it is ignored, the others count, until it is written again."""
    good, late = upstream(), upstream()
    place = os.path.join(folder, "catalog")
    disk(place, 40)
    os.mkdir(f"{place}/s")
    with open(f"{place}/s/good", "w") as file:
        file.write(good.address + "\n")
    one = daemon(f's: {{ lookup: {{ catalog = "{place}"; refresh = 0.2; }}; retry: {{ delay = 0.1; }}; }};')
    one.wait_connected("s")
    with restored(one):
        open(f"{place}/s/late", "w").close()
        with nothing_left(place):
            with pytest.raises(OSError), open(f"{place}/s/late", "w") as file:
                file.write(late.address + "\n")
            one.wait_log("entry late is ignored: ")
            with one.client("s") as client:
                assert client.ask("a") == b"a\n"
        with open(f"{place}/s/late", "w") as file:
            file.write(late.address + "\n")
        one.wait_log("list has changed")
        good.stop()
        with one.client("s") as client:
            assert client.ask("b") == b"b\n"
