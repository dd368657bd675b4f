"""The spool: messages without replies that outlive an outage, both processes and the runtime directory."""
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

import asking
import holdfast
from test_crash_points import crash, deaths, points

COUNT = 1000000 if holdfast.LONG else 50000
KILLS = 20 if holdfast.LONG else 6
BATCH = 1000
PROGRAM = os.path.join(holdfast.BUILD, "holdfastd")
NEXT = os.path.join(holdfast.NEXT_BUILD or "", "holdfastd")
HEADER, RECORD = 32, 8


class Collector:
    """Reads lines over TCP; can be down, and come back.  It ends as a server does that is told to: it listens no
    more, says so, and reads what was sent up to its end."""

    def __init__(self, path=None):
        self.path = path
        self.port = None if path else holdfast.free_port()
        self.address = f"unix:{path}" if path else f"127.0.0.1:{self.port}"
        self.changed = threading.Condition()
        self.lines = []
        self.rests = []  # bytes behind the last line of a connection
        self.is_up = False
        self.deaf = False  # it reads nothing before its end

    def up(self):
        self.listener = socket.socket(socket.AF_UNIX if self.path else socket.AF_INET)
        if self.path:
            if os.path.exists(self.path):
                os.unlink(self.path)
            self.listener.bind(self.path)
        else:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(8)
        self.told, self.tell = socket.socketpair()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.is_up = True
        return self

    def down(self):
        self.is_up = False
        self.tell.close()
        self.thread.join(holdfast.BOUND)
        assert not self.thread.is_alive()
        self.listener.close()
        self.told.close()

    def run(self):
        while self.listener in select.select([self.listener, self.told], [], [])[0]:
            connection, _ = self.listener.accept()
            with connection:
                if not self.read(connection):
                    return

    def read(self, connection):
        """Whether the collector goes on."""
        rest, ending = b"", False
        while True:
            heard = [self.told] if self.deaf else [connection, self.told]
            if not ending and self.told in select.select(heard, [], [])[0]:
                self.listener.close()
                connection.shutdown(socket.SHUT_WR)
                ending = True
                if self.deaf:
                    hangup = select.poll()
                    hangup.register(connection, select.POLLRDHUP)
                    hangup.poll()
            try:
                data = connection.recv(1 << 20)
            except OSError:
                data = b""
            if not data:
                with self.changed:
                    self.rests.append(rest)
                return not ending
            *whole, rest = (rest + data).split(b"\n")
            with self.changed:
                self.lines += whole
                self.changed.notify_all()

    def wait(self, condition, what, bound=holdfast.BOUND):
        with self.changed:
            if not self.changed.wait_for(condition, bound):
                raise holdfast.TookTooLong(f"collector: {what}: {len(self.lines)} lines, the last is "
                                           f"{self.lines[-1:]}")

    def wait_line(self, line, bound=holdfast.BOUND):
        self.wait(lambda: self.lines[-1:] == [line], f"the line {line}", bound)


@pytest.fixture
def collector():
    made = []

    def make(*arguments):
        made.append(Collector(*arguments))
        return made[-1]

    yield make
    for one in made:
        if one.is_up:
            one.down()


def spooled(collector, path, fsync="no", more="", max_size=64 << 20):
    return asking.shared("log", collector.address, f'replies = "none"; spool: {{ path = "{path}"; fsync = "{fsync}"; '
                         f"max_size = {max_size}; }}; {more}", "line")


def texts(numbers):
    return [b"%d %s" % (number, b"x" * (number % 100)) for number in numbers]


def say(one, lines):
    """Says the lines, and that these are all: what the daemon says to that."""
    with one.client("log") as client:
        client.send(b"".join(line + b"\n" for line in lines))
        client.shutdown()
        return client.read_all()


def say_accepted(one, lines):
    assert say(one, lines) == b"accepted\n"


