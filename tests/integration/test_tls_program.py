"""holdfast-tls by itself: TLS to servers in any mood, for a client that speaks its header."""
import array
import fcntl
import hashlib
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import termios
import threading
import time

import pytest

import holdfast
import tls_program
import upstream as upstream_module

pytestmark = tls_program.MARK
MEGABYTES = 100 if holdfast.LONG else 20


@pytest.fixture(scope="module")
def good(authority):
    return authority.issue("good")


@pytest.fixture
def serve():
    """serve(context, talk) starts a TLS server."""
    yield from holdfast.each_ends(tls_program.server, upstream_module.Upstream.stop)


@pytest.fixture
def openssl(good):
    """openssl(argument, ...) starts openssl s_server; commands go to its standard input."""
    def make(*arguments, pair=good):
        port = holdfast.free_port()
        process = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", pair[0], "-key",
                                    pair[1], *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, bufsize=0, env=holdfast.environment())
        process.address = f"127.0.0.1:{port}"
        wait_said(process, b"ACCEPT")
        return process

    def end(process):
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()

    yield from holdfast.each_ends(make, end)


def command(process, line):
    """Says something to s_server, which has read it when this returns: it takes one read for one command."""
    process.stdin.write(line)
    left = array.array("i", [1])
    holdfast.until(lambda: fcntl.ioctl(process.stdin, termios.FIONREAD, left) == 0 and left[0] == 0, "a reader")


def wait_said(process, text):
    said = b""
    while text not in said:
        assert select.select([process.stdout], [], [], holdfast.BOUND)[0], f"s_server has not said {text}: {said}"
        piece = os.read(process.stdout.fileno(), 65536)
        assert piece, said
        said += piece


def test_answer_and_bytes(program, serve, authority, good):
    one = program()
    assert os.stat(one.path).st_mode & 0o777 == 0o600
    session = one.open(address=serve(tls_program.context(*good)).address, ca=authority.ca, name="localhost")
    assert session.answer.startswith("ok protocol=TLSv1.3 cipher=TLS_"), session.answer
    assert 'peer="CN=good"' in session.answer and 86400 < int(session.field("expires")) - time.time() <= 2 * 86400
    assert session.field("resumed") == "0" and session.field("own_expires") is None
    assert session.ask(b"hello\n") == b"hello\n"


def test_a_server_that_does_not_choose_itself_is_asked_for_the_fastest_cipher(program, openssl, authority):
    one, wanted = program(), "TLS_CHACHA20_POLY1305_SHA256"
    session = one.open(address=openssl("-tls1_3").address, ca=authority.ca)
    assert session.field("cipher") == "TLS_AES_128_GCM_SHA256"
    session = one.open(address=openssl("-tls1_3").address, ca=authority.ca, ciphers=wanted)
    assert session.field("cipher") == wanted


def test_bytes_behind_the_header_are_not_lost(program, serve, authority, good):
    session = program().open(b"early\n", address=serve(tls_program.context(*good)).address, ca=authority.ca)
    assert session.file.readline() == b"early\n"


def test_bad_certificates(program, serve, authority, module_folder, good):
    one, address = program(), serve(tls_program.context(*good)).address
    other = tls_program.Authority(module_folder, "other")
    kind, text = one.refused(address=address, ca=authority.ca, name="db.example")
    assert kind == "name" and "DNS:localhost" in text and '"db.example"' in text
    kind, text = one.refused(address=address, ca=other.ca)
    assert kind == "verify" and "CN=authority" in text and "set ca" in text
    kind, text = one.refused(address=address)
    assert kind == "verify" and "the system's store" in text
    expired = serve(tls_program.context(*authority.expired("expired"))).address
    kind, text = one.refused(address=expired, ca=authority.ca)
    assert kind == "expired" and "renew it" in text
    own = serve(tls_program.context(*authority.self_signed("own"))).address
    kind, text = one.refused(address=own, ca=authority.ca)
    assert kind == "verify" and "self-signed" in text
    crl = authority.revoke(good[0])
    kind, text = one.refused(address=address, ca=authority.ca, crl=crl)
    assert kind == "verify" and "revoked" in text
    assert one.open(address=own, verify="none").answer.startswith("ok ")
    assert one.open(address=address, ca=authority.ca, verify="ca", name="db.example").answer.startswith("ok ")
    assert one.open(address=address, ca=authority.ca, crl=authority.revoke()).answer.startswith("ok ")


def test_bad_servers(program, openssl, upstream, authority):
    one = program()
    plain = upstream(lambda connection: connection.sendall(b"220 plain\r\n") or connection.recv(10000))
    kind, text = one.refused(address=plain.address, ca=authority.ca)
    assert kind == "handshake" and "no TLS" in text
    kind, text = one.refused(address=upstream(upstream_module.stall).address, ca=authority.ca, timeout="0.2")
    assert kind == "timeout" and "handshake" in text
    kind, text = one.refused(address=upstream(lambda connection: None).address, ca=authority.ca)
    assert kind == "handshake" and ("closed" in text or "reset" in text)
    kind, text = one.refused(address=f"127.0.0.1:{holdfast.free_port()}", ca=authority.ca)
    assert kind == "connect" and "refused" in text
    old = openssl("-tls1", "-cipher", "ALL@SECLEVEL=0")
    kind, text = one.refused(address=old.address, ca=authority.ca)
    assert kind == "handshake" and "from 1.2 on" in text


