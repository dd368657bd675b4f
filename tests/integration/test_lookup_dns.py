"""lookup-dns, with a real name server (NSD)."""
import socket

import pytest

import holdfast
import lookups
from lookups import failed, found
from nsd import Nsd

pytestmark = pytest.mark.plain

SRV = "_s._tcp.example.org"
RECORDS = ["_s._tcp 60 SRV 10 5 5432 db1", "_s._tcp 60 SRV 10 0 5432 db2", "_s._tcp 60 SRV 20 1 5433 db3",
           "alias 60 CNAME _s._tcp", "db1 60 A 10.0.0.1", "db2 60 AAAA 2001:db8::2", "db2 60 A 10.0.0.2",
           "db3 60 A 10.0.0.3", "away 60 SRV 0 0 0 .", "lost 60 SRV 0 0 80 nobody", "text 60 TXT nothing",
           "half 60 SRV 1 1 80 nobody", "half 60 SRV 2 1 80 db1", "many 60 A 10.1.0.1", "many 60 A 10.1.0.2",
           "many 60 AAAA 2001:db8::1", *[f"full 60 A 10.2.{number // 8}.{number % 8 + 1}" for number in range(300)],
           "here 60 A 127.0.0.1"]


@pytest.fixture
def nsd(folder):
    yield from holdfast.each_ends(lambda **options: Nsd(folder, **options), Nsd.stop)


@pytest.fixture(scope="module")
def server(module_folder):
    one = Nsd(module_folder)
    try:
        yield one.start(*RECORDS)
    finally:
        one.stop()


@pytest.fixture
def deaf():
    """The address of a name server that does not answer."""
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    with one:
        yield f"127.0.0.1:{one.getsockname()[1]}"


def test_srv_records_have_priority_and_weight(server):
    lines = ["10.0.0.1:5432 priority=10 weight=5", "[2001:db8::2]:5432 priority=10 weight=0",
             "10.0.0.2:5432 priority=10 weight=0", "10.0.0.3:5433 priority=20 weight=1"]
    ask = ["lookup-dns", "--server", server.address]
    assert found(*ask, SRV) == lines
    assert found(*ask, "_%s._tcp.example.org") == lines
    assert found(*ask, "alias.example.org") == lines
    assert found(*ask, "--tcp", SRV) == lines
    assert found(*ask, "-4", SRV) == [line for line in lines if "2001" not in line]
    assert found(*ask, "half.example.org") == ["10.0.0.1:80 priority=2 weight=1"]


def test_addresses_of_a_name_with_a_port(server):
    ask = ["lookup-dns", "--server", server.address, "--port", "80"]
    assert found(*ask, "many.example.org") == ["[2001:db8::1]:80", "10.1.0.1:80", "10.1.0.2:80"]
    assert found(*ask, "-6", "many.example.org") == ["[2001:db8::1]:80"]
    assert len(found(*ask, "full.example.org")) == 64, "what is too long for UDP is asked over TCP"


def test_it_says_why_there_is_none(server):
    ask = ["lookup-dns", "--server", server.address]
    assert failed(*ask, "none.example.org") == "none.example.org has no SRV record"
    assert failed(*ask, "text.example.org") == "text.example.org has no SRV record"
    assert failed(*ask, "--port", "1", "text.example.org") == "text.example.org has no address"
    assert "there is no such service" in failed(*ask, "away.example.org")
    assert "no target of its SRV records has an address" in failed(*ask, "lost.example.org")
    assert failed(*ask, "example.com").endswith("it answers REFUSED")
    assert "empty" in failed(*ask, "a..b")
    assert failed(*ask, "--port", "0", "many.example.org").endswith("port is not a whole number from 1 to 65535: 0")
    cause = failed("lookup-dns", "--server", "ns.example.org", SRV)
    assert cause.endswith("name servers are given by their addresses")


def test_a_server_that_does_not_answer_is_not_the_end(server, deaf):
    answer = lookups.Answer("lookup-dns", "--timeout", "1", "--server", f"{deaf},{server.address}", SRV)
    assert answer.code == 0 and len(answer.lines) == 4 and answer.took < 5
    assert failed("lookup-dns", "--timeout", "0.5", "--server", deaf, SRV) == f"{deaf}: no answer within 0.5 s"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        refusing = f"127.0.0.1:{nobody.getsockname()[1]}"
        assert failed("lookup-dns", "--tcp", "--server", refusing, SRV) == f"{refusing}: Connection refused"


def test_over_tls(nsd, folder):
    authority, other = lookups.Authority(folder), lookups.Authority(folder, "other")
    one = nsd(certificate=authority.issue("server")).start(*RECORDS)
    ask = ["lookup-dns", "--server", one.tls_address, SRV]
    assert len(found(*ask, "--ca", authority.ca)) == 4
    assert "its certificate is not accepted" in failed(*ask, "--ca", other.ca)
    assert "its certificate is not accepted" in failed(*ask, "--ca", authority.ca, "--tls-name", "ns.example.org")


def test_a_watch_looks_again_when_the_time_to_live_is_over(nsd):
    one = nsd().start("_s._tcp 1 SRV 0 1 80 a", "a 60 A 10.0.0.1")
    lists = lookups.Watch("lookup-dns", "--server", one.address, "--refresh", "100", SRV)
    try:
        lists.until(["10.0.0.1:80 priority=0 weight=1"])
        one.say("_s._tcp 1 SRV 0 1 80 b", "b 60 A 10.0.0.2")
        lists.until(["10.0.0.2:80 priority=0 weight=1"])
        one.say()
        lists.until([])
    finally:
        lists.stop()


def test_the_daemon_follows_srv_records(nsd, daemon, upstream):
    a, b = upstream(), upstream()
    one = nsd().start(f"_s._tcp 1 SRV 0 1 {a.port} here", "here 60 A 127.0.0.1")
    words = f'["--server", "{one.address}", "_%s._tcp.example.org"]'
    script = lookups.program("lookup-dns")
    service = daemon(f's: {{ lookup: {{ script = "{script}"; args = {words}; refresh = 0.3; }}; }};')
    service.wait_connected("s")
    assert service.status("s")["address"] == a.address
    one.say(f"_s._tcp 1 SRV 0 1 {b.port} here", "here 60 A 127.0.0.1")
    service.wait_status("s", address=b.address)
