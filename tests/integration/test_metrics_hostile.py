"""Whoever connects to the metrics' listener, and whatever is said there: nobody else notices."""
import contextlib

import pytest

pytest.importorskip("prometheus_client", reason="needs it: apt-get install python3-prometheus-client")

import holdfast  # noqa: E402
import scrape  # noqa: E402

CONNECTIONS = 16
GET = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture
def served(daemon, upstream):
    """A daemon with a client that is served, and where its metrics are; the client must be served to the end."""
    server = upstream()
    address = f"127.0.0.1:{holdfast.free_port()}"
    one = daemon(holdfast.fixed("s", server.address), top=scrape.listening(address))
    with one.client("s") as client:
        assert client.ask("before") == b"before\n"
        one.wait_status("s", warm=1)
        files = one.files()
        yield one, address
        assert client.ask("after") == b"after\n"
        holdfast.until(lambda: one.files() <= files, "no file left behind")
        assert one.restarts() == 0


@pytest.mark.parametrize("request_, status", [
    (b"\0" * 100 + b"\r\n\r\n", b"400"),
    (b"GET\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/9.9.9\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 4000 + b"\r\n", b"4"),
    (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", b"4"),
    (b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 100000, b"4"),
    (b"POST /metrics HTTP/1.1\r\nContent-Length: 4097\r\n\r\n" + b"x" * 4097, b"413"),
    (b"POST /metrics HTTP/1.1\r\nContent-Length: 4096\r\n\r\n" + b"x" * 4096, b"405"),
    (b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", b"4"),
    (b"POST /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"4"),
    (b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", b"4"),
    (b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"4"),
    (b"BREW /metrics HTTP/1.1\r\n\r\n", b"501"),
    (b"GET http://other/metrics HTTP/1.1\r\n\r\n", b"200"),
    (b"GET /%6d%00 HTTP/1.1\r\n\r\n", b"404"),
    (GET + GET + GET, b"200"),
])
def test_odd_requests_get_an_answer_or_an_end(served, request_, status):
    one, address = served
    heard = scrape.raw(address, request_)
    # Unread bytes may have the kernel throw the answer away with the connection.
    assert heard == b"" and len(request_) > 4096 or heard.split(b" ", 2)[1].startswith(status), heard[:200]
    assert heard.count(b"HTTP/1.1 200") <= 1
    assert scrape.text(address).endswith("# EOF\n")


def test_many_who_say_nothing_keep_nobody_out(served, figure):
    one, address = served
    with contextlib.ExitStack() as stack:
        for _ in range(4 * CONNECTIONS):
            stack.enter_context(scrape.connect(address))
        begun = holdfast.time.monotonic()
        assert scrape.text(address).endswith("# EOF\n")
        figure(f"a scrape behind {4 * CONNECTIONS} silent connections: {holdfast.time.monotonic() - begun:.2f} s")


def test_who_does_not_read_makes_room(daemon, served):
    """Their answers are larger than what a socket holds."""
    many = "".join(holdfast.fixed(f"s{number}", "127.0.0.1:1", "retry: { delay = 3600; };") for number in range(100))
    address = f"127.0.0.1:{holdfast.free_port()}"
    two = daemon(many, top=scrape.listening(address))
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS + 4):
            connection = scrape.connect(address)
            connection.setsockopt(holdfast.socket.SOL_SOCKET, holdfast.socket.SO_RCVBUF, 4096)
            stack.enter_context(connection)
            connection.sendall(GET)
        assert len(scrape.values(scrape.text(address))) > 100 * 50
    assert two.restarts() == 0


@pytest.mark.long
def test_a_connection_ends_after_its_time(served):
    one, address = served
    for said in (b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\nX:", b"CONNECT h:1 HTTP/1.1\r\n\r\n"):
        begun = holdfast.time.monotonic()
        assert b" 200 " not in scrape.raw(address, said)
        assert 9 < holdfast.time.monotonic() - begun < 12


def test_who_leaves_in_the_midst_leaves_nothing(served):
    one, address = served
    for said in (b"", b"GET", GET[:-2], GET):
        for _ in range(20):
            with scrape.connect(address) as connection:
                connection.sendall(said)
    assert scrape.text(address).endswith("# EOF\n")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / holdfast.os.sysconf("SC_CLK_TCK")


def test_the_last_files_are_not_for_the_curious(daemon, upstream):
    """With no file left they are closed or wait, nothing spins; with files again they are answered."""
    server = upstream()
    address = f"127.0.0.1:{holdfast.free_port()}"
    one = daemon(holdfast.fixed("s", server.address) + holdfast.fixed("down", "127.0.0.1:1"),
                 top=scrape.listening(address), wrapper=["prlimit", "--nofile=48:48"])
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(one.client("s")).send(b"x\n")
        one.wait_log("cannot accept")
        for _ in range(40):
            stack.enter_context(scrape.connect(address)).sendall(GET)
        before = cpu_seconds(one.worker())
        assert one.command_raw("wait down 0.7")["timed_out"], "an operator can look, for that long"
        assert cpu_seconds(one.worker()) - before < 0.35
    assert scrape.text(address).endswith("# EOF\n")
    assert one.restarts() == 0
