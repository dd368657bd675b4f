"""What a hostile sentinel or name server answers a lookup program: bounded in time and size, told in one line."""
import concurrent.futures
import socket
import threading

import pytest

import holdfast
import lookups
from lookups import failed
from web import Web

pytestmark = pytest.mark.plain

NOT_REDIS = "its answer is not Redis's protocol"


@pytest.fixture
def sentinel(upstream):
    """sentinel(answer) answers each request with these bytes, and then says nothing more."""
    over = threading.Event()

    def make(answer):
        def serve(connection):
            while connection.recv(65536):
                connection.sendall(answer)
                if not answer.endswith(b"\n"):
                    over.wait(30)
        return upstream(serve).address

    yield make
    over.set()


@pytest.mark.parametrize("answer, cause", [
    (b"HTTP/1.1 400 Bad Request\r\n", NOT_REDIS),
    (b"*-1\r\n", "it watches no master m"),
    (b"$-1\r\n", "it watches no master m"),
    (b":7\r\n", "it watches no master m"),
    (b"*0\r\n", "it watches no master m"),
    (b"*3\r\n:1\r\n:2\r\n:3\r\n", "it watches no master m"),
    (b"*2\r\n*0\r\n:2\r\n", "not a host"),
    (b"*x\r\n", NOT_REDIS),
    (b"$99999999999\r\n", "its answer is too long"),
    (b"*99999999\r\n", "its answer is too long"),
    (b"*2\r\n" * 50, NOT_REDIS),
    (b"+" + b"a" * 70000 + b"\r\n", NOT_REDIS),
    (b"$10\r\nabc", "no answer within 1"),
    (b"*2\r\n$9\r\nlocal\nhst\r\n$2\r\n80\r\n", "not a host"),
    (b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n99999\r\n", "port is not a whole number"),
    (b"*2\r\n$9\r\n\xff27.0.0.1\r\n$2\r\n80\r\n", "not a host"),
    (b"-ERR \x1b[2Jno\r\n", "ERR ?[2Jno"),
    (b"-LOADING\r\n", "LOADING"),
])
def test_a_sentinel_that_says_anything(sentinel, answer, cause):
    assert cause in failed("lookup-sentinel", "--timeout", "1", "--server", sentinel(answer), "m")


@pytest.mark.parametrize("answer", [b"", b"\0" * 11, b"\xff" * 500, b"\x81\x80\0\1\0\1\0\0\0\0\xc0\x0c",
                                    b"\x81\x80" * 200])
def test_a_name_server_that_says_anything(answer):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(holdfast.BOUND)

        def serve():
            question, client = server.recvfrom(4096)
            server.sendto(question[:2] + answer, client)
        thread = threading.Thread(target=serve)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert address in failed("lookup-dns", "--timeout", "1", "--server", address, "_s._tcp.example.org")
        thread.join()


def test_what_is_no_option_or_no_value_of_one_is_told():
    for words in (["--timeout", "0"], ["--timeout", "x"], ["--refresh", "-1"], ["--password", "p"], ["--serv", "h"]):
        assert lookups.Answer("lookup-etcd", "--server", "h", *words).code == 2
    for server in ("h:0", "h:99999", "ftp://h", "h/path", "me@h", "", "[::1", "a b"):
        assert lookups.Answer("lookup-etcd", f"--server={server}").code in (1, 2), server
    assert "16 are the most" in failed("lookup-etcd", "--server", ",".join(["h"] * 17))


def said(program, address, *more):
    """The line of a failure, which names the server."""
    cause = failed(program, "--timeout", "1", "--server", address, *more)
    assert "a fault of this program" not in cause, cause
    return cause


@pytest.fixture
def web_server():
    yield from holdfast.each_ends(lambda body: Web(lambda request: (200, {}, body)), Web.stop)


ODD = [b"[1]", b"7", b'"text"', b"null", b'{"header": 1}', b'{"header": {"revision": "x"}}',
       b'{"header": {"revision": 1}, "kvs": 7}', b'{"header": {"revision": []}}', b'{"items": 7}',
       b'{"items": [], "metadata": 7}', b'{"members": {}}', b'{"members": 7}',
       b'[{"Service": {}, "Node": {}, "Checks": [7]}]', b'[{"Service": {}, "Node": {}, "Checks": 7}]']


def test_an_answer_of_another_form_is_told_with_its_server(web_server):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asked = [(program, body, server.address, pool.submit(said, program, server.address))
                 for body, server in [(body, web_server(body)) for body in ODD]
                 for program in ("lookup-etcd", "lookup-consul", "lookup-patroni")]
    for program, body, address, answer in asked:
        assert address in answer.result(), (program, body)


ENTRIES = {
    "lookup-etcd": [b'{"header": {"revision": 1}, "kvs": [7]}', b'{"header": {"revision": 1}, "kvs": [{"value": 7}]}',
                    b'{"header": {"revision": 1}, "kvs": [{"value": ["a"]}]}'],
    "lookup-consul": [b'[{"Service": {"Address": "10.0.0.1", "Port": 1, "Weights": {"Passing": "x"}}, "Node": {}}]',
                      b'[{"Service": {"Address": "10.0.0.1", "Port": 1, "Weights": [1]}, "Node": {}}]',
                      b'[{"Service": {"Address": {}, "Port": []}, "Node": {}}]'],
    "lookup-patroni": [b'{"members": [{"host": 7, "port": [], "api_url": "http://[/"}]}'],
}


@pytest.mark.parametrize("program, body", [(program, body) for program, bodies in ENTRIES.items() for body in bodies])
def test_an_entry_of_another_form_is_malformed(web_server, program, body):
    assert "no entry is well-formed: " in said(program, web_server(body).address)


def test_a_server_that_sends_a_byte_now_and_then_does_not_hold_up_a_watch(upstream):
    """It is asked again within --refresh, whatever it does."""
    over, answer = threading.Event(), b'{"header":{"revision":"1"},"kvs":[{"value":"MTAuMC4wLjE6ODA="}]}'

    def serve(connection):
        request = connection.recv(65536)
        if b"/v3/kv/range" in request:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not over.wait(0.05):
            connection.sendall(b" ")

    watch = lookups.Watch("lookup-etcd", "--refresh", "0.5", "--server", upstream(serve).address)
    try:
        for _ in range(3):
            assert watch.next() == ["10.0.0.1:80"]
    finally:
        over.set()
        watch.stop()


def test_an_event_of_another_form_is_told_and_the_watch_goes_on(upstream):
    answer = b'{"header":{"revision":"1"},"kvs":[{"value":"MTAuMC4wLjE6ODA="}]}'

    def serve(connection):
        body = answer if b"/v3/kv/range" in connection.recv(65536) else b'{"result": [7]}\n'
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    server = upstream(serve)
    watch = lookups.Watch("lookup-etcd", "--refresh", "1", "--server", server.address)
    try:
        for _ in range(2):
            assert watch.next() == ["10.0.0.1:80"]
        assert any(f"{server.address}: the watch has ended: its answer has another form" in line
                   for line in watch.errors), watch.errors
    finally:
        watch.stop()
