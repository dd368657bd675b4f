"""A catalog in which others have put all sorts of things: what is good is used, each oddity is named once, and
nothing takes long or grows."""
import os
import socket
import stat
import subprocess
import threading
import time

import holdfast
import pytest
from upstream import named

GOOD = "used"
OUT = "a link that leads out of the catalog"
IRREGULAR = "not a regular file"
HIDDEN = "hidden"  # nobody is told


def text(data, mode=0o644):
    def make(path, good):
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else data(good).encode())
        os.chmod(path, mode)
    return make


def link(target):
    return lambda path, good: os.symlink(target, path)


def owned(uid):
    def make(path, good):
        text(lambda good: good + "\n")(path, good)
        os.chown(path, uid, 0)
    return make


def fifo(path, good):
    os.mkfifo(path)


def unix_socket(path, good):
    with socket.socket(socket.AF_UNIX) as one:
        os.chdir(os.path.dirname(path))
        one.bind(os.path.basename(path))
        os.chdir("/")


def device(path, good):
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero


def sparse(path, good):
    text(lambda good: good + "\n")(path, good)
    os.truncate(path, 1 << 30)


def hard_link(path, good):
    text(lambda good: good + "\n")(path + ".tmp", good)
    os.link(path + ".tmp", path)


def moved_time(seconds):
    def make(path, good):
        text(lambda good: good + " ttl=30\n")(path, good)
        os.utime(path, (time.time() + seconds,) * 2)
    return make


def immutable(path, good):
    text(lambda good: good + "\n")(path, good)
    subprocess.run(["chattr", "+i", path], check=False, stderr=subprocess.DEVNULL)  # not on each file system


def mounted(path, good):
    """A file of elsewhere, mounted over one: to mount needs root, and root's word counts."""
    outside = os.path.join(os.path.dirname(path), "../../mounted")
    for name in (path, outside):
        text(lambda good: good + "\n")(name, good)
    subprocess.run(["mount", "--bind", outside, path], check=False, stderr=subprocess.DEVNULL)


def line(tail):
    return text(lambda good: good + tail + "\n")


# A name, how it is made, and what becomes of it.
KINDS = (
    ("plain", line(""), GOOD),
    ("two-lines", text(lambda good: good + "\n10.0.0.9:1\n"), GOOD),
    ("with-words", line(" ttl=30 priority=0 weight=1"), GOOD),
    ("group-writable", text(lambda good: good + "\n", 0o664), GOOD),
    ("set-uid-and-sticky", text(lambda good: good + "\n", 0o7744), GOOD),
    ("hard-link", hard_link, GOOD),
    ("future", moved_time(1e6), GOOD),
    ("immutable", immutable, GOOD),
    ("mounted", mounted, GOOD),
    ("link-beneath", link("plain"), GOOD),
    ("link-to-hidden", link("..data/one"), GOOD),
    ("white space\tand \u00fcmlaut", line(""), GOOD),
    ("n\newline\x1b[31mred\x07", line(""), GOOD),
    (b"invalid-\xff\xfe-utf8", line(""), GOOD),
    ("l" * 255, line(""), GOOD),
    (b"cut-" + b"\xc3\xa4" * 40, line(""), GOOD),
    ("-rf", line(""), GOOD),
    ("..data", lambda path, good: (os.mkdir(path), line("")(path + "/one", good)), HIDDEN),
    ("...", line(""), HIDDEN),
    (".hidden", line(""), HIDDEN),
    ("backup~", line(""), HIDDEN),
    ("aside.tmp", line(""), HIDDEN),
    ("link-out", link("../../good"), OUT),
    ("link-absolute", link("/etc/passwd"), OUT),
    ("link-proc", link("/proc/self/environ"), OUT),
    ("link-device", link("/dev/zero"), OUT),
    ("link-circle", link("link-circle-2"), "links in a circle"),
    ("link-circle-2", link("link-circle"), "links in a circle"),
    ("link-nowhere", link("nobody"), "a link to nothing"),
    ("link-to-directory", link("..data"), IRREGULAR),
    ("fifo", fifo, IRREGULAR),
    ("socket", unix_socket, IRREGULAR),
    ("device", device, IRREGULAR),
    ("directory", lambda path, good: os.mkdir(path), IRREGULAR),
    ("sparse-1-gib", sparse, "larger than 4 KiB"),
    ("one-byte-too-large", text(lambda good: good + "\n" + (4096 - len(good)) * "x"), "larger than 4 KiB"),
    ("empty", text(b""), "empty"),
    ("half-a-line", text(lambda good: good), "no newline at its end"),
    ("newline-alone", text(b"\n"), "the first line is blank"),
    ("nul", text(lambda good: good + "\0\n"), "a NUL byte in it"),
    ("crlf", line("\r"), "a carriage return in it (lines end with a newline alone)"),
    ("byte-order-mark", text(lambda good: "\ufeff" + good + "\n"), "a byte order mark at its start"),
    ("binary", text(bytes(range(1, 13)) + b"\n"), None),
    ("no-port", text(b"10.0.0.1\n"), "no port"),
    ("absurd-ttl", line(" ttl=1e99"), "ttl= is not a number of seconds"),
    ("absurd-weight", line(" weight=99999"), "weight= is not a whole number up to 65535"),
    ("absurd-priority", line(" priority=-1"), "priority= is not a whole number up to 65535"),
    ("absurd-word", line(" $(reboot)"), "behind the address there is something else than ttl=, priority=, weight="),
    ("old", moved_time(-1e6), "expired"),
    ("world-writable", text(lambda good: good + "\n", 0o666), "writable by everybody"),
    ("another-owner", owned(12345), "owned by user 12345, who is not in lookup.owners"),
    ("allowed-owner", owned(54321), GOOD),
)