@contextlib.contextmanager
def stuck(one, server, lines, trouble):
    """A client says the lines, and waits once this trouble is told.  Then the collector comes, and all arrive."""
    with one.client("log") as client:
        sender = threading.Thread(target=client.send, args=[b"".join(line + b"\n" for line in lines)], daemon=True)
        sender.start()
        one.wait_log(trouble)
        yield
        server.up()
        sender.join(holdfast.BOUND)
        client.shutdown()
        assert client.read_all() == b"accepted\n"
    server.wait_line(lines[-1])
    assert server.lines == lines


def kill_both(one):
    """As no shutdown does it: nothing of either process stays, nor a thread that waits for the disk."""
    workers = [os.pidfd_open(pid) for pid in one.children()]
    os.kill(one.keeper, signal.SIGKILL)
    one.process.wait(holdfast.BOUND)
    for worker in workers:
        try:
            signal.pidfd_send_signal(worker, signal.SIGKILL)
        except ProcessLookupError:
            pass
        assert select.select([worker], [], [], holdfast.BOUND)[0], "the worker is gone"
        os.close(worker)


def restart(one):
    kill_both(one)
    one.start()


def spool_of(one):
    return one.status("log")["spool"]


def wait_spool(one, condition, what):
    return holdfast.until(lambda: (lambda spool: spool if condition(spool) else None)(spool_of(one)), what)


def assert_in_order(lines, expected):
    """Each arrives, and none before the one that was said before it; some may come again."""
    place = {line: number for number, line in enumerate(expected)}
    following = 0
    for line in lines:
        assert line in place, f"{line}: nobody said that"
        assert place[line] <= following, f"{line} came before {expected[following]}"
        following = max(following, place[line] + 1)
    assert following == len(expected), f"{expected[following]} is missing"


def segments(path):
    return sorted(name for name in os.listdir(path) if name.endswith(".spool"))


def wait_on_disk(path, lines):
    size = HEADER + sum(RECORD + len(line) + 1 for line in lines)
    holdfast.until(lambda: os.path.isdir(path) and size <=
                   sum(os.path.getsize(f"{path}/{name}") for name in segments(path)), "messages are on the disk")


@pytest.mark.parametrize("fsync", ["no", "always"])
def test_an_outage_is_survived_in_order(daemon, collector, folder, fsync):
    """What comes while the collector is down is sent once, in order, before what comes then."""
    server = collector().up()
    one = daemon(spooled(server, f"{folder}/spool", fsync))
    one.wait_connected("log")
    say(one, texts(range(100)))
    server.wait_line(texts([99])[0])
    server.down()
    one.wait_status("log", up=False)
    for begin in range(100, 20000, 1000):
        say(one, texts(range(begin, begin + 1000)))
    assert wait_spool(one, lambda spool: spool["messages"] >= 19000, "messages are in the spool")["bytes"] > 0
    server.up()
    say(one, texts([20100]))
    server.wait_line(texts([20100])[0])
    assert server.lines == texts(range(20100)) + texts([20100])
    wait_spool(one, lambda spool: spool["messages"] == 0, "the spool is empty")


def test_what_waits_in_memory_stays_before_what_was_on_the_disk(daemon, collector, folder):
    """A collector that stops reading has messages wait in memory, and those behind them on the disk.  All of these
    are back in memory, behind the others, when it dies."""
    server = collector()
    one = daemon(spooled(server, f"{folder}/spool", "no", "max_message = 65536; "))
    lines = [b"%d %s" % (number, b"o" * 10000) for number in range(1050)]

    def all_wait_in_memory():
        status = one.status("log")
        return status["in_flight"] + status["queued"] > status["spool"]["messages"] > 0

    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        listener.bind(("127.0.0.1", server.port))
        listener.listen(1)
        connection, _ = listener.accept()
        with connection:
            say(one, lines)
            wait_spool(one, lambda spool: spool["bytes"] > 0, "some are on the disk")
            left = 7 << 20
            while left > 0:
                left -= len(connection.recv(min(left, 65536)))
            holdfast.until(all_wait_in_memory, "all that is left waits in memory")
    one.wait_status("log", up=False)
    server.up()
    server.wait_line(lines[-1])
    assert server.lines == lines[-len(server.lines):]