def test_bad_headers_and_files(program, folder):
    one = program()
    assert one.refused(address="localhost:1")[0] == "header"
    assert one.refused(address="127.0.0.1:1", colour="red")[0] == "header"
    client = tls_program.Session(one.path, {"name": "x" * 9000})
    assert client.answer.startswith("error header ")
    client.close()
    os.mkfifo(f"{folder}/pipe")
    listener = upstream_module.Upstream(upstream_module.stall).start()
    for path, what in (("/nonexistent", "No such file"), (f"{folder}/pipe", "not a regular file"),
                       ("/etc/passwd", "PEM")):
        kind, text = one.refused(address=listener.address, ca=path)
        assert kind == "file" and what in text
    listener.stop()


def test_client_certificate(program, serve, authority, good):
    one, address = program(), serve(tls_program.context(*good, client_ca=authority.ca)).address
    cert, key = authority.issue("client")
    session = one.open(address=address, ca=authority.ca, cert=cert, key=key)
    assert int(session.field("own_expires")) > time.time() + 86400 and session.ask(b"hello\n") == b"hello\n"
    assert one.open(address=address, ca=authority.ca).file.readline() == b""
    one.wait_log("certificate required")
    assert one.refused(address=address, ca=authority.ca, cert=cert, key=good[1])[0] == "file"


def test_half_close_of_the_client(program, serve, authority, good):
    def count(peer):
        peer.write(b"%d bytes" % len(peer.read_all()))
        peer.notify()

    session = program().open(address=serve(tls_program.context(*good), count).address, ca=authority.ca)
    session.socket.sendall(b"x" * 1000000)
    session.socket.shutdown(socket.SHUT_WR)
    assert session.file.read() == b"1000000 bytes"


def test_half_close_of_the_server(program, serve, authority, good):
    heard, done = [], threading.Event()

    def last_words(peer):
        peer.write(b"bye\n")
        peer.notify()
        heard.append(peer.read_all())
        done.set()

    session = program().open(address=serve(tls_program.context(*good), last_words).address, ca=authority.ca)
    assert session.file.read() == b"bye\n"
    session.socket.sendall(b"still here")
    session.socket.shutdown(socket.SHUT_WR)
    assert done.wait(holdfast.BOUND) and heard == [b"still here"]


def test_truncation_is_told(program, serve, authority, good):
    one = program()
    session = one.open(address=serve(tls_program.context(*good), lambda peer: peer.write(b"half\n")).address,
                       ca=authority.ca)
    assert session.file.readline() == b"half\n"
    one.wait_log("without close_notify")
    with pytest.raises(BrokenPipeError):
        session.socket.sendall(b"nobody is there")


def test_records_of_one_byte(program, serve, authority, good):
    def drip(peer):
        for byte in b"0123456789" * 100:
            peer.tls.write(bytes([byte]))
        peer.flush()
        peer.notify()

    session = program().open(address=serve(tls_program.context(*good), drip).address, ca=authority.ca)
    assert session.file.read() == b"0123456789" * 100


def transfer(session, megabytes):
    """So much there and back at once; whether it is the same."""
    pieces = [os.urandom(1 << 20) for _ in range(8)]
    sent, received = hashlib.sha256(), hashlib.sha256()

    def send():
        for number in range(megabytes):
            session.socket.sendall(pieces[number % 8])
            sent.update(pieces[number % 8])
        session.socket.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    while data := session.file.read1(1 << 20):
        received.update(data)
    sender.join()
    return sent.digest() == received.digest()


@pytest.mark.parametrize("version, megabytes", ((ssl.TLSVersion.TLSv1_2, 10), (ssl.TLSVersion.TLSv1_3, MEGABYTES)))
def test_much_both_ways(program, serve, authority, good, version, megabytes):
    address = serve(tls_program.context(*good, version=version)).address
    assert transfer(program().open(address=address, ca=authority.ca), megabytes)


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def test_a_client_that_does_not_read_slows_its_server_alone(program, serve, authority, good):
    piece, count = os.urandom(1 << 20), 20

    def flood(peer):
        for _ in range(count):
            peer.write(piece)
        peer.notify()

    one = program()
    slow = one.open(address=serve(tls_program.context(*good), flood).address, ca=authority.ca)
    other = one.open(address=serve(tls_program.context(*good)).address, ca=authority.ca)
    before = resident(one.process.pid)
    for _ in range(1000):
        assert other.ask(b"hello\n") == b"hello\n"
    if not holdfast.SANITIZED:
        assert resident(one.process.pid) - before < 1024  # KiB
    assert slow.file.read() == piece * count


