"""MySQL clients that know nothing of TLS, and a MariaDB that takes TLS alone."""
import json
import os
import shutil

import pytest

import holdfast
import real_servers
import storm
import tls_program

pytestmark = [pytest.mark.plain, tls_program.MARK]
VERSION = "show status like 'Ssl_version'"


class Place:
    """A MariaDB with TLS, holdfast-tls, and Unix sockets for clients."""

    def __init__(self, folder):
        self.folder, self.authority = folder, tls_program.Authority(folder)
        pair = self.authority.issue("db")
        for path in pair:
            os.chmod(path, 0o644)
        self.database = real_servers.MariaDB(folder, f"--ssl-cert={pair[0]}", f"--ssl-key={pair[1]}",
                                             "--require-secure-transport=on").start()
        assert self.database.process.poll() is None
        self.database.ask("create database shop; create user shop@'%' identified by 'secret';"
                          "grant all on shop.* to shop@'%'")
        self.program = tls_program.Program(folder)
        self.bridges = []
        self.path = self.bridge().path

    def bridge(self, **more):
        lines = {"service": "shop", "address": self.database.address, "ca": self.authority.ca, "name": "localhost",
                 "starttls": "mysql", **more}
        self.bridges.append(tls_program.Bridge(self.program, f"{self.folder}/{len(self.bridges)}.sock", lines))
        return self.bridges[-1]

    def end(self):
        for one in self.bridges:
            one.end()
        self.program.end()
        self.database.stop()


@pytest.fixture(scope="module")
def place(module_folder):
    one = Place(module_folder)
    yield one
    one.end()


def ask(path, statement, *options, user="shop", password="secret"):
    return holdfast.run("mariadb", "--no-defaults", *options, "-u", user, f"-p{password}", "-S", path, "-Ne",
                        statement)


def test_mariadbs_client(place):
    for options in ((), ("--compress",), ("--ssl",)):
        done = ask(place.path, f"{VERSION}; select repeat('x', 100000)", *options)
        assert done.stdout.split() == ["Ssl_version", "TLSv1.3", "x" * 100000], done.stderr
    assert "Access denied" in ask(place.path, "select 1", password="wrong").stderr
    assert "close_notify" not in place.program.log() and "reset" not in place.program.log()
    assert place.bridges[0].answers[0] == 'ok protocol=none cipher=none peer="" resumed=0 alpn=""\n'


def test_another_method_than_the_greetings(place):
    """The server asks for it, which takes two packets more."""
    done = place.database.ask("install soname 'auth_ed25519'; create user ed@'%' identified via ed25519 using "
                              "password('other')")
    if done.returncode != 0:
        pytest.skip(done.stderr)
    done = ask(place.path, VERSION, user="ed", password="other")
    assert done.stdout.split() == ["Ssl_version", "TLSv1.3"], done.stderr
    assert "Access denied" in ask(place.path, "select 1", user="ed", password="wrong").stderr


def test_pymysql(place):
    pymysql = pytest.importorskip("pymysql", reason="needs it: apt-get install python3-pymysql")
    connection = pymysql.connect(unix_socket=place.path, user="shop", password="secret", database="shop")
    with connection, connection.cursor() as cursor:
        cursor.execute(VERSION)
        assert cursor.fetchall() == (("Ssl_version", "TLSv1.3"),)
        connection.ping()


def ask_by_mysql2(where):
    """where: {socketPath} or {host, port}."""
    script = """
        const mysql = require('mysql2');
        const where = JSON.parse(process.argv[1]);
        const one = mysql.createConnection({...where, user: 'shop', password: 'secret'});
        one.query("show status like 'Ssl_version'", (error, rows) => {
            console.log(error || rows[0].Value);
            one.end();
        });
        """
    done = holdfast.run("node", "-e", script, json.dumps(where), env=real_servers.node_environment("mysql2"))
    assert done.stdout == "TLSv1.3\n", done.stderr


def test_mysql2(place):
    ask_by_mysql2({"socketPath": place.path})


def test_mysql2_by_host_and_port(place, daemon):
    port = holdfast.free_port()
    daemon(f's: {{ address = "{place.database.address}"; warm = 0; listen = ( "s.sock", "127.0.0.1:{port}" ); '
           f'tls: {{ ca = "{place.authority.ca}"; name = "localhost"; starttls = "mysql"; '
           f'socket = "{place.program.path}"; }}; }};\n')
    ask_by_mysql2({"host": "127.0.0.1", "port": port})


def test_through_the_daemon(place, daemon):
    """By Unix socket and by TCP; nothing of the server's greetings is lost, nor when the worker dies in between."""
    port = holdfast.free_port()
    tls = (f'tls: {{ ca = "{place.authority.ca}"; name = "localhost"; starttls = "mysql"; '
           f'socket = "{place.program.path}"; }};')
    one = daemon(f's: {{ address = "{place.database.address}"; warm = 0; {tls} }};\n'
                 f't: {{ address = "{place.database.address}"; warm = 0; {tls} '
                 f'listen: {{ path = "127.0.0.1:{port}"; }}; }};\n')
    for options in ((), ("-h", "127.0.0.1", "-P", str(port))):
        done = ask(one.socket("s"), f"{VERSION}; select repeat('x', 1000000)", *options)
        assert done.stdout.split() == ["Ssl_version", "TLSv1.3", "x" * 1000000], done.stderr
        one.kill_worker()
    with one.client("s") as client:
        assert client.file.read(5)[4:] == b"\x0a"
        one.kill_worker()
        assert b"MariaDB" in client.file.read(30)


