"""What programs ask by HTTP: the status, whether the daemon serves, whether services are up."""
import contextlib
import json
import re

import pytest

pytest.importorskip("prometheus_client", reason="needs it: apt-get install python3-prometheus-client")

import holdfast  # noqa: E402
import scrape  # noqa: E402


@pytest.fixture
def port():
    return f"127.0.0.1:{holdfast.free_port()}"


def shape(value):
    """A JSON text without what changes between two looks."""
    return re.sub(r'"[^"]*seconds":[0-9.]+|\d{4}-\d\d-\d\dT[0-9:.]+Z?|"(heartbeat|memory_used)":\d+', "", value)


def test_the_status_is_that_of_the_control_socket(daemon, upstream, port):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address) + holdfast.fixed("down", "127.0.0.1:1",
                 "retry: { delay = 3600; };"), top=scrape.listening(port))
    one.wait_connected("s")
    one.command_raw("wait down 0.1")
    body, code, kind = scrape.curl(port, path="/status.json")
    assert (code, kind) == (200, "application/json; charset=utf-8")
    assert shape(body) == shape(one.ctl("--json", "status").stdout)
    assert [each["service"] for each in json.loads(body)["services"]] == ["s", "down"]
    body = scrape.curl(port, path="/service/down.json")[0]
    assert shape(body) == shape(one.ctl("--json", "explain", "down").stdout)
    assert scrape.curl(port, path="/service/other.json")[1] == 404


def test_a_probe_is_told_whether_services_are_up(daemon, upstream, port):
    server = upstream()
    address = server.address
    one = daemon(holdfast.fixed("s", address, "retry: { delay = 3600; };"), top=scrape.listening(port))
    one.wait_connected("s")
    assert scrape.curl(port, path="/healthz")[:2] == ("ok\n", 200)
    assert scrape.curl(port, path="/readyz?service=s")[:2] == ("s: up\n", 200)
    assert scrape.curl(port, path="/readyz?a=b&service=%73")[:2] == ("s: up\n", 200)
    assert scrape.curl(port, path="/readyz")[:2] == ("1 services up\n", 200)
    one.command("fail s 60")
    holdfast.until(lambda: scrape.curl(port, path="/readyz?service=s")[1] == 503, "s is down")
    body = scrape.curl(port, path="/readyz?service=s")[0]
    assert body.startswith("s: ") and body.count("\n") == 1
    assert scrape.curl(port, path="/readyz")[:2] == ("1 of 1 services are down: s\n", 503)
    assert scrape.curl(port, path="/healthz")[1] == 200, "it serves, whatever its upstreams do"
    body, code, kind = scrape.curl(port, path="/readyz?service=%3Cscript%3E%1b%5b31m")
    assert (body, code, kind) == ('no service "<script>\\x1b[31m"\n', 404, "text/plain; charset=utf-8")
    for query in ("service", "service=", "service=%zz", "=", "&&", "%", "service=" + "x" * 7000):
        scrape.raw(port, f"GET /readyz?{query} HTTP/1.1\r\n\r\n".encode())
    assert one.restarts() == 0


def test_a_daemon_that_stops_is_not_ready(daemon, upstream, port):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), top=scrape.listening(port) + "stop_timeout = 20;")
    one.wait_connected("s")
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
        one.process.terminate()
        holdfast.until(lambda: scrape.curl(port, path="/healthz")[:2] == ("stopping\n", 503), "it stops")
        assert scrape.curl(port, path="/readyz")[:2] == ("stopping\n", 503)


def test_head_says_what_get_would_and_other_methods_are_refused(daemon, port):
    one = daemon("", top=scrape.listening(port))
    for path in ("/metrics", "/status.json", "/healthz", "/readyz", "/none"):
        heads = [scrape.raw(port, f"{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()).partition(b"\r\n\r\n")
                 for method in ("GET", "HEAD")]
        assert heads[1][2] == b"" != heads[0][2]
        assert [head[0].split(b"\r\n")[0] for head in heads] == [heads[0][0].split(b"\r\n")[0]] * 2
        assert b"X-Content-Type-Options: nosniff" in heads[1][0] and b"default-src 'none'" in heads[1][0]
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
            assert scrape.curl(port, "-X", method, path=path)[1] == 405
    assert b"Allow: GET, HEAD" in scrape.raw(port, b"POST /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
    assert one.restarts() == 0


@pytest.mark.parametrize("host, code", [
    ("localhost", 200), ("127.0.0.1:9464", 200), ("[::1]:9464", 200), ("h", 200), ("evil.example", 403),
    ("evil.example:9464", 403), ("127.0.0.1.evil.example", 403)])
def test_names_that_anybody_could_have_are_refused_by_tcp(daemon, port, host, code):
    daemon("", top=scrape.listening(port))
    assert scrape.curl(port, "-H", f"Host: {host}", path="/status.json")[1] == code
    assert scrape.curl(port, "-H", f"Host: {host}")[1] == 200, "metrics are as they were"


def test_a_proxy_on_a_unix_socket_may_say_any_host(daemon, folder):
    address = f"unix:{folder}/m"
    daemon("", top=scrape.listening(address))
    assert scrape.curl(address, "-H", "Host: status.example.com", path="/healthz")[1] == 200


def test_old_and_odd_requests_are_bounded(daemon, upstream, port):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), top=scrape.listening(port))
    get = b"GET /status.json HTTP/1.1\r\nHost: h\r\n\r\n"
    with one.client("s") as client:
        assert client.ask("before") == b"before\n"
        one.wait_status("s", warm=1)
        files = one.files()
        assert scrape.raw(port, b"GET /status.json\r\n\r\n").startswith((b"HTTP/1.1 400", b"")), "HTTP/0.9"
        assert scrape.raw(port, get * 100).count(b"HTTP/1.1 200") <= 1, "a request each connection"
        scrape.raw(port, b"GET / HTTP/1.1\r\nX: " + b"y" * (1 << 20))
        scrape.raw(port, b"POST / HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n" + b"y" * (1 << 20))
        with contextlib.ExitStack() as stack:
            for _ in range(1000):
                try:
                    stack.enter_context(scrape.connect(port, 0.05)).sendall(get[:20])
                except OSError:
                    break  # the backlog is full
            assert client.ask("meanwhile") == b"meanwhile\n"
        assert client.ask("after") == b"after\n"
        holdfast.until(lambda: scrape.curl(port, path="/healthz")[1] == 200, "there is room again")
        holdfast.until(lambda: one.files() <= files, "no file left behind")
    assert one.restarts() == 0
