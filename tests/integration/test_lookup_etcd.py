"""lookup-etcd and publish-etcd, with a real etcd of three members."""
import os
import signal
import subprocess
import time

import pytest

import holdfast
import lookups
from etcd_cluster import Cluster
from lookups import failed, found

pytestmark = pytest.mark.plain


@pytest.fixture(scope="module")
def etcd(module_folder):
    one = Cluster(module_folder, 3)
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.fixture
def watch(etcd):
    def make(*arguments, service="s"):
        return lookups.Watch("lookup-etcd", "--server", etcd.servers(), *arguments, service=service)

    yield from holdfast.each_ends(make, lookups.Watch.stop)


@pytest.fixture
def publish(etcd):
    def make(*arguments, options=()):
        words = [lookups.program("publish-etcd"), "--server", etcd.servers(), "--ttl", "2", *options, *arguments]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=lookups.clean())

    yield from holdfast.each_ends(make, lambda one: (one.kill(), one.wait()))


def ask(etcd, service, *arguments):
    return found("lookup-etcd", "--server", etcd.servers(), *arguments, service=service)


def test_it_lists_what_is_under_the_service_s_keys(etcd):
    etcd.put("/holdfast/list/b", "10.0.0.2:80 priority=1 weight=0")
    etcd.put("/holdfast/list/a", "db.example.org:5432")
    etcd.put("/holdfast/list/c", "[2001:db8::1]:80")
    etcd.put("/holdfast/list2/a", "10.0.0.9:80")
    assert ask(etcd, "list") == ["db.example.org:5432", "10.0.0.2:80 priority=1 weight=0", "[2001:db8::1]:80"]
    assert ask(etcd, "list", "--oldest-first")[0] == "10.0.0.2:80 priority=1 weight=0"
    assert ask(etcd, "s", "--prefix", "/holdfast/list2/") == ["10.0.0.9:80"]
    assert failed("lookup-etcd", "--server", etcd.servers(), service="none") == "no key begins with /holdfast/none/"


@pytest.mark.parametrize("value", ["abort: all", "unix:/run/docker.sock", "10.0.0.1:99999", "10.0.0.1:80 ttl=3", "",
                                   "a\x1b[31m:80", "10.0.0.1:80 weight=-1"])
def test_what_no_endpoint_may_be_is_ignored(etcd, value):
    etcd.put("/holdfast/odd/bad", value)
    etcd.remove("/holdfast/odd/good")
    assert failed("lookup-etcd", "--server", etcd.servers(), service="odd").startswith("no entry is well-formed: ")
    etcd.put("/holdfast/odd/good", "10.0.0.3:80")
    assert ask(etcd, "odd") == ["10.0.0.3:80"]


def test_a_watch_sees_keys_come_go_and_expire(etcd, watch, figure):
    one = watch("--refresh", "300", service="seen")
    assert one.next() == []
    begun = time.monotonic()
    etcd.put("/holdfast/seen/a", "10.0.0.1:80")
    assert one.next() == ["10.0.0.1:80"]
    figure(f"a list {(one.at - begun) * 1000:.0f} ms after etcdctl put began")
    etcd.put("/holdfast/seen/b", "10.0.0.2:80", "--lease", etcd.lease(1))
    assert one.next() == ["10.0.0.1:80", "10.0.0.2:80"]
    assert one.next() == ["10.0.0.1:80"], "the lease has ended"
    etcd.remove("/holdfast/seen/a")
    assert one.next() == []
    assert one.lists.empty()


def test_a_watch_is_never_silent_for_longer_than_refresh(etcd, watch):
    etcd.put("/holdfast/silent/a", "10.0.0.1:80")
    one = watch("--refresh", "0.3", service="silent")
    first, at = one.next(), one.at
    assert [one.next() for _ in range(3)] == [first] * 3
    assert 0.8 < one.at - at < 4


def test_a_watch_ends_with_its_reader(etcd, watch):
    one = watch("--refresh", "300", service="silent")
    one.next()
    piped = subprocess.Popen([lookups.program("lookup-etcd"), "--watch", "--refresh", "300", "--server",
                              etcd.servers(), "silent"], stdout=subprocess.PIPE, env=lookups.clean())
    piped.stdout.readline()
    piped.stdout.close()
    assert holdfast.wait_exit(piped) == 1


def test_what_is_published_goes_with_the_publisher(etcd, publish, watch):
    lists = watch(service="pub")
    lists.until([])
    one = publish("pub", "10.0.0.1:80", "weight=3")
    lists.until(["10.0.0.1:80 weight=3"])
    one.terminate()
    assert holdfast.wait_exit(one) == 0
    lists.until([])
    one = publish("pub", "10.0.0.1:80")
    lists.until(["10.0.0.1:80"])
    one.kill()
    lists.until([])  # 2 s later
    one = publish("pub", "10.0.0.1:80", "--", "sh", "-c", "sleep 0.7; exit 7")
    lists.until(["10.0.0.1:80"])
    assert holdfast.wait_exit(one) == 7
    lists.until([])