@pytest.mark.parametrize("fsync", ["no", "always"])
def test_both_processes_and_the_runtime_directory_are_lost(daemon, collector, folder, fsync):
    """What was in the spool is sent by the next daemon, before what comes new."""
    server = collector()
    one = daemon(spooled(server, f"{folder}/spool", fsync))
    for begin in range(0, 5000, 1000):
        say(one, texts(range(begin, begin + 1000)))
    wait_spool(one, lambda spool: spool["messages"] == 5000, "messages are in the spool")
    if fsync == "no":  # what is said is on the disk a moment later
        wait_on_disk(f"{folder}/spool", texts(range(5000)))
    kill_both(one)
    for name in os.listdir(one.folder):
        if name not in ("holdfast.conf", "log", "notify"):
            os.unlink(one.path(name))
    server.up()
    one.start()
    one.wait_connected("log")
    say(one, [b"last"])
    server.wait_line(b"last")
    assert server.lines == texts(range(5000)) + [b"last"]


def test_worker_deaths_alone_double_nothing(daemon, collector, folder):
    """Exactly once, while the collector comes and goes and only the worker dies."""
    server = collector(f"{folder}/collector.sock").up()
    one = daemon(spooled(server, f"{folder}/spool", "always"))
    said = []
    for number in range(60):
        lines = texts(range(number * 500, number * 500 + 500))
        with one.client("log") as client:
            client.send(b"".join(line + b"\n" for line in lines))
            if number % 3 == 0:
                one.kill_worker()
            client.shutdown()
            assert client.read_all() == b"accepted\n"
        said += lines
    server.wait_line(said[-1])
    assert server.lines == said
    assert one.restarts() == 20


@pytest.mark.parametrize("program", [PROGRAM, pytest.param(NEXT, marks=pytest.mark.skipif(
    not holdfast.NEXT_BUILD, reason="no build with --enable-next-layout"))], ids=["same", "next"])
def test_an_upgrade_doubles_nothing(daemon, collector, folder, program):
    """Messages that are on the disk, in the queue, and unconfirmed go on under the next program."""
    server = collector(f"{folder}/collector.sock").up()
    one = daemon(spooled(server, f"{folder}/spool", "always"), start=False)
    one.install(PROGRAM)
    one.start()
    said = []
    for number in range(6):
        lines = texts(range(number * 1000, number * 1000 + 1000))
        if number in (2, 4):
            server.wait_line(said[-1])
            server.down()
        with one.client("log") as client:
            client.send(b"".join(line + b"\n" for line in lines))
            one.install(program)
            done = one.ctl("upgrade")
            assert done.returncode == 0, done.stderr
            client.shutdown()
            assert client.read_all() == b"accepted\n"
        said += lines
        if number in (3, 5):
            server.up()
    server.wait_line(said[-1])
    assert server.lines == said


