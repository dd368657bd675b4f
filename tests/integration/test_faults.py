"""What the kernel refuses once: the call is tried again, or copying does in its place, or one client notices."""
import contextlib
import os
import signal

import pytest

import asking
import faults
import holdfast
import manager
import tls_program
from test_crash_points import crash, deaths, points

pytestmark = pytest.mark.plain
PROGRAM = os.path.join(holdfast.BUILD, "holdfastd")
LARGE = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture
def fails(folder):
    return faults.Faults(os.path.join(folder, "faults"))


@pytest.fixture
def start(daemon, fails):
    """start(services, ...) starts a daemon whose calls can be made to fail."""
    def make(services, environment_more=None, **options):
        return daemon(services, environment_more={**fails.environment(), **(environment_more or {})}, **options)
    return make


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def pass_large(one):
    """There and back; what is slow makes the pipe fill."""
    with one.client("s") as client:
        sender = holdfast.threading.Thread(target=client.send, args=(LARGE,), daemon=True)
        sender.start()
        data = client.file.read(len(LARGE))
        sender.join(holdfast.BOUND)
    assert data == LARGE


def test_what_cannot_be_spliced_is_copied(start, upstream, fails):
    one = start(holdfast.fixed("s", upstream(echo).address))
    one.wait_connected("s")
    fails.arm("splice", "EINVAL", 2, 10000)  # one that empties the pipe, then all that fill it
    pass_large(one)
    assert fails.disarm() > 10
    pass_large(one)
    assert fails.calls()["worker", "splice"] > 20
    holdfast.until(lambda: one.pipes() == 0, "no pipe is left")


@pytest.mark.parametrize("point", [point for point in points() if point.startswith("journal.cop")])
def test_deaths_in_the_midst_of_copying(start, upstream, fails, point):
    one = start(holdfast.fixed("s", upstream(echo).address), **crash(f"{point}:1"))
    one.wait_connected("s")
    for _ in range(50):
        fails.arm("splice", "EINVAL", 2)  # mostly of what is in the pipe, after it was filled
        pass_large(one)
        if deaths(one, point) >= 5:
            return
    pytest.fail("it is seldom passed")


def test_a_connection_of_its_own_that_ends_before_it_took_anything(start, redis, fails):
    """The client's request is answered on another."""
    one = start(asking.shared("r", redis().address))
    one.wait_connected("r")
    with one.client("r") as connection:
        client = asking.Resp(connection)
        fails.arm("sendmmsg", "EPIPE")
        assert client.ask("MULTI") == "OK"
        assert fails.disarm() == 1
        assert client.ask("PING") == "QUEUED"
        assert client.ask("EXEC") == ["PONG"]


def test_the_shared_connection_waits_for_memory(start, upstream, fails):
    one = start(asking.shared("s", upstream().address, framing="line"))
    one.wait_connected("s")
    with one.client("s") as client:
        for error in ("ENOMEM", "ENOBUFS"):
            fails.arm("sendmmsg", error, 1, 3)
            assert client.ask("x") == b"x\n"
            assert fails.disarm() == 3
    assert one.status("s")["outages"] == 0


@pytest.mark.parametrize("function", ["readv", "writev"])
def test_an_operator_waits_for_memory(start, upstream, fails, function):
    """The answer to a pause that is carried out comes."""
    one = start(holdfast.fixed("s", upstream().address))
    one.wait_connected("s")
    fails.arm(function, "ENOMEM", 1, 3)
    assert one.command("pause s 0")["paused"]
    assert fails.disarm() == 3
    one.command("resume s")


def upgraded(start, upstream):
    one = start(holdfast.fixed("s", upstream().address), start=False)
    one.install(PROGRAM)
    one.start()
    one.wait_connected("s")
    return one


def count_open(one, path):
    folder, count = f"/proc/{one.keeper}/fd", 0
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # it has just been closed
            count += os.readlink(f"{folder}/{name}") == path
    return count


@pytest.mark.parametrize("function, first, process", [
    ("fcntl", 3, "keeper"),   # a file would not be there in the new program
    ("mmap", 1, "worker"),    # for the trial of the new program
    ("clone", 1, "keeper"),   # of what finishes the worker's work for the keeper
    ("fork", 1, "keeper"),    # the new program's, which looks at the configuration
    ("fexecve", 1, "keeper"),
    ("calloc", 1, "keeper"),  # the new program's
    ("malloc", 1, "child"),
    ("malloc", 1, "keeper"),  # of what the new program is told
    ("malloc", 3, "keeper"),
    ("realloc", 2, "keeper"),
])
def test_an_upgrade_without_memory_is_taken_back(start, upstream, fails, function, first, process):
    one = upgraded(start, upstream)
    keeper = one.keeper
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
        fails.arm(function, "ENOMEM", first, 1, process)
        done = one.ctl("upgrade")
        assert fails.disarm() == 1 and done.returncode == 1 and "continues" in done.stderr, done.stderr
        assert client.ask("y") == b"y\n"
        assert one.process.poll() is None and one.keeper == keeper
        assert one.client("s").ask("z") == b"z\n"
        assert count_open(one, one.program) == 1, "the new program's file is still open"
        done = one.ctl("upgrade")
        assert done.returncode == 0, done.stderr
        assert client.ask("x") == b"x\n"


