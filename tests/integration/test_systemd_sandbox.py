"""The unit's sandbox: its score, and that what is promised works inside it."""
import json
import re
import resource

import pytest

import asking
import box as box_module
import holdfast

pytestmark = box_module.MARKS
HTTP_PORT = 8080
CLIENT = "client:program.service"  # a path may hold what separates the fields of /proc/PID/cgroup

# Answers every question for an IPv4 address with 127.0.0.1.
NAME_SERVER = """
import socket
names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind(("127.0.0.1", 53))
while True:
    question, asker = names.recvfrom(512)
    end = question.index(0, 12) + 5
    found = question[end - 3] == 1
    answer = bytes([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]) if found else b""
    counts = bytes([0, 1, 0, found, 0, 0, 0, 0])
    names.sendto(question[:2] + bytes([0x81, 0x80]) + counts + question[12:end] + answer, asker)
"""

# What lookup scripts do: name resolution, HTTP, temporary files, other languages, some of which compile as they run.
SCRIPT = f"""#!/bin/bash
set -euo pipefail
aside=$(mktemp /tmp/lookup.XXXXXX)
trap 'rm -f "$aside"' EXIT
getent ahostsv4 catalog.test >/dev/null
curl -sSf -o "$aside" http://catalog.test:{HTTP_PORT}/address
ip route get 127.0.0.1 >/dev/null
nice -n 5 true
ulimit -n 256
python3 -c '
import mmap, socket
socket.getaddrinfo("localhost", 80)
mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)'
cat "$aside"
"""


@pytest.fixture(scope="module")
def network(box):
    """A name server, and a web server that knows where things are.  With loopback addresses alone getaddrinfo() would
    say that this host has neither IPv4 nor IPv6."""
    box.do("ip", "address", "add", "192.0.2.1/32", "dev", "lo")
    box.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    box.write("/srv/address", "")
    box.begin("names", "python3", "-c", NAME_SERVER, user="root")
    box.begin("web", "python3", "-m", "http.server", "-b", "127.0.0.1", "-d", "/srv", str(HTTP_PORT))
    page = f"http://127.0.0.1:{HTTP_PORT}/address"
    holdfast.until(lambda: box.run("curl", "-sf", page).returncode == 0, "a web server")
    return box


@pytest.mark.parametrize("unit", ["holdfast.service", "holdfast@web.service"])
def test_score(box, unit, figure):
    out = box.do("systemd-analyze", "security", "--no-pager", "--threshold=15", unit)
    figure(f"{unit} {re.search('level for .*: ([0-9.]+)', out).group(1)}")


def test_units_are_well_formed(box):
    for path in ("/usr/lib/systemd/system/holdfast.service", "/usr/lib/systemd/system/holdfast@.service",
                 "/usr/share/doc/holdfast/holdfast-cache.socket"):
        done = box.run("systemd-analyze", "verify", "--man=no", path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), path
    box.do("env", "XDG_RUNTIME_DIR=/tmp", "systemd-analyze", "--user", "verify", "--man=no",
           "/usr/lib/systemd/user/holdfast.service")


def test_script_and_traffic(network, figure):
    """A lookup script that uses the network, and the worker's death under load."""
    box, load = network, network.load()
    box.write("/srv/address", load.address + "\n")
    box.write("/usr/local/libexec/find", SCRIPT, 0o755)
    box.configure('s: { lookup: { script = "/usr/local/libexec/find"; }; listen: { mode = "0666"; }; };')
    box.start_anew()
    load.start("/run/holdfast/s.sock", 1, bulk=2, ping=8, ask=8, half=2)
    load.wait_running()
    for _ in range(3):
        before = box.status()["worker_restarts"]
        box.kill(box.status()["worker_pid"])
        holdfast.until(lambda: box.status()["worker_restarts"] > before, "another worker")
    result = load.result()
    assert result["errors"] == 0
    assert box.services()["s"]["lookup"].startswith("script"), box.services()["s"]
    figure(f"{result['bytes'] >> 20} MiB over 3 kills, longest stall {result['stall_worst_ms']:.0f} ms")


@pytest.fixture
def secret(box):
    """A file that the daemon's user cannot read, as a credential of the unit."""
    box.write("/etc/token", "sesame\n", 0o600)
    box.drop_in("LoadCredential=token:/etc/token")
    yield "credential:token"
    box.drop_in()


def test_lookup_programs(network, secret):
    """One that comes with us; it reads the secret for each look."""
    box = network
    box.write("/srv/address", "127.0.0.1:9\n")
    page = f"http://catalog.test:{HTTP_PORT}/address"
    box.configure('s: { lookup: { script = "/usr/libexec/holdfast/lookup-http";'
                  f'args = ["--url", "{page}", "--token-file", "{secret}"]; }}; }};')
    box.start_anew()
    for _ in range(2):
        answer = box.control("lookup s")
        assert answer["ok"] and "127.0.0.1:9" in str(answer), answer
        box.do("systemctl", "restart", box_module.UNIT)
        box.status()