def test_confirmed_messages_arrive_whatever_is_killed(daemon, collector, folder):
    """Both processes are killed again and again, the collector is down half of the time: what was confirmed arrives
    at least once, in order."""
    server = collector().up()
    one = daemon(spooled(server, f"{folder}/spool", "always", max_size=1 << 30))
    over = threading.Event()
    spent = {True: 0.0, False: 0.0}

    def come_and_go():
        while not over.is_set():
            since, was_up = time.monotonic(), server.is_up
            over.wait(0.3)
            if was_up:
                server.down()
            else:
                server.up()
            spent[was_up] += time.monotonic() - since

    comes = threading.Thread(target=come_and_go)
    comes.start()
    began, again, killed = time.monotonic(), 0, 0
    try:
        for batch in range(COUNT // BATCH):
            lines = texts(range(batch * BATCH, (batch + 1) * BATCH))
            doomed = killed < KILLS and batch >= (killed + 0.5) * COUNT / BATCH / KILLS
            while True:
                killer = threading.Timer(0.002 * (killed % 5), kill_both, [one]) if doomed else None
                try:
                    if killer:
                        killer.start()
                    answer = say(one, lines)
                except OSError:
                    answer = b""
                if killer:
                    killer.join()
                    one.start()
                    killed, doomed = killed + 1, False
                if answer == b"accepted\n":
                    break
                again += 1
    finally:
        over.set()
        comes.join()
    accepted = time.monotonic() - began
    if not server.is_up:
        server.up()
    say_accepted(one, [b"last"])
    server.wait_line(b"last", 120)
    down = spent[False] / (spent[False] + spent[True])
    print(f"{COUNT} messages accepted in {accepted:.1f} s, the collector down for {down:.0%} of the time, {killed} "
          f"kills of both processes, {again} batches said again, {len(server.lines) - 1 - COUNT} messages twice, "
          f"all there after {time.monotonic() - began:.1f} s")
    assert killed == KILLS
    assert_in_order(server.lines, texts(range(COUNT)) + [b"last"])


def test_nothing_is_confirmed_before_it_is_on_the_disk(daemon, collector, folder):
    """A spool that takes none confirms none, and a client that goes away is told nothing."""
    path = f"{folder}/spool"
    os.mkdir(path, 0o777)
    os.chmod(path, 0o777)
    one = daemon(spooled(collector(), path, "always"))
    one.wait_log("others own or may write to")
    with one.client("log") as client:
        client.send(b"one\n")
        client.shutdown()
        assert not select.select([client.socket], [], [], 0.3)[0]
        os.chmod(path, 0o700)
        assert client.read_all() == b"accepted\n"
    one.wait_log("the disk takes messages again")


def test_a_full_spool_makes_clients_wait(daemon, collector, folder):
    server = collector()
    one = daemon(spooled(server, f"{folder}/spool", "always", 'max_message = 65536; queue_size = 65536; ', 1 << 20))
    lines = [b"%d %s" % (number, b"y" * 1000) for number in range(3000)]
    with stuck(one, server, lines, "it is full"):
        assert spool_of(one)["bytes"] <= 1 << 20


def test_the_smallest_spool_is_never_too_small_for_what_waits(daemon, collector, folder):
    """What waits in memory is more than max_size, and records fill that to the last byte."""
    server = collector()
    one = daemon(spooled(server, f"{folder}/spool", "always", "max_message = 65536; ", 1 << 20))
    lines = [b"%07d" % number for number in range(200000)]
    with stuck(one, server, lines, "it is full"):
        pass


def test_a_full_spool_drops_the_newest(daemon, collector, folder):
    server = collector()
    one = daemon(spooled(server, f"{folder}/spool", "no", 'max_message = 65536; queue_size = 65536; '
                         'on_full = "drop_newest"; ', 1 << 20))
    lines = [b"%d %s" % (number, b"y" * 1000) for number in range(3000)]
    for begin in range(0, 3000, 100):
        say(one, lines[begin:begin + 100])
    one.wait_log("it is full")
    dropped = holdfast.until(lambda: one.status("log")["dropped"], "messages are dropped")
    server.up()
    one.wait_connected("log")
    holdfast.until(lambda: say(one, [b"last"]) is not None and server.lines[-1:] == [b"last"], "the last arrives")
    arrived = [line for line in server.lines if line != b"last"]
    assert arrived == [line for line in lines if line in set(arrived)]
    assert arrived[:800] == lines[:800]
    assert len(arrived) + one.status("log")["dropped"] >= 3000 and dropped > 0


def test_a_full_spool_drops_the_oldest(daemon, collector, folder):
    server = collector()
    one = daemon(spooled(server, f"{folder}/spool", "always", 'max_message = 65536; queue_size = 65536; '
                         'on_full = "drop_oldest"; ', 1 << 20))
    lines = [b"%d %s" % (number, b"y" * 1000) for number in range(3000)]
    for begin in range(0, 3000, 100):
        assert say(one, lines[begin:begin + 100]) == b""
    holdfast.until(lambda: one.status("log")["dropped"], "messages are dropped")
    assert spool_of(one)["bytes"] <= 1 << 20
    server.up()
    server.wait_line(lines[-1])
    assert server.lines == lines[-len(server.lines):]
    assert len(server.lines) + one.status("log")["dropped"] == 3000


def test_a_damaged_segment_is_told_and_the_next_is_sent(daemon, collector, folder):
    server = collector()
    path = f"{folder}/spool"
    one = daemon(spooled(server, path, "always", max_size=4 << 20))
    lines = [b"%d %s" % (number, b"z" * 1000) for number in range(2000)]
    for begin in range(0, 2000, 100):
        say_accepted(one, lines[begin:begin + 100])
    kill_both(one)
    names = segments(path)
    assert len(names) > 2
    first, second = (int(name.partition(".")[0]) for name in names[:2])
    with open(f"{path}/{names[0]}", "r+b") as file:
        file.seek(32 + 10 * (len(lines[0]) + 1 + RECORD) + 500)
        file.write(b"!")
    with open(f"{path}/notes", "w") as file:
        file.write("an operator's")
    one.start()
    server.up()
    server.wait_line(lines[-1])
    assert server.lines == lines[first:10] + lines[second:]
    one.wait_log(f"segment {names[0]} is damaged")
    assert spool_of(one)["damaged"] == second - 10
    holdfast.until(lambda: os.path.exists(f"{path}/{names[0]}.damaged"), "the segment is kept aside")
    assert os.path.exists(f"{path}/notes")


def test_a_torn_tail_is_no_damage(daemon, collector, folder):
    """Half a record, as a lost machine leaves it."""
    server = collector()
    path = f"{folder}/spool"
    one = daemon(spooled(server, path, "always"))
    say_accepted(one, texts(range(50)))
    kill_both(one)
    with open(f"{path}/{segments(path)[-1]}", "ab") as file:
        file.write(b"\x40\0\0\0abcdefgh")
    one.start()
    say_accepted(one, texts(range(50, 60)))
    server.up()
    server.wait_line(texts([59])[0])
    assert server.lines == texts(range(60))
    assert spool_of(one)["damaged"] == 0


def test_two_services_never_share_a_directory(daemon, collector, folder):
    server = collector()
    path = f"{folder}/spool"
    one = daemon(spooled(server, path))
    say(one, [b"one"])
    wait_spool(one, lambda spool: spool["bytes"] > 0, "it is on the disk")
    other = daemon(spooled(server, path))
    other.wait_log("another daemon or service has it")
    one.stop()
    server.up()
    other.wait_log("the disk takes messages again")
    server.wait_line(b"one")


def test_a_directory_that_is_removed_is_made_again(daemon, collector, folder):
    server = collector()
    path = f"{folder}/spool"
    one = daemon(spooled(server, path, "always"))
    say_accepted(one, [b"gone"])
    shutil.rmtree(path)
    say_accepted(one, [b"kept"])
    one.wait_log("removed by others")
    assert os.stat(path).st_mode & 0o777 == 0o700
    server.up()
    server.wait_line(b"kept")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_disk_that_is_full_is_told_and_tried_again(daemon, collector, folder):
    server = collector()
    path = f"{folder}/disk"
    os.mkdir(path)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "none", path]).returncode != 0:
        pytest.skip("no mount")
    try:
        one = daemon(spooled(server, f"{path}/spool", "always", "max_message = 65536; queue_size = 65536; "))
        lines = [b"%d %s" % (number, b"y" * 1000) for number in range(2000)]
        with stuck(one, server, lines, "No space left on device; clients wait"):
            assert one.status("log")["spool"]["error"].endswith("No space left on device")
        one.stop()
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def test_a_service_that_is_removed_keeps_its_spool(daemon, collector, folder):
    server = collector()
    one = daemon(spooled(server, f"{folder}/spool", "always"))
    say_accepted(one, texts(range(10)))
    one.configure("")
    one.command("reload --force")
    one.wait_log("10 messages stay there")
    one.configure(spooled(server, f"{folder}/spool", "always"))
    one.command("reload --force")
    server.up()
    server.wait_line(texts([9])[0])
    assert server.lines == texts(range(10))