def test_a_new_program_without_memory_for_the_configuration_is_taken_back(start, upstream, fails):
    """libconfig dies of it, in a child."""
    one = upgraded(start, upstream)
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
        fails.arm("malloc", "ENOMEM", 50, 100000, "child")  # the trial is a program of its own, not of this kind
        done = one.ctl("upgrade")
        assert fails.disarm() > 0 and done.returncode == 1 and "continues" in done.stderr, done.stderr
        assert client.ask("y") == b"y\n"


def test_few_descriptors_are_no_end_of_accepting(daemon, upstream):
    """As many as the daemon needs itself, and hardly more: who comes waits for those who are there."""
    one = daemon(holdfast.fixed("s", upstream().address), wrapper=["prlimit", "--nofile=30"])
    one.wait_connected("s")
    for number in range(2):
        clients = [one.client("s") for _ in range(8)]
        one.kill_worker()
        for client in clients:
            assert client.ask(str(number)) == f"{number}\n".encode()
            client.close()


@tls_program.MARK
@pytest.mark.parametrize("process, function, error", [
    ("worker", "send", "ENOBUFS"), ("worker", "recv", "ENOMEM"), ("tls", "send", "ENOBUFS"),
    ("tls", "recv", "ENOMEM"),
])
def test_tls_waits_for_memory(start, folder, authority, fails, process, function, error):
    """Whichever of the first calls it is, the next client is served, over a connection that is made for it."""
    server = tls_program.server(tls_program.context(*authority.issue("good")))
    program = None
    try:
        with pytest.MonkeyPatch.context() as patch:
            environment = holdfast.environment
            patch.setattr(holdfast, "environment", lambda **more: environment(**{**more, **fails.environment()}))
            program = tls_program.Program(folder)
        one = start(f's: {{ address = "{server.address}"; retry: {{ delay = 0.05; }}; '
                    f'tls: {{ ca = "{authority.ca}"; socket = "{folder}/tls.sock"; }}; }};\n')
        for first in range(1, 12):
            fails.arm(function, error, first, 1, process)
            with one.client("s", bound=8) as client:
                assert client.ask("x") == b"x\n", first
            fails.disarm()
    finally:
        if program:
            program.end()
        server.stop()


def test_what_systemd_is_not_left_with_is_told(daemon, upstream, fails):
    one = daemon(holdfast.fixed("s", upstream(echo).address), kind=manager.Managed,
                 top="stop_timeout = 0.2;", environment_more=fails.environment())
    one.wait_connected("s")
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        fails.arm("socketpair", "EMFILE", 1, 100, process="keeper")
        assert one.term() == 0
        assert fails.disarm() > 0
        assert client.at_end()
    one.wait_log("systemd cannot keep the connections over this restart: Too many open files; all are closed")
    one.start()


def test_what_worker_after_worker_dies_of_is_given_up(start, upstream, fails):
    """All clients and connections are closed; the sockets, and what an operator has set, stay."""
    server = upstream()
    one = start("".join(holdfast.fixed(name, server.address) for name in "stuv"))
    for name in "stuv":
        one.wait_connected(name)
    for line in ("close t", "pause u 1", "fail v 60"):
        one.command(line)
    keeper = one.keeper
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
        worker = one.worker()
        os.kill(worker, signal.SIGSTOP)  # none of the five calls is to be its own
        fails.arm("calloc", "ENOMEM", 1, 5)
        os.kill(worker, signal.SIGKILL)
        assert client.at_end()
    one.wait_log("worker after worker has died of what is in memory: all clients and connections are closed")
    assert fails.disarm() == 5
    with one.client("s") as client:
        assert client.ask("y") == b"y\n"
    assert one.keeper == keeper and one.restarts() == 6
    assert one.status("t")["administered"]["what"] == "closed"
    assert one.status("u")["paused"] and one.status("v")["failing"]
    for name, line in (("u", "resume u"), ("v", "fail v 0")):
        with one.client(name) as client:
            client.send(b"z\n")
            one.command(line)
            assert client.file.read(2) == b"z\n"
