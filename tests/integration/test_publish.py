"""holdfastctl publish: what it keeps in a catalog, as a daemon that follows it sees it."""
import os
import re
import signal
import subprocess
import time

import holdfast
import pytest
from upstream import named


class Publisher:
    """holdfastctl publish of one service, "s"."""

    def __init__(self, catalog, address, *words, name="one"):
        self.place = os.path.join(catalog, "s")
        self.entry = os.path.join(self.place, name)
        self.said_path = f"{catalog}.{name}-{time.monotonic_ns()}"
        command = [os.path.join(holdfast.BUILD, "holdfastctl"), "publish", catalog, "s", address, "--copy", name]
        with open(self.said_path, "w") as said:
            self.process = subprocess.Popen([*command, *words], stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                            env=holdfast.environment())

    def said(self):
        with open(self.said_path) as file:
            return file.read()

    def wait_said(self, text, count=1):
        holdfast.until(lambda: self.said().count(text) >= count, f"{text!r} in {self.said()!r}")

    def is_there(self):
        return os.path.exists(self.entry)

    def wait(self, there=True):
        holdfast.until(lambda: self.is_there() == there, f"an entry: {there}; {self.said()}")
        return self

    def end(self, number=signal.SIGTERM):
        """Signals it, and gives its exit code."""
        self.process.send_signal(number)
        return holdfast.wait_exit(self.process)


@pytest.fixture
def publish(catalog):
    """publish(address, WORD...) starts one."""
    made = []

    def start(address, *words, **options):
        made.append(Publisher(catalog.folder, address, *words, **options))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


def follow(daemon, catalog):
    return daemon(f's: {{ lookup: {{ catalog = "{catalog.folder}"; }}; retry: {{ delay = 30; jitter = 0; }}; }};\n')


def listed(one):
    """The addresses that a lookup gives now."""
    answer = one.command_raw("lookup s")
    return answer["addresses"] if answer["ok"] else []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_client_that_waits_is_served_at_once_and_the_entry_goes_with_a_signal(
        daemon, catalog, upstream, publish, number, figure):
    server = upstream(named("good"))
    one = follow(daemon, catalog)
    one.wait_status("s", state="waiting")
    with one.client("s") as client:
        client.send(b"x\n")
        begin = time.monotonic()
        publisher = publish(server.address, "--priority", "3", "--weight", "7")
        assert client.line() == b"good x\n"
        figure(f"from the publisher's start to the answer: {(time.monotonic() - begin) * 1e3:.0f} ms")
    publisher.wait()
    with open(publisher.entry) as file:
        assert file.readline() == f"{server.address} ttl=30 priority=3 weight=7\n"
    assert os.stat(publisher.entry).st_mode & 0o777 == 0o644 and os.listdir(publisher.place) == ["one"]
    assert publisher.end(number) == 0
    assert not publisher.is_there() and listed(one) == []
    assert publisher.said().count("withdrawn") == 1


def test_the_heart_beats_and_a_beat_is_no_change(daemon, catalog, upstream, publish):
    server = upstream(named("good"))
    one = follow(daemon, catalog)
    publisher = publish(server.address, "--every", "0.2").wait()
    one.wait_connected("s")
    changed, inode = os.stat(publisher.entry).st_mtime_ns, os.stat(publisher.entry).st_ino
    for _ in range(4):
        holdfast.until(lambda: os.stat(publisher.entry).st_mtime_ns > changed, "a heartbeat")
        changed = os.stat(publisher.entry).st_mtime_ns
    assert os.stat(publisher.entry).st_ino == inode
    assert listed(one) == [server.address] and one.log().count("the catalog's list has changed") == 1


