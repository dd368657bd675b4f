"""tls_program - starts holdfast-tls and speaks its header; TLS servers in odd moods; certificates for them."""
import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest

import holdfast
import lookups
import upstream

PROGRAM = os.path.join(holdfast.BUILD, "holdfast-tls")
MARK = pytest.mark.skipif(not os.path.exists(PROGRAM), reason="built without OpenSSL")


def connect(path, lines):
    """A client that has said its header."""
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(holdfast.BOUND)
    one.connect(path)
    one.sendall(header(lines))
    return one


class Session:
    """One connection to holdfast-tls, its header sent and its answer read."""

    def __init__(self, path, lines, more=b""):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(holdfast.BOUND)
        self.socket.connect(path)
        with contextlib.suppress(BrokenPipeError):  # the answer may be there before the header is read
            self.socket.sendall(header(lines) + more)
        self.file = self.socket.makefile("rb")
        self.answer = self.file.readline().decode()

    def ask(self, line):
        self.socket.sendall(line)
        return self.file.readline()

    def field(self, name):
        return next((word.partition("=")[2] for word in self.answer.split() if word.startswith(name + "=")), None)

    def close(self):
        self.file.close()
        self.socket.close()


def header(lines):
    return "".join(["holdfast-tls 1\n", *(f"{name} {value}\n" for name, value in lines.items()), "\n"]).encode()


class Program:
    """Tells, as a service of systemd does, which process serves."""

    def __init__(self, folder, *arguments):
        self.folder, self.path = folder, f"{folder}/tls.sock"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(f"{folder}/notify")
        self.notify.settimeout(holdfast.BOUND)
        self.log_file = open(f"{folder}/log", "w+b")
        self.process = subprocess.Popen([PROGRAM, "-v", "-s", self.path, *arguments], stdin=subprocess.DEVNULL,
                                        stderr=self.log_file, stdout=self.log_file,
                                        env=holdfast.environment(NOTIFY_SOCKET=f"{folder}/notify"))
        self.sessions = []
        self.pids = [self.hear_main(r"MAINPID=(\d+)\nREADY=1")]

    def hear_main(self, pattern):
        text = self.notify.recv(4096).decode()
        match = re.fullmatch(pattern, text)
        assert match, text
        return int(match[1])

    def upgrade(self):
        """Who serves names its successor once that is ready."""
        os.kill(self.pids[-1], signal.SIGUSR2)
        self.pids.append(self.hear_main(r"MAINPID=(\d+)"))

    def open(self, more=b"", **lines):
        session = Session(self.path, {"service": "db", **lines}, more)
        self.sessions.append(session)
        return session

    def refused(self, **lines):
        """The kind and the text of the error that this is answered with."""
        answer = self.open(**lines).answer
        assert answer.startswith("error "), answer
        return answer.split(" ", 2)[1:]

    def log(self):
        with open(f"{self.folder}/log", errors="replace") as file:
            return file.read()

    def wait_log(self, text):
        holdfast.until(lambda: text in self.log(), f"{text!r} in the log")

    def end(self):
        for session in self.sessions:
            session.close()
        for pid in reversed(self.pids):
            if pid != self.process.pid and holdfast.proc_state(pid):
                os.kill(pid, signal.SIGTERM)
                holdfast.until(lambda: holdfast.proc_state(pid) in ("", "Z"), "the end of the new instance")
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            assert holdfast.wait_exit(self.process) == 0, self.log()
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self.notify.close()
            self.log_file.close()
        assert "Sanitizer" not in self.log() and "runtime error" not in self.log(), self.log()


