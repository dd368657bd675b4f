"""holdfastctl add and remove: a service is a file that comes with a command and goes with another."""
import os
import socket
import threading

import pytest

import holdfast


@pytest.fixture
def one(daemon, folder):
    """A daemon without services, which reads a directory of them."""
    directory = os.path.join(folder, "services.d")
    os.mkdir(directory)
    made = daemon(top=f'include_directory = "{directory}";')
    made.directory = directory
    return made


def add(one, *words, directory=None):
    return one.ctl("add", *words, "--directory", directory or one.directory)


def remove(one, name):
    return one.ctl("remove", name, "--directory", one.directory)


def names(one):
    return [service["service"] for service in one.status()["services"]]


def test_a_service_is_added_and_removed(one, upstream):
    server = upstream()
    done = add(one, "s", server.address)
    assert done.stdout == f"added s: clients connect to {one.socket('s')}\n" and done.returncode == 0, done.stderr
    assert os.listdir(one.directory) == ["s.conf"]
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
    assert remove(one, "s").stdout == "removed s\n"
    assert os.listdir(one.directory) == [] and names(one) == []


def test_what_the_daemon_refuses_is_undone(one):
    done = add(one, "s", "10.0.0.5:none")
    assert done.returncode == 1 and "nothing was changed" in done.stderr and "10.0.0.5:none" in done.stderr
    assert os.listdir(one.directory) == [] and names(one) == []


def test_nothing_is_replaced_or_removed_that_it_did_not_write(one):
    assert add(one, "s", "127.0.0.1:1").returncode == 0
    done = add(one, "s", "127.0.0.1:2")
    assert done.returncode == 1 and f"not added: {one.directory}/s.conf: File exists" in done.stderr
    path = f"{one.directory}/own.conf"
    with open(path, "w") as file:
        file.write('services: { own: { address = "127.0.0.1:1"; }; };\n')
    assert "was not written by" in remove(one, "own").stderr and os.path.exists(path)
    assert "not removed" in remove(one, "other").stderr
    assert sorted(os.listdir(one.directory)) == ["own.conf", "s.conf"]


def test_a_directory_that_the_daemon_does_not_read_is_told(one, folder):
    done = add(one, "s", "127.0.0.1:1", directory=folder)
    assert done.returncode == 1 and f"does not read {folder}: see --directory" in done.stderr
    assert not os.path.exists(f"{folder}/s.conf")


def test_a_removal_that_the_daemon_refuses_is_undone(one):
    assert add(one, "s", "127.0.0.1:1").returncode == 0
    with open(f"{one.directory}/bad.conf", "w") as file:
        file.write("nonsense\n")
    assert remove(one, "s").returncode == 1
    assert sorted(os.listdir(one.directory)) == ["bad.conf", "s.conf"] and names(one) == ["s"]


def test_a_file_that_was_removed_by_hand_is_added_anew(one, upstream):
    server = upstream()
    assert add(one, "s", "127.0.0.1:1").returncode == 0
    os.remove(f"{one.directory}/s.conf")
    done = add(one, "s", server.address)
    assert done.stdout == f"added s: clients connect to {one.socket('s')}\n" and done.returncode == 0, done.stderr
    assert os.listdir(one.directory) == ["s.conf"]


def test_a_file_that_another_reload_has_read_stays(folder):
    path, answers = f"{folder}/control", ['{"services": []}', '{"ok": true, "added": [], "changed": []}',
                                          '{"services": [{"service": "s", "socket": "/there"}]}']
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(holdfast.BOUND)

        def serve():
            for answer in answers:
                connection = listener.accept()[0]
                with connection, connection.makefile("r") as lines:
                    lines.readline()
                    connection.sendall(answer.encode() + b"\n")
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        done = holdfast.run(f"{holdfast.BUILD}/holdfastctl", "-s", path, "add", "s", "127.0.0.1:1", "--directory",
                            folder)
        server.join(holdfast.BOUND)
    assert (done.stdout, done.returncode) == ("added s: clients connect to /there\n", 0), done.stderr
    assert os.path.exists(f"{folder}/s.conf")


def test_a_strict_umask_does_not_keep_it_from_the_daemon(one, upstream):
    before = os.umask(0o077)
    try:
        assert add(one, "s", upstream().address).returncode == 0
    finally:
        os.umask(before)
    assert os.stat(f"{one.directory}/s.conf").st_mode & 0o777 == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_a_full_disk_is_told_and_nothing_is_left(one):
    if holdfast.run("mount", "-t", "tmpfs", "-o", "size=4k,mode=755", "none", one.directory).returncode != 0:
        pytest.skip("no mounts here")
    try:
        with open(f"{one.directory}/full", "wb") as file:
            file.write(bytes(4096))
        done = add(one, "s", "127.0.0.1:1")
        assert done.returncode == 1 and "No space left on device" in done.stderr
        assert os.listdir(one.directory) == ["full"] and names(one) == []
    finally:
        holdfast.run("umount", "-l", one.directory)


def test_without_a_daemon_the_file_is_for_later(one):
    one.stop()
    done = add(one, "s", "127.0.0.1:1")
    assert done.returncode == 3 and "the daemon reads it when it starts or reloads" in done.stderr
    one.start()
    assert names(one) == ["s"]


@pytest.mark.parametrize("words", [
    ("", "h:1"), ("1s", "h:1"), ("../s", "h:1"), ("s.x", "h:1"), ("s" * 65, "h:1"), ("s", 'h:1"; x = "'),
    ("s", "h 1"), ("s", "h:" + "1" * 1024), ("s",), ("s", "h:1", "more"), ("s", "h:1", "--unknown")])
def test_words_that_cannot_be_meant_change_nothing(one, words):
    assert add(one, *words).returncode == 2
    assert os.listdir(one.directory) == []