@pytest.fixture
def place(folder):
    """The service's directory, and an end without what cannot be removed."""
    path = os.path.join(folder, "catalog/s")
    os.makedirs(path)
    yield path
    for command in (["chattr", "-f", "-i", path + "/immutable"], ["umount", "-q", path + "/mounted"]):
        subprocess.run(command, check=False, stderr=subprocess.DEVNULL)


def service(place):
    return f's: {{ lookup: {{ catalog = "{os.path.dirname(place)}"; owners = ["54321"]; }}; warm = 1; }};\n'


def make(place, good):
    """All kinds; each good one has an address of its own, which is the same server's."""
    for number, (name, maker, _) in enumerate(KINDS):
        path = os.path.join(os.fsencode(place), os.fsencode(name))
        maker(path if isinstance(name, bytes) else os.fsdecode(path), f"127.0.1.{number + 1}:{good}")


def resident(one):
    with open(f"/proc/{one.worker()}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


@pytest.mark.skipif(os.geteuid() != 0, reason="makes devices and files of others")
def test_each_kind(daemon, place, upstream, figure):
    server = upstream(named("good"), host="0.0.0.0")
    make(place, server.port)
    one = daemon(service(place))
    one.wait_connected("s")
    with one.client("s") as client:
        assert client.ask("x") == b"good x\n"
    wanted = {f"127.0.1.{number + 1}:{server.port}" for number, (name, _, fate) in enumerate(KINDS)
              if fate == GOOD and not str(name).startswith("link-")}
    wanted.add(f"127.0.1.{[kind[0] for kind in KINDS].index('..data') + 1}:{server.port}")
    assert {endpoint["address"] for endpoint in one.command("endpoints s")["endpoints"]} == wanted
    told = {entry["name"]: entry["reason"] for entry in one.command("endpoints s")["passed_over"]}
    odd = [(name, fate) for name, _, fate in KINDS if fate not in (GOOD, HIDDEN)]
    assert sorted(told) == sorted(name for name, _ in odd)
    for name, fate in odd:
        assert fate in (None, told[name]), name
        one.wait_log(f"entry {name} is ignored")
    assert "\x1b" not in one.ctl("endpoints", "s").stdout + one.log()
    os.utime(place + "/plain")
    one.kill_worker()
    one.wait_connected("s")
    assert all(one.log().count(f"entry {name} is ignored") == 1 for name, _ in odd)
    figure(f"{len(KINDS)} kinds, {len(wanted)} addresses used; {resident(one):.1f} MiB resident")


class Pings:
    """The longest that the worker's loop kept an answer back meanwhile, in milliseconds."""

    def __init__(self, one):
        self.one, self.over, self.slowest = one, threading.Event(), 0

    def ask(self):
        with holdfast.Client(self.one.control) as control:
            while not self.over.is_set():
                begin = time.monotonic()
                assert control.ask("ping").startswith(b'{"ok":')
                self.slowest = max(self.slowest, (time.monotonic() - begin) * 1e3)
                self.over.wait(0.0005)

    def __enter__(self):
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def fill(place, count):
    """Names that are hidden, and names that sort behind the good ones."""
    for form in (".junk-%06g.tmp", "junk-%06g"):
        subprocess.run(f"seq -f {form} {count // 2} | xargs touch", shell=True, cwd=place, check=True)


@pytest.mark.plain
def test_very_many_files_beside_a_good_one(daemon, place, upstream, catalog, figure):
    server, second = upstream(named("first")), upstream(named("second"))
    catalog.publish("s", "good-1", server.address)
    one = daemon(service(place))
    one.wait_connected("s")
    before = resident(one)
    with Pings(one) as filling:
        fill(place, 100000 if holdfast.LONG else 6000)
    begin = time.monotonic()
    with Pings(one) as looking:
        catalog.publish("s", "good-0", second.address)
        holdfast.until(lambda: len(one.command("endpoints s")["endpoints"]) == 2, "the new address")
        took = time.monotonic() - begin
        for _ in range(5):
            catalog.publish("s", "good-0", second.address)
            assert len(one.command("lookup s")["addresses"]) == 2
    one.kill_worker()
    one.wait_connected("s")
    holdfast.until(lambda: len(one.command("endpoints s")["endpoints"]) == 2, "both addresses after a death")
    answer = one.command("endpoints s")
    reason = "there are too many: the first 1024 by name are looked at"
    assert {"service": "s", "name": "(others)", "reason": reason} in answer["passed_over"]
    assert one.log().count("entry (others) is ignored") == 1
    after = resident(one)
    figure(f"an answer waited for {filling.slowest:.1f} ms at most while the files were made, "
           f"{looking.slowest:.1f} ms then; the new address {took * 1e3:.0f} ms; "
           f"{before:.1f} MiB resident before, {after:.1f} MiB after")
    assert after - before < 8 or holdfast.SANITIZED


def test_a_directory_that_becomes_a_link_out_or_everybodys(daemon, place, upstream, catalog):
    server = upstream(named("good"))
    catalog.publish("s", "one", server.address)
    one = daemon(service(place))
    one.wait_connected("s")
    os.chmod(place, 0o777)
    answer = one.command_raw("lookup s")
    assert not answer["ok"] and "writable by everybody, without the sticky bit" in answer["error"], answer
    os.chmod(place, 0o755)
    assert one.command("lookup s")["addresses"] == [server.address]
    os.rename(place, os.path.join(os.path.dirname(place), "../aside"))
    os.symlink("../aside", place)
    answer = one.command_raw("lookup s")
    assert not answer["ok"] and "s: " + OUT in answer["error"], answer
    assert one.status("s")["up"], "a failed lookup changes nothing"
