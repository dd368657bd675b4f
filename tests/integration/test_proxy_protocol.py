"""A server that expects the PROXY protocol hears who each client is: once, whole, first; whenever the worker dies."""
import concurrent.futures
import io
import os
import shutil
import socket
import struct
import subprocess
import threading

import pytest

import holdfast
import storm

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"
WANTED = 20 if holdfast.LONG else 6


def service(address, version, more=""):
    return f's: {{ address = "{address}"; proxy_protocol = "{version}"; {more} }};\n'


def read_v2(file):
    """The header at the head of a connection: command and family, addresses, values by type."""
    head = file.read(16)
    if not head:
        return None
    assert head[:12] == SIGNATURE, head
    command, family, length = struct.unpack("!BBH", head[12:])
    rest = file.read(length)
    assert len(rest) == length
    addresses = {0: 0, 0x11: 12, 0x21: 36}[family]
    values, at = {}, addresses
    while at < length:
        kind, size = struct.unpack("!BH", rest[at:at + 3])
        assert kind not in values and at + 3 + size <= length
        values[kind] = rest[at + 3:at + 3 + size]
        at += 3 + size
    return command, family, rest[:addresses], values


def telling(told):
    """Notes each connection's header, and echoes lines: a second header would be one."""
    def serve(connection):
        with connection.makefile("rb") as file:
            header = read_v2(file)
            if header is None:
                return
            told.append(header)
            for line in file:
                connection.sendall(line)
    return serve


def number(values, kind):
    return int.from_bytes(values[kind], "big")


@pytest.mark.parametrize("warm", ["", "warm = 2;"])
def test_version_2_says_user_group_process_and_id(daemon, upstream, warm):
    told = []
    server = upstream(telling(told))
    one = daemon(service(server.address, "v2", warm))
    for _ in range(3):
        with one.client("s") as client:
            assert client.ask("x") == b"x\n"
            shown = one.command("clients s")["clients"][-1]  # the one before may be there still
            command, family, addresses, values = told[-1]
            assert (command, family) == (0x21, 0x11)
            assert addresses[:8] == bytes([127, 0, 0, 1]) * 2
            assert struct.unpack("!H", addresses[10:])[0] == server.port
            assert number(values, 0xE0) == os.getuid() and number(values, 0xE1) == os.getgid()
            assert number(values, 0xE2) == os.getpid()
            assert values[0x05].decode() == f"s/{shown['id']}"
            assert shown["bytes_from_client"] == 2, "the header is none of the client's bytes"
    assert len(told) == 3


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_tcp_client_is_named_by_both_its_addresses(daemon, upstream, version):
    heads, port = [], holdfast.free_port()

    def note(connection):
        heads.append(connection.recv(4096))
        connection.sendall(b"heard\n")

    one = daemon(service(upstream(note).address, version, f'warm = 1; listen: {{ path = "127.0.0.1:{port}"; }};'))
    one.wait_connected("s")
    with socket.create_connection(("127.0.0.1", port), holdfast.BOUND) as client:
        assert client.recv(100) == b"heard\n"
        own = client.getsockname()[1]
    if version == "v1":
        assert heads == [f"PROXY TCP4 127.0.0.1 127.0.0.1 {own} {port}\r\n".encode()]
        return
    command, family, addresses, values = read_v2(io.BytesIO(heads[0]))
    assert (command, family, list(values)) == (0x21, 0x11, [0x05])
    assert addresses == bytes([127, 0, 0, 1]) * 2 + struct.pack("!HH", own, port)


def test_the_header_comes_before_a_client_has_said_anything(daemon, upstream):
    """As servers that speak first need it."""
    def greet(connection):
        with connection.makefile("rb") as file:
            if read_v2(file):
                connection.sendall(b"welcome\n")
                file.read()

    one = daemon(service(upstream(greet).address, "v2"))
    with one.client("s") as client:
        assert client.line() == b"welcome\n"


def test_version_1_is_a_line(daemon, upstream):
    one = daemon(service(upstream().address, "v1"))
    with one.client("s") as client:
        client.send(b"x\n")
        assert client.line() == b"PROXY UNKNOWN\r\n"
        assert client.line() == b"x\n"


def test_a_reload_holds_for_those_that_come_after_it(daemon, upstream):
    server = upstream()
    one = daemon(service(server.address, ""))
    with one.client("s") as before:
        assert before.ask("x") == b"x\n"
        one.configure(service(server.address, "v1"))
        one.command("reload")
        one.kill_worker()
        assert before.ask("y") == b"y\n"
        with one.client("s") as after:
            assert after.line() == b"PROXY UNKNOWN\r\n"


@pytest.mark.parametrize("version,first", [("v1", b"PROXY UNKNOWN\r\n"), ("v2", SIGNATURE + b"\x20\0\0\0")])
def test_a_probe_is_introduced_as_our_own(daemon, upstream, version, first):
    probes = []

    def answer(connection):
        head = connection.recv(65536)
        if b"GET /" in head:
            probes.append(head)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            connection.recv(65536)

    server = upstream(answer)
    daemon(service(server.address, version, 'probe = "http";')).wait_connected("s")
    assert probes[0].startswith(first + b"GET / HTTP/1.1\r\n")