def test_what_a_removed_service_has_in_memory_goes_to_its_spool(daemon, collector, folder):
    """Its server is connected, and reads nothing."""
    server = collector(f"{folder}/collector.sock")
    server.deaf = True
    server.up()
    settings = spooled(server, f"{folder}/spool", "no", "queue_size = 4000000; ")
    one = daemon(settings)
    one.wait_connected("log")
    lines = [b"%d %s" % (number, b"y" * 1000) for number in range(2000)]
    say(one, lines)
    one.wait_status("log", messages_from_clients=len(lines))
    holdfast.until(lambda: one.status("log")["spool"]["messages"] == 0, "no message on the disk")
    one.configure("")
    one.command("reload --force")
    one.wait_log("messages stay there")
    server.down()
    server.deaf = False
    one.configure(settings)
    one.command("reload --force")
    server.up()
    server.wait_line(lines[-1])
    assert set(server.lines) == set(lines)


def test_what_a_removed_service_cannot_write_is_counted(daemon, collector, folder):
    server = collector()
    with open(f"{folder}/file", "wb"):
        one = daemon(spooled(server, f"{folder}/file", "no"))
    say(one, texts(range(10)))
    one.wait_status("log", messages_from_clients=10)
    one.configure("")
    one.command("reload --force")
    one.wait_log("cannot open the directory: Not a directory; 10 messages that are not there are lost")


