"""holdfast-tls as a unit: started by its socket, in its sandbox; a reload upgrades it and loses no session."""
import os
import re
import shutil
import time

import pytest

import box as box_module
import holdfast
import tls_program

pytestmark = [*box_module.MARKS, tls_program.MARK]
UNIT, SOCKET, PORT = "holdfast-tls.service", "holdfast-tls.socket", 7777

# Echoes lines over TLS.
SERVER = f"""
import socketserver, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/srv/server.pem", "/srv/server.key")
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        with context.wrap_socket(self.request, server_side=True) as connection, connection.makefile("rb") as lines:
            for line in lines:
                connection.sendall(line)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", {PORT}), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def tls(box, module_folder):
    authority = tls_program.Authority(module_folder)
    os.makedirs(box.path("/srv"), exist_ok=True)
    for path, name in zip((authority.ca, *authority.issue("server")), ("ca.pem", "server.pem", "server.key")):
        os.chmod(shutil.copy(path, box.path(f"/srv/{name}")), 0o644)
    box.begin("server", "/usr/bin/python3", "-c", SERVER)
    box.do("systemctl", "enable", "--now", SOCKET)
    return box


def open_session(box):
    """A session, tried until the server listens."""
    def attempt():
        session = tls_program.Session(box.path("/run/holdfast/tls.sock"),
                                      {"address": f"127.0.0.1:{PORT}", "ca": "/srv/ca.pem"})
        return session if session.answer.startswith("ok ") else session.close()
    return holdfast.until(attempt, "a session")


def test_socket_is_holdfasts_alone(tls):
    assert tls.do("stat", "-c", "%U %a", "/run/holdfast/tls.sock") == "holdfast 600"


def test_reload_keeps_sessions(tls):
    before = open_session(tls)
    pid = tls.main_pid(UNIT)
    assert tls.do("ps", "-o", "user:20=", "-p", str(pid)) == "holdfast-tls"
    tls.do("systemctl", "reload", UNIT)
    tls.wait_restart(pid, UNIT)
    after = open_session(tls)
    assert before.ask(b"old\n") == b"old\n" and after.ask(b"new\n") == b"new\n"
    tls.configure(holdfast.fixed("first", "127.0.0.1:9"))
    tls.start_anew()
    assert before.ask(b"old\n") == b"old\n" and after.ask(b"new\n") == b"new\n"
    before.close()
    after.close()


def test_a_killed_one_is_replaced_beside_an_older_one(tls):
    """Which an upgrade has left, and whose child systemd would not supervise."""
    old, pid = open_session(tls), tls.main_pid(UNIT)
    tls.do("systemctl", "reload", UNIT)
    tls.wait_restart(pid, UNIT)
    new = open_session(tls)
    tls.do("kill", "-KILL", str(tls.main_pid(UNIT)))
    assert new.file.read() == b""
    new.close()
    assert open_session(tls).ask(b"again\n") == b"again\n"
    old.close()


def test_a_killed_one_is_replaced_at_once(tls):
    """Its sessions end, as those of a server that dies; whoever comes then waits in the socket."""
    waits = []
    for _ in range(5):
        session = open_session(tls)
        assert session.ask(b"first\n") == b"first\n"
        tls.do("systemctl", "kill", "-s", "KILL", UNIT)
        assert session.file.read() == b""
        begun = time.monotonic()
        session.close()
        session = open_session(tls)
        assert session.ask(b"again\n") == b"again\n"
        waits.append(time.monotonic() - begun)
        session.close()
    print("ms until a new session answers:", [round(wait * 1000) for wait in waits])
    assert min(waits) < 0.2  # the least, since other tests run beside


def test_its_death_ends_clients_of_a_service_and_the_next_are_served_at_once(tls):
    tls.configure(f'first: {{ address = "127.0.0.1:{PORT}"; tls: {{ ca = "/srv/ca.pem"; }}; }};')
    tls.start_anew()
    waits = []
    for _ in range(5):
        with tls.client("first") as client:
            assert client.ask("x") == b"x\n"
            tls.do("systemctl", "kill", "-s", "KILL", UNIT)
            assert client.at_end()
        begun = time.monotonic()
        with tls.client("first") as client:
            assert client.ask("y") == b"y\n"
        waits.append(time.monotonic() - begun)
    print("ms until a new client is answered:", [round(wait * 1000) for wait in waits])
    assert min(waits) < 0.3  # the least, since other tests run beside


def test_clients_of_a_service_outlive_restarts_of_the_daemon_and_kills_of_its_worker(tls):
    tls.configure(f'first: {{ address = "127.0.0.1:{PORT}"; tls: {{ ca = "/srv/ca.pem"; }}; }};')
    tls.start_anew()
    with tls.client("first") as client:
        for _ in range(3):
            assert client.ask("x") == b"x\n"
            shown = tls.control("clients first")["clients"][0]
            assert (shown["address"], shown["tls"][:7]) == (f"127.0.0.1:{PORT}", "TLSv1.3")
            tls.kill(tls.status()["worker_pid"])
            assert client.ask("y") == b"y\n"
            tls.do("systemctl", "restart", box_module.UNIT)
            assert client.ask("z") == b"z\n"
        assert tls.status()["restarts"] >= 3


def test_score(tls, figure):
    out = tls.do("systemd-analyze", "security", "--no-pager", "--threshold=10", UNIT)
    figure(f"{UNIT} {re.search('level for .*: ([0-9.]+)', out).group(1)}")


def test_a_file_that_another_group_may_read_is_read(tls):
    """Within PrivateUsers= the group itself has no name."""
    shutil.copy(tls.path("/srv/ca.pem"), tls.path("/srv/shared.pem"))
    tls.do("chown", "root:www-data", "/srv/shared.pem")
    tls.do("chmod", "640", "/srv/shared.pem")
    tls.write(f"/etc/systemd/system/{UNIT}.d/groups.conf", "[Service]\nSupplementaryGroups=www-data\n")
    tls.do("systemctl", "daemon-reload")
    try:
        tls.do("systemctl", "restart", UNIT)
        session = tls_program.Session(tls.path("/run/holdfast/tls.sock"),
                                      {"address": f"127.0.0.1:{PORT}", "ca": "/srv/shared.pem"})
        assert session.answer.startswith("ok "), session.answer
        session.close()
    finally:
        tls.do("rm", f"/etc/systemd/system/{UNIT}.d/groups.conf")
        tls.do("systemctl", "daemon-reload")
        tls.do("systemctl", "restart", UNIT)