def test_a_client_that_goes_away_ends_its_session(program, serve, authority, good):
    done = threading.Event()

    def wait_for_the_end(peer):
        assert peer.read() == b"last words" and peer.read() == b""
        done.set()

    session = program().open(address=serve(tls_program.context(*good), wait_for_the_end).address, ca=authority.ca)
    session.socket.sendall(b"last words")
    session.close()
    assert done.wait(holdfast.BOUND)


def test_key_update_and_renegotiation(program, openssl, authority):
    one = program()
    new = openssl("-tls1_3")
    session = one.open(address=new.address, ca=authority.ca)
    command(new, b"K\n")  # asks for an update of the other side's key, too
    command(new, b"after\n")
    assert session.file.readline() == b"after\n"
    session.socket.sendall(b"to the server\n")
    wait_said(new, b"to the server")
    old = openssl("-tls1_2")
    session = one.open(address=old.address, ca=authority.ca)
    assert "TLSv1.2" in session.answer
    session.socket.sendall(b"before\n")
    wait_said(old, b"before")
    command(old, b"r\n")
    assert session.file.read() == b""  # OpenSSL as a server ends a session whose renegotiation is refused
    one.wait_log("the session has ended")


def test_resumption_and_files_that_change(program, serve, authority, module_folder, good, folder):
    one, address = program(), serve(tls_program.context(*good)).address
    other = tls_program.Authority(module_folder, "another")
    ca = shutil.copy(authority.ca, f"{folder}/ca.pem")
    for resumed in ("0", "1", "1"):
        session = one.open(address=address, ca=ca)
        assert session.field("resumed") == resumed and session.ask(b"hello\n") == b"hello\n"  # tickets come before it
        session.close()
    assert one.open(address=address, ca=ca, name="localhost").field("resumed") == "0"
    shutil.copy(other.ca, f"{folder}/new.pem")
    os.rename(f"{folder}/new.pem", ca)
    assert one.refused(address=address, ca=ca)[0] == "verify"
    shutil.copy(authority.ca, f"{folder}/new.pem")
    os.rename(f"{folder}/new.pem", ca)
    assert one.open(address=address, ca=ca).field("resumed") == "0"


def test_stop_waits_for_sessions(program, serve, authority, good):
    one = program()
    session = one.open(address=serve(tls_program.context(*good)).address, ca=authority.ca)
    one.process.send_signal(signal.SIGTERM)
    holdfast.until(lambda: not os.path.exists(one.path), "the socket is gone")
    assert session.ask(b"hello\n") == b"hello\n"
    session.close()
    assert holdfast.wait_exit(one.process) == 0


def test_with_a_process_that_has_ended(folder):
    """It was killed while it started the program."""
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    one = subprocess.Popen([tls_program.PROGRAM, "-s", f"{folder}/tls.sock", "--with", str(ended.pid)])
    assert holdfast.wait_exit(one) == 0 and not os.path.exists(f"{folder}/tls.sock")


def test_stop_timeout(program, serve, authority, good):
    one = program("--stop-timeout", "0.1")
    session = one.open(address=serve(tls_program.context(*good)).address, ca=authority.ca)
    one.process.send_signal(signal.SIGTERM)
    assert holdfast.wait_exit(one.process) == 0 and session.file.read() == b""


def test_upgrade_loses_nobody(program, serve, authority, good):
    one, lines = program(), {"address": serve(tls_program.context(*good)).address, "ca": authority.ca}
    before = one.open(**lines)
    one.upgrade()
    one.wait_log("no further clients are taken")
    assert one.open(**lines).ask(b"new\n") == b"new\n" and before.ask(b"old\n") == b"old\n"
    before.close()
    assert holdfast.wait_exit(one.process) == 0
    assert one.open(**lines).ask(b"again\n") == b"again\n"


def test_new_instance_takes_the_path(program, serve, authority, good, folder):
    one = program()
    os.mkdir(f"{folder}/second")
    first = os.stat(one.path).st_ino
    second = subprocess.Popen([tls_program.PROGRAM, "-s", one.path], stdin=subprocess.DEVNULL)
    holdfast.until(lambda: os.stat(one.path).st_ino != first, "the new instance's socket")
    one.process.send_signal(signal.SIGTERM)
    assert holdfast.wait_exit(one.process) == 0 and os.path.exists(one.path)
    session = one.open(address=serve(tls_program.context(*good)).address, ca=authority.ca)
    assert session.ask(b"hello\n") == b"hello\n"
    session.close()
    second.send_signal(signal.SIGTERM)
    assert holdfast.wait_exit(second) == 0 and not os.path.exists(one.path)


def test_more_than_max_sessions(program, serve, authority, good):
    one, lines = program("--max-sessions", "1"), {"address": serve(tls_program.context(*good)).address}
    one.open(ca=authority.ca, **lines)
    assert one.refused(ca=authority.ca, **lines)[0] == "limit"