def visit(one, rounds, enough=lambda: True):
    """So many times, and until it was enough; how many."""
    count = 0
    while count < rounds or not enough():
        with one.client("s") as client:
            assert client.ask("x") == b"x\n"
        count += 1
    return count


@pytest.mark.parametrize("upstream_kind", ["tcp", "unix"])
def test_the_worker_is_killed_while_clients_connect(daemon, upstream, folder, upstream_kind, figure):
    """Each is told of once, and nothing of a header is among what is echoed."""
    told = []
    if upstream_kind == "tcp":
        address = upstream(telling(told)).address
    else:
        address = "unix:" + unix_server(folder, telling(told))
    one = daemon(service(address, "v2"))
    with storm.Deaths(one, 0.02) as deaths, concurrent.futures.ThreadPoolExecutor() as pool:
        visits = [pool.submit(visit, one, 60, lambda: deaths.count >= WANTED * 2) for _ in range(4)]
        count = sum(each.result() for each in visits)
    ids = [values[0x05] for _, _, _, values in told]
    figure(f"{one.restarts()} deaths, {len(ids)} clients told of, {len(set(ids))} different")
    assert len(set(ids)) == count


def unix_server(folder, serve):
    path = os.path.join(folder, "server.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1024)

    def run(connection):
        with connection:
            serve(connection)

    def accept():
        while True:
            threading.Thread(target=run, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return path


@pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")
@pytest.mark.parametrize("point", ["journal.header-marked", "journal.header-sent", "journal.header-stored",
                                   "open.before", "open.committed"])
def test_the_worker_dies_over_a_header(daemon, upstream, point):
    told = []
    one = daemon(service(upstream(telling(told)).address, "v2"), build=holdfast.CRASH_BUILD,
                 environment_more={"HOLDFAST_CRASH": f"{point}:2"})
    count = 0
    while one.log().count(f"crash point {point}\n") < WANTED:
        with one.client("s") as client:
            assert client.ask("x") == b"x\n"
        count += 1
        assert len({values[0x05] for _, _, _, values in told}) == count


class Server:
    """HAProxy or nginx, in front of a server that echoes lines."""

    def __init__(self, folder, command, config, port):
        self.folder, self.port = folder, port
        self.log = os.path.join(folder, "server.log")
        self.config = os.path.join(folder, "server.conf")
        with open(self.config, "w") as file:
            file.write(config)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*command, self.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=holdfast.environment())

    def text(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def wait_text(self, text):
        return holdfast.until(lambda: text in self.text() and self.text(), f"{text!r} in the server's log")

    def end(self):
        self.process.terminate()
        holdfast.wait_exit(self.process)


HAPROXY = """global
    log stdout format raw local0
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    option dontlognull
frontend f
    bind 127.0.0.1:{port} accept-proxy
    log global
    log-format "from %ci:%cp id %[fc_pp_unique_id] end %ts bytes %U"
    default_backend b
backend b
    server s {server}
"""


@pytest.mark.plain
@pytest.mark.skipif(not shutil.which("haproxy"), reason="no haproxy")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_takes_it(daemon, upstream, folder, version):
    port = holdfast.free_port()
    config = HAPROXY.format(port=port, server=upstream().address)
    server = Server(folder, ["haproxy", "-db", "-f"], config, port)
    try:
        holdfast.until(server.listens, "the server")
        one = daemon(service(f"127.0.0.1:{port}", version))
        with one.client("s") as client:
            assert client.ask("x") == b"x\n"
            shown = one.command("clients s")["clients"][0]["id"]
            with storm.Deaths(one, 0.05):
                visit(one, 20)
        server.wait_text(f" id s/{shown} " if version == "v2" else " id - ")
        holdfast.until(lambda: server.text().count("end -- bytes 2") >= 20, "20 sessions in the server's log")
    finally:
        server.end()


NGINX = """load_module {module};
daemon off;
master_process off;
error_log stderr warn;
pid {folder}/nginx.pid;
events {{ }}
stream {{
    log_format f 'from $proxy_protocol_addr status $status bytes $bytes_received';
    access_log {folder}/server.log f;
    server {{
        listen 127.0.0.1:{port} proxy_protocol;
        proxy_pass {server};
    }}
}}
"""


@pytest.mark.plain
@pytest.mark.skipif(not os.path.exists(NGINX_STREAM), reason="no nginx with stream")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_takes_it(daemon, upstream, folder, version):
    port = holdfast.free_port()
    config = NGINX.format(module=NGINX_STREAM, folder=folder, port=port, server=upstream().address)
    server = Server(folder, ["nginx", "-e", "stderr", "-p", folder, "-c"], config, port)
    try:
        holdfast.until(server.listens, "the server")
        one = daemon(service(f"127.0.0.1:{port}", version))
        with storm.Deaths(one, 0.05):
            visit(one, 20)
        served = "from 127.0.0.1 status 200" if version == "v2" else "from - status 200"
        holdfast.until(lambda: server.text().count(served) >= 20, "20 sessions in the server's log")
        assert server.text().count("broken header") == server.text().count('broken header: ""'), "beside an attempt's"
    finally:
        server.end()


def test_what_is_said_elsewhere_first_is_an_error(daemon, upstream):
    one = daemon(service(upstream().address, ""))
    one.configure(service("127.0.0.1:1", "v2", 'probe = "mysql";'))
    answer = one.command_raw("reload")
    assert not answer["ok"] and "proxy_protocol" in str(answer)