def test_a_killed_publishers_entry_ages_out_and_the_next_takes_its_place_at_once(
        daemon, catalog, upstream, publish, figure):
    first, second = upstream(named("first")), upstream(named("second"))
    one = follow(daemon, catalog)
    publisher = publish(first.address, "--every", "0.3").wait()
    holdfast.until(lambda: listed(one) == [first.address], "listed")
    publisher.end(signal.SIGKILL)
    killed = time.monotonic()
    assert publisher.is_there() and listed(one) == [first.address]
    holdfast.until(lambda: listed(one) == [], "aged out")
    took = time.monotonic() - killed
    figure(f"aged out after {took:.2f} s, of a ttl of 0.9 s")
    assert 0.3 < took < 0.9 + 3
    assert publisher.is_there()
    long_lived = publish(first.address).wait()
    long_lived.end(signal.SIGKILL)  # its entry would live for 30 s
    publish(second.address).wait_said("published")
    holdfast.until(lambda: listed(one) == [second.address], "the next one's")


def test_a_killed_publishers_entry_is_withdrawn_by_the_next_whose_check_fails(publish):
    publish("127.0.0.1:1").wait().end(signal.SIGKILL)
    publisher = publish("127.0.0.1:1", "--check", "false").wait(there=False)
    assert publisher.end() == 0


def test_a_killed_publishers_entry_is_withdrawn_by_the_next_that_ends_in_its_first_check(catalog, publish):
    publish("127.0.0.1:1").wait().end(signal.SIGKILL)
    begun = catalog.folder + ".begun"
    publisher = publish("127.0.0.1:1", "--check", f"touch {begun}; sleep 60")
    holdfast.until(lambda: os.path.exists(begun), "a check that runs")
    assert publisher.is_there()
    assert publisher.end() == 0
    assert not publisher.is_there()


def test_a_name_that_a_living_process_has_is_refused(catalog, upstream, publish):
    publisher = publish("127.0.0.1:1").wait()
    second = publish("127.0.0.1:2", "--", "touch", catalog.folder + "/ran")
    assert holdfast.wait_exit(second.process) == 1
    assert f"is published by process {publisher.process.pid}, which is alive" in second.said()
    assert not os.path.exists(catalog.folder + "/ran")
    with open(publisher.entry) as file:
        assert file.readline().startswith("127.0.0.1:1 ")
    assert publisher.process.poll() is None and publisher.end() == 0


def test_another_hosts_entry_is_replaced_when_it_has_expired(catalog, publish):
    catalog.publish("s", "one", "127.0.0.1:9 ttl=1.5\n# holdfastctl publish pid=1 begun=1 space=1 boot=b host=far")
    publisher = publish("127.0.0.1:1")
    publisher.wait_said("is another's, of host far, which may be alive")
    publisher.wait_said("published 127.0.0.1:1")
    assert publisher.said().count("not published") == 1
    catalog.publish("s", "one", "127.0.0.1:9")  # somebody else's, for ever
    assert publisher.end() == 0 and publisher.is_there(), "not ours to take out"
    refused = publish("127.0.0.1:1")
    assert holdfast.wait_exit(refused.process) == 1 and "remove it first" in refused.said()


def test_signals_reach_the_command_and_its_exit_code_is_told(daemon, catalog, upstream, publish):
    server = upstream(named("good"))
    one = follow(daemon, catalog)
    out = catalog.folder + "/out"
    script = f'trap "echo hup >>{out}" HUP; trap "ls {catalog.folder}/s >>{out}; exit 7" TERM; echo ready >>{out}; ' \
        'while :; do sleep 0.05; done'
    publisher = publish(server.address, "--", "sh", "-c", script).wait()
    holdfast.until(lambda: os.path.exists(out), "the command")
    publisher.process.send_signal(signal.SIGHUP)
    holdfast.until(lambda: "hup" in open(out).read(), "SIGHUP passed on")
    assert publisher.is_there() and listed(one) == [server.address], "a command that reloads lives on"
    assert publisher.end() == 7
    assert open(out).read() == "ready\nhup\n", "withdrawn before the command is told"
    assert listed(one) == []