def test_signals_are_passed_on_and_the_withdrawal_is_not_cut_short(etcd, publish, watch, folder):
    lists, flag = watch(service="told"), os.path.join(folder, "flag")
    lists.until([])
    one = publish("told", "10.0.0.1:80")
    lists.until(["10.0.0.1:80"])
    for number in signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
        one.send_signal(number)
    assert holdfast.wait_exit(one) == 0
    lists.until([])
    one = publish("told", "10.0.0.1:80", "--", "sh", "-c",
                  f"trap '' TERM; trap : HUP; trap 'exit 5' USR1; touch {flag}; while :; do sleep 0.05; done")
    lists.until(["10.0.0.1:80"])
    holdfast.until(lambda: os.path.exists(flag), "it listens for signals")
    one.send_signal(signal.SIGHUP)
    one.send_signal(signal.SIGTERM)
    lists.until([])
    assert one.poll() is None
    one.send_signal(signal.SIGUSR1)
    assert holdfast.wait_exit(one) == 5


def test_what_is_lost_is_published_again(etcd, publish):
    key = "/holdfast/again/10.0.0.1:80"
    publish("again", "10.0.0.1:80")
    for lose in (lambda entry: etcd.remove(key), lambda entry: etcd.ctl("lease", "revoke", f"{entry['lease']:x}")):
        entry = holdfast.until(lambda: etcd.entry(key), "it is published")
        lose(entry)
        holdfast.until(lambda: (etcd.entry(key) or entry)["create_revision"] > entry["create_revision"], "once more")


def test_it_is_published_while_its_check_succeeds(etcd, publish, watch, folder):
    flag = os.path.join(folder, "flag")
    lists = watch(service="checked")
    lists.until([])
    publish("checked", "10.0.0.1:80", options=["--check", f"test -e {flag}", "--check-every", "0.2"])
    for _ in range(2):
        open(flag, "w").close()
        lists.until(["10.0.0.1:80"])
        os.unlink(flag)
        lists.until([])


def test_with_credentials_from_files_over_tls(folder):
    authority, other = lookups.Authority(folder), lookups.Authority(folder, "other")
    cert, key = authority.issue("client", subject="/O=holdfast")
    named_cert, named_key = authority.issue("named")
    one = Cluster(folder, certificate=authority.issue("server"), client_ca=authority.ca, name="secure")
    one.ctl_options = ["--cacert", authority.ca, "--cert", cert, "--key", key]
    path = os.path.join(folder, "password")
    with open(path, "w") as file:
        file.write("secret\n")
    try:
        one.start().put("/holdfast/s/a", "10.0.0.1:80")
        server = ["lookup-etcd", "--server", one.servers()]
        ours = ["--ca", authority.ca, "--cert", cert, "--key", key]
        assert found(*server, *ours) == ["10.0.0.1:80"]
        assert "it has closed the connection" in failed(*server)
        assert "its certificate is not accepted" in failed(*server, "--ca", other.ca, "--cert", cert, "--key", key)
        assert "certificate" in failed(*server, "--ca", authority.ca)
        assert failed(*server, "--ca", path).startswith(f"{one.servers()}: --ca {path}: ")
        for words in (("user", "add", "root:secret"), ("user", "grant-role", "root", "root"), ("auth", "enable")):
            one.ctl(*words)
        assert "user name is empty" in failed(*server, *ours)
        logged_in = [*server, *ours, "--user", "root", "--password-file"]
        assert found(*logged_in, path) == ["10.0.0.1:80"]
        named = [*server, "--ca", authority.ca, "--cert", named_cert, "--key", named_key, "--user", "root"]
        assert "CommonName" in failed(*named, "--password-file", path), "etcd wants none with a login"
        assert found(*logged_in, "credential:password", CREDENTIALS_DIRECTORY=folder) == ["10.0.0.1:80"]
        assert "LoadCredential=password" in failed(*logged_in, "credential:password")
        assert failed(*logged_in, path + ".none").endswith("password.none: No such file or directory")
        with open(path, "w") as file:
            file.write("another\n")
        assert "invalid user ID or password" in failed(*logged_in, path)
    finally:
        one.stop()


def test_it_goes_on_without_the_leader_and_says_when_nobody_is_left(etcd, watch, figure):
    etcd.put("/holdfast/led/a", "10.0.0.1:80")
    one = watch("--refresh", "1", service="led")
    one.until(["10.0.0.1:80"])
    begun = time.monotonic()
    etcd.wait_leader().kill()
    assert ask(etcd, "led") == ["10.0.0.1:80"]
    figure(f"an answer {time.monotonic() - begun:.2f} s after the leader was killed")
    etcd.put("/holdfast/led/a", "10.0.0.2:80")
    one.until(["10.0.0.2:80"])
    for member in etcd.members:
        if member.process:
            member.process.send_signal(signal.SIGSTOP)
    cause = failed("lookup-etcd", "--server", etcd.servers(), "--timeout", "1", service="led")
    assert cause.startswith("none of 3 servers has answered: ") and "no answer within" in cause
    assert "Connection refused" in cause
    etcd.stop()
    code, cause = one.wait_end()
    assert code == 1 and "none of 3 servers has answered: " in cause
