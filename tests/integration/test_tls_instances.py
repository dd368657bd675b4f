"""holdfast-tls started several times at one path, and where the kernel has no memory for what it waits for."""
import contextlib
import os
import signal
import socket
import subprocess

import pytest

import holdfast
import tls_program
import upstream as upstream_module

pytestmark = [tls_program.MARK, pytest.mark.plain]

DEAF = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

int
epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
	int (*real)(int, int, int, struct epoll_event *) = dlsym(RTLD_NEXT, "epoll_ctl");

	errno = ENOMEM;
	return what != EPOLL_CTL_DEL && access(getenv("DEAF"), F_OK) == 0 ? -1 : real(epoll, what, fd, event);
}
"""


@pytest.fixture
def serve():
    yield from holdfast.each_ends(tls_program.server, upstream_module.Upstream.stop)


def test_of_several_that_are_started_at_once_one_stays_and_it_has_the_path(folder, serve, authority):
    """The others end by themselves, also those whose path was taken just after they had made it."""
    path, address = os.path.join(folder, "tls.sock"), serve(tls_program.context(*authority.issue("good"))).address
    for _ in range(3):
        programs = [subprocess.Popen([tls_program.PROGRAM, "-s", path], stdin=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL) for _ in range(4)]
        try:
            holdfast.until(lambda: sum(one.poll() is None for one in programs) == 1, "the end of the others")
            assert sorted(one.poll() is None or one.poll() for one in programs) == [0, 0, 0, True]
            session = tls_program.Session(path, {"address": address, "ca": authority.ca})
            assert session.ask(b"x\n") == b"x\n"
            session.close()
            assert os.listdir(folder) == ["tls.sock"]
        finally:
            for one in programs:
                one.send_signal(signal.SIGTERM)
                holdfast.wait_exit(one)


def test_who_has_connected_to_the_instance_before_is_served(program, serve, authority, folder):
    one, address = program(), serve(tls_program.context(*authority.issue("good"))).address
    first = os.stat(one.path).st_ino
    os.kill(one.process.pid, signal.SIGSTOP)
    early = socket.socket(socket.AF_UNIX)
    early.settimeout(holdfast.BOUND)
    early.connect(one.path)
    second = subprocess.Popen([tls_program.PROGRAM, "-s", one.path], stdin=subprocess.DEVNULL)
    try:
        holdfast.until(lambda: os.stat(one.path).st_ino != first, "the new instance's socket")
        one.process.send_signal(signal.SIGCONT)
        one.wait_log("another instance has taken it")
        early.sendall(tls_program.header({"address": address, "ca": authority.ca}))
        assert early.makefile("rb").readline().startswith(b"ok ")
        early.close()
        assert holdfast.wait_exit(one.process) == 0
    finally:
        one.process.send_signal(signal.SIGCONT)
        second.send_signal(signal.SIGTERM)
        assert holdfast.wait_exit(second) == 0


def test_its_path_may_be_as_long_as_clients_can_connect_to(folder):
    place = f"{folder}/" + "x" * (107 - len(f"{folder}//tls.sock"))
    os.mkdir(place)
    one = tls_program.Program(place)
    try:
        assert len(one.path) == 107
        tls_program.connect(one.path, {}).close()
    finally:
        one.end()
    done = holdfast.run(tls_program.PROGRAM, "-s", one.path + "x")
    assert done.returncode != 0 and "File name too long; holdfast-tls ends" in done.stderr


@pytest.fixture
def deaf(folder, monkeypatch):
    """A file: while it is there the kernel has no memory for what is waited for."""
    source, library = (os.path.join(folder, name) for name in ("deaf.c", "deaf.so"))
    with open(source, "w") as file:
        file.write(DEAF)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    now, clean = os.path.join(folder, "now"), holdfast.environment
    monkeypatch.setattr(holdfast, "environment", lambda **more: clean(LD_PRELOAD=library, DEAF=now, **more))
    return now


def test_a_session_that_would_not_be_heard_ends(program, serve, authority, deaf):
    flood = b"x" * (8 << 20)

    def talk(peer):
        with contextlib.suppress(OSError):  # the session ends in the midst of it
            for said in iter(peer.read, b""):
                peer.write(flood if said == b"more\n" else b"y\n")

    one = program()
    lines = {"address": serve(tls_program.context(*authority.issue("good")), talk).address, "ca": authority.ca}
    session = one.open(**lines)
    assert session.ask(b"x\n") == b"y\n"
    with open(deaf, "w"):
        assert one.refused(**lines) == ["limit", "the kernel has no memory to wait for its sockets\n"]
        session.socket.sendall(b"more\n")  # more than passes at once, so that it has to be waited for
        assert len(session.file.read()) < len(flood)
        one.wait_log("its sockets cannot be waited for: Cannot allocate memory")
    os.unlink(deaf)
    assert one.open(**lines).ask(b"x\n") == b"y\n"
