"""lookup-http, and what any server of a lookup program may do wrong: it is slow, says too much, or breaks off."""
import os
import socket
import threading
import time

import pytest

import holdfast
import lookups
from lookups import failed, found
from web import Web

pytestmark = pytest.mark.plain


@pytest.fixture
def web():
    yield from holdfast.each_ends(Web, Web.stop)


@pytest.fixture
def server(upstream):
    """server(*pieces) answers whatever is asked with these bytes; a number lets so many seconds pass."""
    def make(*pieces):
        over = threading.Event()

        def serve(connection):
            connection.recv(65536)
            for piece in pieces:
                if isinstance(piece, bytes):
                    connection.sendall(piece)
                elif over.wait(piece):
                    return
        one = upstream(serve)
        one.over = over
        made.append(over)
        return one.address

    made = []
    yield make
    for over in made:
        over.set()


def text(body, status=200, **headers):
    return lambda request: (status, headers, body)


def ask(address, *more):
    return ["lookup-http", "--url", f"http://{address}/%s", *more]


def test_lines(web):
    lines = ["10.0.0.1:80 weight=2", "[2001:db8::1]:80", "host.example.org:80 priority=1"]
    one = web(text("\n".join(["# hosts", "", *lines, "10.0.0.1:80", ""]).encode()))
    assert found(*ask(one.address)) == lines
    assert one.requests[-1].path == "/s"
    assert found(*ask(one.address), service="a/b") and one.requests[-1].path == "/a%2Fb"
    one.answer = text(b"\n# nothing\n")
    assert failed(*ask(one.address)) == "the answer has no endpoint"
    one.answer = text(b"abort: all of you\n")
    assert "no entry is well-formed" in failed(*ask(one.address))
    one.answer = text(b"".join(b"10.0.%d.%d:80\n" % (n // 250, n % 250) for n in range(2000)))
    assert len(found(*ask(one.address))) == 64


def test_json_at_a_pointer(web):
    one = web(text({"data": {"hosts": ["10.0.0.1:80", "10.0.0.2:80 priority=1"], "a/b~": "10.0.0.3:80",
                             "objects": [{"host": "10.0.0.4", "port": 80, "weight": 3},
                                         {"node": {"ip": "fd00::1"}, "ports": [81, 82]}], "none": []}}))
    here = ask(one.address)
    assert found(*here, "--json", "/data/hosts") == ["10.0.0.1:80", "10.0.0.2:80 priority=1"]
    assert found(*here, "--json", "/data/hosts/1") == ["10.0.0.2:80 priority=1"]
    assert found(*here, "--json", "/data/a~1b~0") == ["10.0.0.3:80"]
    assert found(*here, "--json", "/data/objects") == ["10.0.0.4:80 weight=3"], "the other is ignored"
    assert found(*here, "--json", "/data/objects", "--host", "/node/ip", "--port", "/ports/1") == ["[fd00::1]:82"]
    assert found(*here, "--json", "/data/objects/0", "--port", "99") == ["10.0.0.4:99 weight=3"]
    assert "its JSON has nothing at 'other'" in failed(*here, "--json", "/other")
    assert failed(*here, "--json", "/data/none") == "the answer has no endpoint"
    assert "no entry is well-formed" in failed(*here, "--json", "")


def test_a_login_and_a_token_come_from_files(web, folder):
    one = web(text(b"10.0.0.1:80\n"))
    path = os.path.join(folder, "secret")
    with open(path, "w") as file:
        file.write("a:b\n")
    assert found(*ask(one.address), "--user", "me", "--password-file", path)
    assert one.requests[-1].headers["Authorization"] == "Basic bWU6YTpi"
    assert found(*ask(one.address), "--token-file", path)
    assert one.requests[-1].headers["Authorization"] == "Bearer a:b"
    assert "a user is given by --user" in failed("lookup-http", "--url", f"http://me:a@{one.address}/")


@pytest.mark.parametrize("status", [301, 403, 404, 500])
def test_another_status_is_a_failure_with_what_the_server_says(web, status):
    one = web(text({"message": "no,\nnever"}, status))
    assert f"HTTP {status}: no, never" in failed(*ask(one.address))


def test_what_is_wrong_with_a_server_is_told_and_the_next_one_is_asked(web, server):
    good = web(text(b"10.0.0.1:80\n")).address
    head = b"HTTP/1.1 200 OK\r\n"
    with socket.socket() as full:
        full.bind(("127.0.0.1", holdfast.free_port()))
        nobody = "127.0.0.1:%d" % full.getsockname()[1]
        bad = {nobody: "Connection refused", "no.invalid": "its name is not found",
               server(): "it has closed the connection without an answer",
               server(b"SSH-2.0-OpenSSH_9.2\r\n"): "not an answer of HTTP",
               server(head + b"Content-Length: 100\r\n\r\nshort"): "its answer is cut short",
               server(head + b"Content-Length: 99999999\r\n\r\n", b"10.0.0.1:80\n" * 400000): "longer than 4 MiB",
               server(head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"): "not an answer of HTTP",
               server(head + b"X: " + b"y" * 100000 + b"\r\n"): "not an answer of HTTP"}
        late = [server(30), server(head, *[piece for _ in range(300) for piece in (b"X: 1\r\n", 0.1)])]
        urls = ",".join(f"http://{address}/" for address in [*bad, *late, good])
        answer = lookups.Answer("lookup-http", "--url", urls)
        assert answer.code == 0 and answer.lines == ["10.0.0.1:80"], answer.errors
        for address, cause in bad.items():
            told = [line for line in answer.errors.splitlines() if line.startswith(f"lookup-http: {address}")]
            assert len(told) == 1 and cause in told[0], answer.errors
        for address in late:
            assert failed(*ask(address), "--timeout", "0.5") == f"{address}: no answer within 0.5 s"


def test_a_comma_in_a_url_ends_it_only_before_another(web):
    one, other = web(text(b"10.0.0.1:80\n")), web(text(b"10.0.0.2:80\n"))
    assert found("lookup-http", "--url", f"{one.url}/a,b?c=d,e,{other.url}") == ["10.0.0.1:80"]
    assert one.requests[0].path == "/a,b" and one.requests[0].asked("c") == "d,e"


def test_over_tls(web, folder):
    authority, other = lookups.Authority(folder), lookups.Authority(folder, "other")
    one = web(text(b"10.0.0.1:80\n"), certificate=authority.issue("server", "DNS:web.example.org"))
    here = ["lookup-http", "--url", one.url]
    assert found(*here, "--ca", authority.ca, "--tls-name", "web.example.org") == ["10.0.0.1:80"]
    assert "its certificate is not accepted: IP address mismatch" in failed(*here, "--ca", authority.ca)
    assert "its certificate is not accepted" in failed(*here, "--ca", other.ca, "--tls-name", "web.example.org")
    assert "its certificate is not accepted" in failed(*here)


def test_a_watch_asks_only_what_is_new(web):
    state = {"body": b"10.0.0.1:80\n", "tag": '"1"'}

    def answer(request):
        same = request.headers.get("If-None-Match") == state["tag"]
        return (304, {}, b"") if same else (200, {"ETag": state["tag"]}, state["body"])

    one = web(answer)
    watch = lookups.Watch(*ask(one.address), "--interval", "0.05", "--refresh", "60")
    try:
        assert watch.next() == ["10.0.0.1:80"]
        holdfast.until(lambda: len(one.requests) > 3, "it asks again and again")
        state.update(body=b"10.0.0.2:80\n", tag='"2"')
        assert watch.next() == ["10.0.0.2:80"]
    finally:
        watch.stop()


def test_a_watch_outlives_a_pause_and_ends_when_nobody_answers(web):
    one = web(text(b"10.0.0.1:80\n"))
    watch = lookups.Watch(*ask(one.address), "--interval", "0.05", "--refresh", "3")
    try:
        assert watch.next() == ["10.0.0.1:80"]
        one.answer = text(b"", 503)
        holdfast.until(lambda: any("asked again in 0.5 s" in line for line in watch.errors), "it has failed")
        one.answer = text(b"10.0.0.2:80\n")
        watch.until(["10.0.0.2:80"])
        begun = time.monotonic()
        one.answer = text(b"", 503)
        code, cause = watch.wait_end()
        assert code == 1 and "HTTP 503" in cause
        assert time.monotonic() - begun > 1
    finally:
        watch.stop()
