"""The worker is killed, the daemon upgraded, while clients are served over TLS: nothing lost, nothing wrong."""
import socket
import subprocess

import pytest

import holdfast
import storm
import tls_program

pytestmark = [pytest.mark.plain, tls_program.MARK]
KINDS = dict(bulk=2, ping=8, ask=8, half=1, slow=1, bulk_bytes=1 << 20)
KILLS, UPGRADES = (300, 50) if holdfast.LONG else (20, 3)


def settings(folder, authority):
    return f'tls: {{ ca = "{authority.ca}"; socket = "{folder}/tls.sock"; }};'


@pytest.fixture
def terminate(folder, authority):
    """terminate(port) starts an HAProxy that takes TLS for a plain server; its address."""
    def make(port):
        cert, key = authority.issue("front")
        with open(f"{folder}/front.pem", "w") as both, open(cert) as one, open(key) as other:
            both.write(one.read() + other.read())
        own = holdfast.free_port()
        with open(f"{folder}/haproxy.cfg", "w") as file:
            file.write("defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n"
                       f"listen front\n bind 127.0.0.1:{own} ssl crt {folder}/front.pem\n"
                       f" server back 127.0.0.1:{port}\n")
        process = subprocess.Popen(["haproxy", "-db", "-q", "-f", f"{folder}/haproxy.cfg"], stdin=subprocess.DEVNULL,
                                   env=holdfast.environment())
        process.address = f"127.0.0.1:{own}"
        holdfast.until(lambda: listens(own), "HAProxy listens")
        return process

    def end(process):
        process.kill()
        process.wait()

    yield from holdfast.each_ends(make, end)


def listens(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def test_kills_under_load(daemon, load, folder, program, terminate, authority, figure):
    program()
    generator = load()
    front = terminate(generator.port)
    one = daemon(holdfast.fixed("s", front.address, "warm = 1; " + settings(folder, authority)))
    generator.start(one.socket("s"), 60, **KINDS)
    hit, with_pipes = storm.strike(one, generator, KILLS, 0.05)
    generator.finish()
    result = generator.result()
    figure(f"{hit} kills, {with_pipes} of them with pipes, {result['bytes'] >> 20} MiB, "
           f"{result['round_trips']} round trips, {result['ask']} connections")
    assert hit == KILLS


def test_upgrades_under_load(daemon, load, folder, program, terminate, authority, figure):
    program()
    generator = load()
    one = daemon(holdfast.fixed("s", terminate(generator.port).address, "warm = 1; " + settings(folder, authority)))
    generator.start(one.socket("s"), 120, **KINDS)
    generator.wait_running()
    for _ in range(UPGRADES):
        assert "upgraded: version" in one.ctl("upgrade", bound=60).stdout
    generator.finish()
    result = generator.result()
    figure(f"{UPGRADES} upgrades, {result['bytes'] >> 20} MiB, {result['round_trips']} round trips, "
           f"{result['ask']} connections")
