"""A lookup no longer lists the endpoint of clients' own connections: who needs its own no more shares again at once,
and of the others on_withdrawn decides.  Or an operator drains the service, or closes it."""
import pytest

from asking import LOST, Resp
from holdfast import until
from lookup_script import Source
from test_withdrawn_session import REFRESH
from test_withdrawn_shared import wait_withdrawn

MORE = 'mode = "shared"; framing = "resp"; own_linger = 3600; retry: { delay = 0.2; }; '


@pytest.fixture
def begin(daemon, folder, redis):
    def make(policy):
        servers = redis(), redis()
        for server, name in zip(servers, "ab"):
            server.cli("SET", "name", name)
        source = Source(folder, servers[0].address)
        one = daemon(source.service(f"refresh = {REFRESH};", f'{MORE} on_withdrawn = "{policy}"; '))
        one.wait_connected("s")
        return one, source, servers
    return make


@pytest.mark.parametrize("policy", ["keep", "drain", "drop"])
def test_the_lists_endpoint_changes(begin, policy):
    one, source, (a, b) = begin(policy)
    with Resp(one.socket("s")) as resting, Resp(one.socket("s")) as subscriber:
        assert resting.ask("SELECT", 1) == "OK"
        assert resting.ask("SELECT", 0) == "OK"
        assert subscriber.ask("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        assert one.status("s")["own"] == 2
        source.say(b.address)
        wait_withdrawn(one, a.address)
        if policy != "keep":
            until(lambda: one.status("s")["own"] == (policy == "drain"), "those who shared again, or were closed")
            one.wait_status("s", address=b.address, up=True)
        assert resting.ask("GET", "name") == (b"a" if policy == "keep" else b"b")
        if policy == "drop":
            assert subscriber.at_end()
        else:
            assert a.cli("PUBLISH", "news", "hello") == "1"
            assert subscriber.reply() == [b"message", b"news", b"hello"]


def test_who_needs_it_no_more_after_the_shared_one_has_moved(begin):
    one, source, (_, b) = begin("drain")
    with Resp(one.socket("s")) as client:
        assert client.ask("SELECT", 1) == "OK"
        source.say(b.address)
        one.wait_status("s", address=b.address, up=True)
        assert client.ask("GET", "name") is None
        assert client.ask("SELECT", 0) == "OK"
        until(lambda: one.status("s")["own"] == 0, "one that shares again")
        assert client.ask("GET", "name") == b"b"


def test_a_drained_service_gives_the_clients_that_it_has_their_own(begin):
    one = begin("keep")[0]
    with Resp(one.socket("s")) as has, Resp(one.socket("s")) as wants:
        assert has.ask("MULTI") == "OK"
        assert wants.ask("GET", "name") == b"a"
        assert one.ctl("drain", "s").returncode == 0
        for client in has, wants:
            assert client.ask("MULTI" if client is wants else "PING") in ("OK", "QUEUED")
            assert len(client.ask("EXEC")) == (client is has)
            assert client.ask("GET", "name") == b"a"
    one.wait_status("s", up=False, clients=0)


def test_a_closed_service_leaves_who_has_its_own(begin):
    one = begin("keep")[0]
    with Resp(one.socket("s")) as has, Resp(one.socket("s")) as wants:
        assert has.ask("MULTI") == "OK"
        assert wants.ask("GET", "name") == b"a"
        assert one.ctl("close", "s").returncode == 0
        assert has.ask("GET", "name") == "QUEUED"
        assert has.ask("EXEC") == [b"a"]
        assert wants.ask("MULTI") == LOST[1:]
        assert wants.at_end()
        assert one.ctl("close", "s", "--kill").returncode == 0
        assert has.at_end()
