"""The unit under the real systemd, booted in a box: start, reload with a good and a broken file, kill, stop."""
import json
import os
import shutil
import subprocess
import time

import pytest

import holdfast

BOX = os.path.join(os.path.dirname(__file__), "systemd-box.sh")
GOOD = 'services: { first: { address = "127.0.0.1:9"; }; };\n'
MORE = 'services: { first: { address = "127.0.0.1:9"; }; second: { address = "127.0.0.1:9"; }; };\n'


def why_not():
    if os.geteuid() != 0:
        return "needs root"
    if not os.path.exists("/usr/lib/systemd/systemd"):
        return "systemd is not installed"
    with open("/proc/filesystems") as file:
        if "overlay" not in file.read() and subprocess.call(["modprobe", "-q", "overlay"]) != 0:
            return "the kernel has no overlayfs"
    with open("/proc/mounts") as file:
        if not any(line.split()[2] == "cgroup2" for line in file):
            return "no cgroup2 is mounted"
    return None


pytestmark = [pytest.mark.plain, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]


class Box:
    def __init__(self, folder, stage):
        self.folder, self.conf = f"{folder}/box", f"{folder}/conf"
        os.mkdir(self.conf)
        self.write(GOOD)
        binds = []
        for place, _, names in os.walk(stage):
            for name in names:
                path = os.path.join(place, name)
                binds += ["--bind", f"{path}:{path[len(stage):]}"]
        done = holdfast.run(BOX, "start", self.folder, "--bind", f"{self.conf}:/etc/holdfast", *binds, bound=60)
        assert done.returncode == 0, done.stdout + done.stderr
        self.do("systemd-sysusers")
        self.do("systemctl", "daemon-reload")

    def write(self, text):
        with open(f"{self.conf}/holdfast.conf", "w") as file:
            file.write(text)

    def run(self, *command):
        return holdfast.run(BOX, "exec", self.folder, *command, bound=60)

    def do(self, *command):
        done = self.run(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}{self.journal()}"
        return done.stdout.strip()

    def journal(self):
        return holdfast.run(BOX, "journal", self.folder, "-u", "holdfast.service", "-n", "60").stdout

    def show(self, name):
        return self.do("systemctl", "show", "-P", name, "holdfast.service")

    def stop(self):
        holdfast.run(BOX, "stop", self.folder)


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("systemd"))
    stage = f"{folder}/stage"
    done = holdfast.run("make", "-C", holdfast.BUILD, "install", f"DESTDIR={stage}", bound=120)
    assert done.returncode == 0, done.stderr
    one = Box(folder, stage)
    yield one
    one.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def started(box):
    box.write(GOOD)
    box.do("systemctl", "restart", "holdfast.service")
    return box


def services(box):
    return [line.split()[0] for line in box.do("holdfastctl", "status").splitlines()]


def test_start(started):
    assert started.show("ActiveState") == "active"
    assert started.show("StatusText")
    assert "first" in services(started)
    assert started.do("stat", "-c", "%U %a", "/run/holdfast/first.sock") == "holdfast 660"
    assert started.do("stat", "-c", "%a", "/run/holdfast") == "755"
    assert started.do("ps", "-o", "user=", "-p", started.show("MainPID")) == "holdfast"


def test_reload_with_a_good_file(started):
    pid = started.show("MainPID")
    started.write(MORE)
    started.do("systemctl", "reload", "holdfast.service")
    assert "second" in services(started)
    assert started.show("MainPID") == pid


def test_reload_with_a_broken_file(started):
    started.write("services: { first: { adress = 3; }; };\n")
    assert started.run("systemctl", "reload", "holdfast.service").returncode != 0
    assert started.show("ActiveState") == "active"
    assert "first" in services(started)
    holdfast.until(lambda: "adress" in started.journal(), "the reason in the journal")


def test_worker_killed(started):
    before = json.loads(started.do("holdfastctl", "--json", "status"))
    started.do("kill", "-9", str(before["worker_pid"]))
    after = json.loads(started.do("holdfastctl", "--json", "status"))
    assert after["pid"] == before["pid"] and after["worker_restarts"] == 1
    assert started.show("NRestarts") == "0"


def test_journal_fields(started):
    out = started.do("journalctl", "-o", "verbose", "-u", "holdfast.service", "--no-pager")
    assert "HOLDFAST_SERVICE=first" in out


def test_bad_file_at_start_is_not_tried_again(started):
    started.write("nonsense")
    assert started.run("systemctl", "restart", "holdfast.service").returncode != 0
    assert started.show("ExecMainStatus") == "78"
    assert started.show("ActiveState") == "failed"
    started.do("systemctl", "reset-failed", "holdfast.service")


def test_stop(started):
    begin = time.monotonic()
    started.do("systemctl", "stop", "holdfast.service")
    assert time.monotonic() - begin < 10
    assert started.show("ActiveState") == "inactive"
    assert started.show("Result") == "success"
    assert started.run("test", "-e", "/run/holdfast/first.sock").returncode != 0
