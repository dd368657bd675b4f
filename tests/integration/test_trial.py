"""holdfastd -t tries what a start does: what it passes starts, and a running daemon does not notice."""
import os
import socket

import pytest

import holdfast

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
PROGRAM = os.path.join(holdfast.BUILD, "holdfastd")
NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
HEAD = 'runtime_directory = "{}";\ninclude_directory = "";\n{}\nservices:\n{{\n'


def write(folder, services, top="", runtime=None):
    """Services begin at line 6."""
    with open(f"{folder}/holdfast.conf", "w") as file:
        file.write(HEAD.format(runtime or f"{folder}/run", top) + services + "};\n")


def trial(folder, *become):
    return holdfast.run(*become, PROGRAM, "-t", "-c", f"{folder}/holdfast.conf")


def service(name, more=""):
    return f'{name}: {{ address = "127.0.0.1:9"; {more} }};\n'


@pytest.fixture
def place(folder):
    os.mkdir(f"{folder}/run")
    if os.geteuid() == 0:
        holdfast.run("chown", "nobody:nogroup", f"{folder}/run")
    return folder


def failed(done, *lines):
    """Exit code 1: what is wrong is not the configuration; each line is told."""
    assert done.returncode == 1, done.stderr
    for line in lines:
        assert line in done.stderr, done.stderr
    told = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    assert len(told) == len(lines), done.stderr


@needs_root
def test_a_foreign_group(place):
    write(place, service("a") + service("b", 'listen: { group = "daemon"; };') +
          service("c", 'listen: { owner = "0"; };') + service("d", 'listen: { owner = "0"; group = "nogroup"; };'))
    failed(trial(place, *NOBODY), "holdfast.conf:7: services.b.listen.group: socket",
           "holdfast.conf:8: services.c.listen.owner: socket", "holdfast.conf:9: services.d.listen.owner: socket")
    assert os.listdir(f"{place}/run") == []


@needs_root
def test_a_folder_that_is_not_writable(place):
    os.mkdir(f"{place}/other")
    write(place, service("a", f'listen: {{ path = "{place}/other/a.sock"; }};'))
    failed(trial(place, *NOBODY), "holdfast.conf:6: services.a.listen.path: socket")
    os.mkdir(f"{place}/run/below")
    write(place, service("a", 'listen: { path = "below/deep/a.sock"; };'))
    failed(trial(place, *NOBODY), "holdfast.conf:6: services.a.listen.path: socket")


@pytest.mark.parametrize("runtime, wrong", [("missing/run", "cannot make it: No such file"),
                                            ("holdfast.conf", "is not a directory")])
def test_a_runtime_directory_that_cannot_be(place, runtime, wrong):
    write(place, service("a"), runtime=f"{place}/{runtime}")
    done = trial(place)
    failed(done, "holdfast.conf:1: runtime_directory: ")
    assert wrong in done.stderr


@needs_root
def test_a_runtime_directory_of_another_user(folder):
    os.mkdir(f"{folder}/run")
    write(folder, service("a"))
    failed(trial(folder, *NOBODY), f"holdfast.conf:1: runtime_directory: {folder}/run: nobody cannot use it")


@needs_root
def test_a_runtime_directory_that_systemd_will_make(place):
    write(place, service("a"), runtime="/run/holdfast-test-missing")
    done = trial(place, *NOBODY)
    assert done.returncode == 0 and "systemd does, with RuntimeDirectory=" in done.stderr, done.stderr


@needs_root
def test_root_is_told_whom_to_test_as(place):
    write(place, service("a"))
    done = trial(place)
    assert done.returncode == 0 and "sudo -u nobody holdfastd -t" in done.stderr, done.stderr


def test_what_is_no_socket_and_what_lives(place):
    os.mkdir(f"{place}/run/a.sock")
    with socket.socket(socket.AF_UNIX) as dead, socket.socket(socket.AF_UNIX) as live:
        dead.bind(f"{place}/run/dead.sock")
        live.bind(f"{place}/run/live.sock")
        live.listen()
        live.setblocking(False)
        write(place, service("a") + service("dead") + service("live"))
        done = trial(place)
        with pytest.raises(BlockingIOError):
            live.accept()
    assert done.returncode == 1 and "services.a.listen.path: socket" in done.stderr, done.stderr
    assert "warning: " + place + "/holdfast.conf:8: services.live.listen.path: " in done.stderr
    assert "dead" not in done.stderr and os.path.exists(f"{place}/run/dead.sock")


def test_an_error_goes_before_a_failure(place):
    os.mkdir(f"{place}/run/a.sock")
    write(place, service("a") + service("b", "nonsense = 1;"))
    done = trial(place)
    assert done.returncode == 78 and "a.sock" in done.stderr and "nonsense" in done.stderr


def test_a_running_daemon_does_not_notice(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address), top='metrics: { listen = "127.0.0.1:%d"; };' %
                 holdfast.free_port())
    before = sorted(os.listdir(one.folder))
    done = holdfast.run(PROGRAM, "-t", "-c", one.config)
    assert done.returncode == 0 and "listen" not in done.stderr, done.stderr
    assert sorted(os.listdir(one.folder)) == before
    assert one.status("s")["clients_total"] == 0