@pytest.fixture(scope="module")
def other(module_folder):
    return tls_program.Authority(module_folder, "other")


@pytest.mark.parametrize("wrong, says", (("ca", "set ca"), ("name", "DNS:localhost")))
def test_a_bad_certificate_is_a_failed_attempt(place, daemon, other, wrong, says):
    """Before a client has the server's greeting: it is held until the settings are right."""
    def services(ca=place.authority.ca, name="localhost"):
        return (f's: {{ address = "{place.database.address}"; warm = 0; retry: {{ delay = 0.05; }}; '
                f'hold_retry = 0.05; tls: {{ ca = "{ca}"; name = "{name}"; starttls = "mysql"; '
                f'socket = "{place.program.path}"; }}; }};\n')

    one = daemon(services(**{"ca": {"ca": other.ca}, "name": {"name": "db.example"}}[wrong]))
    with one.client("s") as client:
        holdfast.until(lambda: says in (one.status("s")["last_error"] or ""), "the cause")
        assert not one.status("s")["up"] and one.command("endpoints s")["endpoints"][0]["state"] == "failed"
        assert one.status("s")["held"] == 1
        one.configure(services())
        one.command("reload")
        assert b"MariaDB" in client.file.read(30)


def test_one_that_has_become_bad_is_told_to_a_client_and_is_a_failed_attempt_then(place, other):
    """The server takes another certificate while it runs."""
    lines = {"service": "shop", "address": place.database.address, "ca": place.authority.ca, "name": "localhost",
             "starttls": "mysql"}
    pair = [place.authority.file("db" + end) for end in (".pem", ".key")]
    kept = [open(path).read() for path in pair]
    assert ask(place.path, "select 1").stdout == "1\n"
    try:
        for path, new in zip(pair, other.issue("db")):
            shutil.copyfile(new, path)
        assert place.database.ask("flush ssl").returncode == 0
        done = ask(place.path, "select 1")
        assert "ERROR 1043 (08S01)" in done.stderr and "holdfast-tls: verify" in done.stderr
        kind, text = place.program.refused(**lines)
        assert kind == "verify" and "set ca" in text
    finally:
        for path, text in zip(pair, kept):
            with open(path, "w") as file:
                file.write(text)
        place.database.ask("flush ssl")
    assert ask(place.path, "select 1").stdout == "1\n"


def test_client_that_says_nothing(place):
    """It goes; and the server's own time is over before it has said something."""
    place.database.ask("set global connect_timeout = 2")
    lines = place.bridges[0].lines
    session = place.program.open(**lines)
    assert b"MariaDB" in session.file.peek()
    session.close()
    session = place.program.open(**lines)
    assert session.file.read().endswith(b"mysql_native_password\0")


def test_servers_that_are_none_or_have_no_tls(place, upstream):
    greeting = b"\x15\0\0\0\x0a8.0\0\7\0\0\0saltsalt\0\xfe\xf7\x21"

    def refused(said):
        one = upstream(lambda connection: connection.sendall(said) or connection.recv(1000))
        kind, text = place.program.refused(address=one.address, starttls="mysql")
        assert kind == "starttls"
        return text

    assert "ssl_cert" in refused(greeting)
    assert "many connections" in refused(b"\x17\0\0\0\xff\x10\x04Too many connections")
    assert "no MySQL" in refused(b"220 mail.example ESMTP\r\n")
    assert "in between" in refused(greeting.replace(b"\xf7", b"\xff") + b"\0")


def test_sessions_of_a_service_while_the_worker_is_killed(daemon, place, figure):
    """By a Unix socket and by TCP; each statement is answered, and none twice."""
    port = holdfast.free_port()
    more = (f'address = "{place.database.address}"; tls: {{ ca = "{place.authority.ca}"; name = "localhost"; '
            f'starttls = "mysql"; socket = "{place.program.path}"; }};')
    one = daemon(f's: {{ {more} }};\nt: {{ listen: {{ path = "127.0.0.1:{port}"; }}; {more} }};')
    statements = "".join(f"select {number}, sleep(0.01);\n" for number in range(60))
    with storm.Kills(one, 0.05) as kills:
        for where in (["-S", one.socket("s")], ["-h", "127.0.0.1", "-P", str(port)]):
            done = holdfast.run("mariadb", "--no-defaults", "--skip-ssl", "-u", "shop", "-psecret", *where, "-Ne",
                                statements + VERSION)
            assert done.returncode == 0, done.stderr
            assert done.stdout == "".join(f"{number}\t0\n" for number in range(60)) + "Ssl_version\tTLSv1.3\n"
    assert one.command("endpoints s")["endpoints"][0]["tls"]["protocol"] == "TLS"
    figure(f"{kills.count} kills, {2 * 61} statements")
    assert kills.count > 3