@pytest.mark.parametrize("end, code", [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)])
def test_the_entry_goes_with_the_command(catalog, publish, end, code):
    go = catalog.folder + "/go"
    publisher = publish("127.0.0.1:1", "--", "sh", "-c", f"until test -e {go}; do sleep 0.02; done; {end}").wait()
    open(go, "w").close()
    assert holdfast.wait_exit(publisher.process) == code and not publisher.is_there()
    missing = publish("127.0.0.1:1", "--", "/no/such/program")
    assert holdfast.wait_exit(missing.process) == 127 and not missing.is_there()


def test_it_is_published_while_the_check_passes(daemon, catalog, upstream, publish):
    server = upstream(named("good"))
    one = follow(daemon, catalog)
    ok, hang = catalog.folder + "/ok", catalog.folder + "/hang"
    check = f"while test -e {hang}; do sleep 0.1; done; test -e {ok}"
    publisher = publish(server.address, "--check", check, "--check-every", "0.3")
    publisher.wait_said("the check fails (exit 1)")
    assert not publisher.is_there()
    for _ in range(2):
        open(ok, "w").close()
        publisher.wait()
        holdfast.until(lambda: listed(one) == [server.address], "followed")
        os.unlink(ok)
        publisher.wait(False)
        assert listed(one) == []
    assert publisher.said().count("the check fails") == 3
    open(ok, "w").close()
    publisher.wait()
    open(hang, "w").close()
    publisher.wait_said("the check fails (killed by signal 9)")
    publisher.wait(False)
    os.unlink(hang)
    publisher.wait()
    assert publisher.end() == 0


def test_the_catalog_is_moved_away_and_back_and_made_again(daemon, catalog, upstream, publish):
    server = upstream(named("good"))
    one = follow(daemon, catalog)
    publisher = publish(server.address, "--every", "0.1").wait()
    one.wait_connected("s")
    os.rename(catalog.folder, catalog.folder + "-moved")
    publisher.wait_said("not published")
    assert publisher.said().count("not published") == 1
    os.mkdir(catalog.folder)
    publisher.wait()
    publisher.wait_said("published again")
    holdfast.until(lambda: listed(one) == [server.address], "made again")
    subprocess.run(["rm", "-r", catalog.folder], check=True)
    os.rename(catalog.folder + "-moved", catalog.folder)
    holdfast.until(lambda: publisher.is_there() and listed(one) == [server.address], "back")
    os.unlink(publisher.entry)
    publisher.wait()
    assert publisher.end() == 0 and not publisher.is_there()


def mount(*words):
    return subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_it_outlives_a_mount_that_is_read_only_or_full_or_gone(daemon, catalog, upstream, publish):
    server = upstream(named("good"))
    tmpfs = ("mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "none", catalog.folder)
    if not mount(*tmpfs):
        pytest.skip("no mounts here")
    try:
        one = follow(daemon, catalog)
        publisher = publish(server.address, "--every", "0.1").wait()
        one.wait_connected("s")
        assert mount("mount", "-o", "remount,ro", catalog.folder)
        publisher.wait_said("Read-only file system; tried again")
        assert mount("mount", "-o", "remount,rw", catalog.folder)
        publisher.wait_said("published again")
        with open(catalog.folder + "/full", "wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(bytes(4096))
        os.rename(publisher.entry, publisher.place + "/.kept")  # its space, too
        publisher.wait_said("No space left on device; tried again")
        assert os.listdir(publisher.place) in ([".kept"], [".kept", f".one.{publisher.process.pid}.tmp"])
        os.unlink(catalog.folder + "/full")
        publisher.wait_said("published again", 2)
        assert mount("umount", catalog.folder), "nothing keeps the catalog busy"
        publisher.wait_said("published again", 3)  # in what is beneath
        assert mount(*tmpfs)
        publisher.wait_said("published again", 4)
        holdfast.until(lambda: listed(one) == [server.address], "followed")
        assert publisher.said().count("not published") == 2
        assert publisher.end() == 0 and not publisher.is_there()
    finally:
        mount("umount", "-l", catalog.folder)