class Authority(lookups.Authority):
    """Also makes odd certificates, and lists of revoked ones."""

    def expired(self, name):
        cert, key = self.issue(name)
        self.openssl("x509", "-req", "-in", self.file(name + ".req"), "-CA", self.ca, "-CAkey", self.file("ca.key"),
                     "-days", "0", "-extfile", self.file(name + ".ext"), "-out", cert)
        return cert, key

    def future(self, name):
        cert, key = self.issue(name)
        config = self.file("future.cnf")
        open(self.file("future.txt"), "w").close()
        with open(config, "w") as file:
            file.write(f"[ca]\ndefault_ca=it\n[it]\ndatabase={self.file('future.txt')}\ndefault_md=sha256\n"
                       f"new_certs_dir={self.folder}\nrand_serial=yes\npolicy=any\n[any]\ncommonName=supplied\n")
        self.openssl("ca", "-batch", "-notext", "-config", config, "-cert", self.ca, "-keyfile", self.file("ca.key"),
                     "-in", self.file(name + ".req"), "-extfile", self.file(name + ".ext"),
                     "-startdate", "20990101000000Z", "-enddate", "20991231000000Z", "-out", cert)
        return cert, key

    def self_signed(self, name):
        cert, key = self.file(name + ".pem"), self.file(name + ".key")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                     "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
                     cert)
        return cert, key

    def revoke(self, *certs):
        """A list that has these."""
        config, database, crl = self.file("ca.cnf"), self.file("index.txt"), self.file("crl.pem")
        with open(config, "w") as file:
            file.write(f"[ca]\ndefault_ca=it\n[it]\ndatabase={database}\ndefault_md=sha256\ndefault_crl_days=2\n")
        open(database, "w").close()
        words = ["ca", "-config", config, "-cert", self.ca, "-keyfile", self.file("ca.key")]
        for cert in certs:
            self.openssl(*words, "-revoke", cert)
        self.openssl(*words, "-gencrl", "-out", crl)
        return crl


class Peer:
    """A server's side of TLS, record by record."""

    def __init__(self, connection, context):
        self.connection, self.incoming, self.outgoing = connection, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.work(self.tls.do_handshake)

    def flush(self):
        if self.outgoing.pending:
            self.connection.sendall(self.outgoing.read())

    def work(self, do, *arguments):
        while True:
            try:
                result = do(*arguments)
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                data = self.connection.recv(65536)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            except ssl.SSLError:
                self.flush()  # an alert
                raise

    def read(self):
        """b"" at the other side's close_notify."""
        try:
            return self.work(self.tls.read, 65536)
        except ssl.SSLZeroReturnError:
            return b""

    def read_all(self):
        return b"".join(iter(self.read, b""))

    def write(self, data):
        self.tls.write(data)
        self.flush()

    def notify(self):
        """Says that nothing more comes."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        self.flush()


class Bridge:
    """A Unix socket for clients that know nothing of holdfast-tls: says the header for each, as holdfastd does."""

    def __init__(self, program, path, lines):
        self.program, self.path, self.lines = program, path, lines
        self.answers, self.sockets, self.threads = [], [], []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(100)
        self.start(self.accept)

    def start(self, work, *arguments):
        self.threads.append(threading.Thread(target=work, args=arguments))
        self.threads[-1].start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                session = Session(self.program.path, self.lines)
                self.answers.append(session.answer)
                self.sockets += [client, session.socket]
                self.start(self.copy, session.file.read1, client)
                self.start(self.copy, client.recv, session.socket)

    @staticmethod
    def copy(read, there):
        with contextlib.suppress(OSError):
            while data := read(65536):
                there.sendall(data)
        with contextlib.suppress(OSError):
            there.shutdown(socket.SHUT_WR)

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.threads[0].join()
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for one in [*self.sockets, self.listener]:
            one.close()


def echo(peer):
    while data := peer.read():
        peer.write(data)
    peer.notify()


def context(cert, key, client_ca=None, version=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(cert, key)
    if client_ca:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(client_ca)
    if version:
        made.maximum_version = version
    return made


def server(made, talk=echo):
    """A TLS server that does talk(peer)."""
    return upstream.Upstream(lambda connection: talk(Peer(connection, made))).start()
