"""on_down = "refuse": nobody waits for a service that is known to be down."""
import collections
import http.client
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

import holdfast


def test_who_came_during_the_attempt_is_refused_when_it_fails(daemon):
    """Nobody answers at the address: its backlog of one is full, so the attempt hangs until connect_timeout."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        one = daemon(holdfast.fixed("s", f"127.0.0.1:{address[1]}",
                                    'on_down = "refuse"; connect_timeout = 1; hold_timeout = 60;'))
        began = time.monotonic()
        with one.client("s") as client:
            assert client.at_end()
        assert time.monotonic() - began < 5
        assert one.status("s")["refused"]["down"] == 1
        for filler in fillers:
            filler.close()


REPLY = b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
DOWN_REPLY = 'down_reply = "HTTP/1.1 503 Down\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n";'


class HttpConnection(http.client.HTTPConnection):
    """Python's own client, over a service's socket."""

    def __init__(self, path):
        super().__init__("web", timeout=holdfast.BOUND)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def hears_the_reply(client, words=b"x" * 30000):
    """The client is slow to say what it wants: it does so when it has been refused already."""
    with client:
        assert select.select([client.socket], [], [], holdfast.BOUND)[0]
        client.send(words)
        assert client.read_all() == REPLY


def test_curl_sees_the_reply_of_a_refusal(daemon):
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}", 'on_down = "refuse";' + DOWN_REPLY))
    one.wait_log("Connection refused")
    command = ["curl", "--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{http_code}",
               "--data-binary", "@-", "--unix-socket", one.socket("s"), "http://web/"]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env=holdfast.environment()) for _ in range(60)]
    results = collections.Counter(process.communicate(b"x" * 20000, timeout=60)[0].decode() for process in running)
    assert results == {"503": 60}


def test_http_client_sees_the_reply_of_a_refusal(daemon):
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}", 'on_down = "refuse";' + DOWN_REPLY))
    one.wait_log("Connection refused")
    results = collections.Counter()
    for _ in range(60):
        connection = HttpConnection(one.socket("s"))
        connection.connect()
        assert select.select([connection.sock], [], [], holdfast.BOUND)[0]  # it has been refused already
        try:
            connection.request("POST", "/", body=b"x" * 20000)
            results[connection.getresponse().status] += 1
        except OSError as error:
            results[type(error).__name__] += 1
        connection.close()
    assert results == {503: 60}


@pytest.mark.parametrize("how", ["on_down", "hold_timeout", "max_held", "max_clients_per_user", "close", "drain",
                                 "abort", "remove", "stop"])
def test_every_refusal_is_heard(daemon, upstream, how):
    settings = {"on_down": 'on_down = "refuse";', "hold_timeout": "hold_timeout = 0.1;", "max_held": "max_held = 0;",
                "max_clients_per_user": "max_clients_per_user = 1;",
                "abort": "lookup: { script = \"/bin/echo\"; args = [\"abort: no more\"]; };"}
    more = settings.get(how, "") + DOWN_REPLY
    down = f"127.0.0.1:{holdfast.free_port()}"
    services = f"s: {{ {more} }};" if how == "abort" else holdfast.fixed("s", down, more)
    one = daemon(services + holdfast.fixed("other", down))
    if how == "abort":
        one.wait_status("s", state="aborted")
    else:
        one.wait_log("Connection refused", 2)
    if how == "max_clients_per_user":
        with one.client("s"):
            one.wait_status("s", held=1)
            hears_the_reply(one.client("s"))
        return
    client = one.client("s")
    if how in ("close", "drain", "remove", "stop"):
        one.wait_status("s", held=1)
        if how == "remove":
            one.configure(holdfast.fixed("other", down))
            one.command("reload")
        elif how == "stop":
            one.process.send_signal(signal.SIGINT)
        else:
            one.command(f"{how} s")
    hears_the_reply(client)


def test_no_death_of_the_worker_keeps_the_reply_from_a_client(daemon):
    """Each hears it, once, whenever the worker dies; it speaks before, and on afterwards."""
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}", 'on_down = "refuse";' + DOWN_REPLY))
    one.wait_log("Connection refused")
    over = threading.Event()
    heard = collections.Counter()

    def come_and_go():
        while not over.is_set():
            with one.client("s") as client:
                try:
                    client.send(b"GET / HTTP/1.1\r\n")
                    words = client.file.read(len(REPLY))
                    client.send(b"\r\n")
                    heard[words + client.read_all()] += 1
                except OSError as error:
                    heard[type(error).__name__] += 1

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        enough = sum(heard.values()) + 5
        one.kill_worker()
        holdfast.until(lambda: sum(heard.values()) > enough, "some more have heard it")
    over.set()
    for thread in threads:
        thread.join()
    assert set(heard) == {REPLY}, heard


def test_a_refused_client_that_says_no_end_is_closed_after_a_second(daemon):
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}", 'on_down = "refuse";' + DOWN_REPLY))
    one.wait_log("Connection refused")
    with one.client("s") as client:
        assert client.read_all() == REPLY
        began = time.monotonic()
        with pytest.raises(BrokenPipeError):
            while time.monotonic() - began < holdfast.BOUND:
                client.send(b"x")
                threading.Event().wait(0.01)
        assert 0.5 < time.monotonic() - began < 5
