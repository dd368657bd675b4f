"""holdfast-tls to a PostgreSQL that takes TLS alone."""
import os
import shutil
import struct

import pytest

import real_servers
import tls_program

pytestmark = [pytest.mark.plain, tls_program.MARK]


def demand_tls(postgres, pair):
    """hostssl only."""
    cert, key = (shutil.copy(path, f"{postgres.data}/server.{end}") for path, end in zip(pair, ("crt", "key")))
    owner = os.stat(postgres.data)
    for path in (cert, key):
        os.chown(path, owner.st_uid, owner.st_gid)
        os.chmod(path, 0o600)
    with open(f"{postgres.data}/postgresql.conf", "a") as file:
        file.write("ssl = on\n")
    with open(f"{postgres.data}/pg_hba.conf", "w") as file:
        file.write("hostssl all all 127.0.0.1/32 trust\n")


def read_until_ready(file):
    """The messages' types and bodies, up to ReadyForQuery."""
    messages = []
    while not messages or messages[-1][0] != b"Z":
        kind, length = struct.unpack("!cI", file.read(5))
        messages.append((kind, file.read(length - 4)))
        assert kind != b"E", messages
    return messages


def test_hostssl_only(folder):
    authority = tls_program.Authority(folder)
    postgres = real_servers.Postgres(folder)
    postgres.program("initdb", "-D", postgres.data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
    demand_tls(postgres, authority.issue("db"))
    postgres.run()
    one = tls_program.Program(folder)
    try:
        session = one.open(address=postgres.address, ca=authority.ca, name="localhost", starttls="postgresql")
        assert session.answer.startswith("ok protocol=TLSv1.3"), session.answer
        session.socket.sendall(postgres.STARTUP)
        read_until_ready(session.file)
        query = b"SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()\0"
        session.socket.sendall(b"Q" + struct.pack("!I", len(query) + 4) + query)
        row = next(body for kind, body in read_until_ready(session.file) if kind == b"D")
        assert row == b"\0\2\0\0\0\1t\0\0\0\7TLSv1.3"
        session.socket.sendall(b"X\0\0\0\4")
        assert session.file.read() == b""
        assert one.refused(address=postgres.address, ca=authority.ca)[0] in ("handshake", "timeout")
    finally:
        one.end()
        postgres.stop()