def test_messages_that_wait_have_the_server_dialled_sooner(daemon, collector, folder):
    server = collector()
    one = daemon(spooled(server, f"{folder}/spool", "no", "hold_retry = 0.05; ").replace("delay = 0.1", "delay = 60"))
    one.wait_log("next attempt in")
    say(one, texts(range(10)))
    server.up()
    server.wait_line(texts([9])[0])


def test_datagrams_go_through_the_spool(daemon, collector, folder):
    server = collector()
    one = daemon(spooled(server, f"{folder}/spool", "no", 'listen: { type = "dgram"; };'))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(holdfast.BOUND)
        sender.connect(one.socket("log"))
        for line in texts(range(200)):
            sender.send(line)
    wait_spool(one, lambda spool: spool["messages"] == 200, "messages are in the spool")
    wait_on_disk(f"{folder}/spool", texts(range(200)))
    restart(one)
    server.up()
    server.wait_line(texts([199])[0])
    assert server.lines == texts(range(200))


@pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")
@pytest.mark.parametrize("point", [point for point in points() if point.startswith("spool.") and
                                   point != "spool.reclaimed"])
def test_crash_points(daemon, collector, folder, point):
    """The worker dies at each place of the spool: each message arrives exactly once."""
    server = collector(f"{folder}/collector.sock").up()
    one = daemon(spooled(server, f"{folder}/spool", "always", max_size=8 << 20), **crash(f"{point}:4"))
    said = []

    def go_on():
        number = len(said) // 100
        lines = [line + b"-" * 1000 for line in texts(range(number * 100, number * 100 + 100))]
        said.extend(lines)
        say_accepted(one, lines)
        if number % 3 == 1 and server.is_up:
            server.wait_line(said[-1])
            server.down()
        elif not server.is_up:
            server.up()
            one.wait_connected("log")
        return deaths(one, point) >= 3 or (point == "spool.opened" and number > 3)

    holdfast.until(go_on, f"deaths at {point}", 40)
    if not server.is_up:
        server.up()
    server.wait_line(said[-1])
    assert server.lines == said


@pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")
def test_a_death_while_unread_messages_go_to_the_disk(daemon, collector, folder):
    """A collector reads what it was sent only after the connection has ended, and all of it again then."""
    server = collector(f"{folder}/collector.sock")
    one = daemon(spooled(server, f"{folder}/spool"), **crash("spool.reclaimed:1"))
    for number in range(3):
        lines = texts(range(number * 100, number * 100 + 100))
        server.deaf = True
        server.up()
        one.wait_connected("log")
        say(one, lines)
        one.wait_status("log", messages_from_clients=len(lines) * (number + 1))
        server.down()
        holdfast.until(lambda: deaths(one, "spool.reclaimed") == number + 1, "a death")
        assert server.lines in (lines, [])
        server.lines = []
        server.deaf = False
        server.up()
        server.wait(lambda: server.lines == lines, "all lines")
        server.down()
        server.lines = []