def test_shared_mode(box, figure):
    """The worker's death while messages pass."""
    ask = box.ask()
    box.configure(asking.shared("s", box.echo(), 'listen: { mode = "0666"; };', "line"))
    box.start_anew()
    ask.start("/run/holdfast/s.sock", "line", clients=16, depth=4, seconds=60).wait_running()
    box.kill(box.status()["worker_pid"])
    holdfast.until(lambda: box.status()["worker_restarts"] == 1, "another worker")
    result = ask.finish().result()
    assert result["lost"] == result["wrong"] == 0
    figure(f"{result['right']} answers over a kill, {result['max_ms']:.0f} ms the slowest")


def test_spool(box):
    """The directory is made where the sandbox permits it; a restart, which hands the memory over, and a stop lose and
    double nothing."""
    box.configure(asking.shared("s", "127.0.0.1:9", 'replies = "none"; listen: { mode = "0666"; }; spool: { path = '
                                '"/var/lib/holdfast/spool/s"; fsync = "always"; };', "line"))
    box.start_anew()

    def say(text):
        with box.client("s") as client:
            client.send(text)
            client.shutdown()
            assert client.read_all() == b"accepted\n"
        return box.services()["s"]["spool"]["messages"]

    assert say(b"one\ntwo\n") == 2
    pid = box.main_pid()
    box.do("systemctl", "restart", "holdfast")
    box.wait_restart(pid)
    assert say(b"three\n") == 3
    box.do("systemctl", "stop", "holdfast")
    box.do("systemctl", "start", "holdfast")
    assert say(b"four\n") == 4
    assert box.do("stat", "-c", "%a %U", "/var/lib/holdfast/spool/s").split() == ["700", "holdfast"]


def test_host_name(network):
    address = network.echo()
    network.configure(holdfast.fixed("s", address.replace("127.0.0.1", "db.test")))
    network.start_anew()
    with network.client("s") as client:
        assert client.ask("hello") == b"hello\n"


def begin_client(box):
    """A client with a user and a unit, which stays."""
    box.begin(CLIENT, "socat", "UNIX:/run/holdfast/first.sock", "EXEC:sleep 1000")
    holdfast.until(lambda: box.services()["first"]["held"] == 1, "a client")


@pytest.fixture
def watched(box):
    """A function that starts the daemon with these settings of the unit, and tells what it knows of a client."""
    def start(*settings):
        box.drop_in(*settings)
        box.configure(holdfast.fixed("first", "127.0.0.1:9", 'listen: { mode = "0666"; };'))
        box.start_anew()
        begin_client(box)
        [client] = box.control("clients first")["clients"]
        box.do("systemctl", "stop", CLIENT)
        return client
    yield start
    box.drop_in()


def test_who_a_client_is(watched):
    client = watched()
    assert (client["user"], client["unit"]) == ("client", CLIENT)


@pytest.mark.parametrize("setting, user, unit", [("ProtectProc=invisible", "client", ""),
                                                 ("PrivateUsers=yes", "unknown", CLIENT)])
def test_why_the_sandbox_leaves_out(watched, setting, user, unit):
    """When this fails, systemd or the kernel has learned something, and the unit can be stricter."""
    client = watched(setting)
    assert (client["user"], client["unit"] or "") == (user, unit)


def test_clients_by_unit(box):
    box.configure(holdfast.fixed("first", "127.0.0.1:9", 'listen: { mode = "0666"; };'))
    box.start_anew()
    begin_client(box)
    answer = json.loads(box.do("holdfastctl", "--json", "clients", "--by", "unit"))
    assert CLIENT in json.dumps(answer), answer
    box.do("systemctl", "stop", CLIENT)


def test_group_of_a_socket(box):
    """Another group needs SupplementaryGroups=, as the error says; with it, it works."""
    box.configure(holdfast.fixed("s", "127.0.0.1:9", 'listen: { group = "www-data"; };'))
    try:
        box.drop_in("Restart=no")
        box.do("systemctl", "stop", "holdfast.service")
        box.do("systemctl", "start", "holdfast.service")
        holdfast.until(lambda: "SupplementaryGroups=" in box.journal(), "what to do, in the journal")
        box.drop_in("SupplementaryGroups=www-data")
        box.start_anew()
        assert box.do("stat", "-c", "%U %G %a", "/run/holdfast/s.sock") == "holdfast www-data 660"
        box.do("systemd-analyze", "security", "--no-pager", "--threshold=15", "holdfast.service")
    finally:
        box.drop_in()


def test_limits(started, figure):
    """As many open files as the unit says, or as whoever booted the box may give."""
    with open(started.path(f"/proc/{started.main_pid()}/limits")) as file:
        soft, hard = next(line for line in file if line.startswith("Max open files")).split()[3:5]
    assert int(soft) == int(hard) >= min(524288, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert started.show("FileDescriptorStoreMax") == "2048"
    wmem = started.do("cat", "/proc/sys/net/core/wmem_max", user="holdfast")
    figure(f"open files {soft} (hard {hard}), wmem_max {wmem}")
