"""holdfast-tls to servers that greet first, SMTP and IMAP: their clients need not know of TLS."""
import imaplib
import smtplib
import socket

import pytest

import holdfast
import tls_program

pytestmark = tls_program.MARK


@pytest.fixture(scope="module")
def context(authority):
    return tls_program.context(*authority.issue("mail"))


@pytest.fixture
def bridge(program, authority, folder):
    yield from holdfast.each_ends(lambda address, starttls: tls_program.Bridge(program(), f"{folder}/mail.sock", {
        "address": address, "ca": authority.ca, "name": "localhost", "starttls": starttls}))


def talk(connection, greeting, answers):
    """Greets; answers lines by their beginning, until one says that TLS follows."""
    connection.sendall(greeting)
    with connection.makefile("rb", buffering=0) as lines:
        for line in lines:
            answer = next((text for begin, text in answers.items() if begin in line.upper()), b"500 unknown\r\n")
            connection.sendall(answer.replace(b"TAG", line.split()[0]))
            if answer in answers.values() and b"TLS now" in answer:
                return True
    return False


def smtp_server(context, offers=b"250-mail\r\n250 STARTTLS\r\n", agrees=b"220 TLS now\r\n"):
    def serve(connection):
        if not talk(connection, b"220-mail.example\r\n220 ESMTP\r\n", {b"EHLO": offers, b"STARTTLS": agrees}):
            return
        with context.wrap_socket(connection, server_side=True) as inside:
            talk(inside, b"", {b"EHLO": b"250-mail\r\n250 AUTH PLAIN\r\n", b"MAIL": b"250 fine\r\n",
                               b"QUIT": b"221 bye\r\n"})
    return serve


def imap_server(context, greeting=b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hello\r\n"):
    def serve(connection):
        if not talk(connection, greeting, {b"STARTTLS": b"* OK soon\r\nTAG OK TLS now\r\n"}):
            return
        with context.wrap_socket(connection, server_side=True) as inside:
            talk(inside, b"", {b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n",
                               b"LOGIN": b"TAG OK in\r\n", b"LOGOUT": b"* BYE\r\nTAG OK out\r\n"})
    return serve


class Smtp(smtplib.SMTP):
    def _get_socket(self, host, port, timeout):
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(timeout)
        one.connect(host)
        return one


class Imap(imaplib.IMAP4):
    def _create_socket(self, timeout):
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(holdfast.BOUND)
        one.connect(self.host)
        return one


def test_smtp(upstream, context, bridge):
    one = bridge(upstream(smtp_server(context)).address, "smtp")
    with Smtp(one.path, timeout=holdfast.BOUND) as client:
        assert client.ehlo()[0] == 250
        assert client.has_extn("auth") and not client.has_extn("starttls")
        assert client.mail("me@example.org")[0] == 250
    assert one.answers[0].startswith("ok protocol=TLSv1.3")


def test_imap(upstream, context, bridge):
    one = bridge(upstream(imap_server(context)).address, "imap")
    with Imap(one.path) as client:
        assert client.capabilities == ("IMAP4REV1",)
        assert client.login("me", "secret")[0] == "OK"
    assert one.answers[0].startswith("ok protocol=TLSv1.3")


@pytest.mark.parametrize("warm", (0, 1))
def test_through_the_daemon(upstream, context, program, daemon, authority, warm):
    """The greeting comes with holdfast-tls's answer, for a client that may not have come yet."""
    one = daemon("".join(
        f's{kind}: {{ address = "{upstream(serve(context)).address}"; warm = {warm}; tls: {{ ca = "{authority.ca}"; '
        f'name = "localhost"; starttls = "{kind}"; socket = "{tls.path}"; }}; }};\n'
        for tls in [program()] for kind, serve in (("smtp", smtp_server), ("imap", imap_server))))
    for _ in range(3):
        with Smtp(one.socket("ssmtp"), timeout=holdfast.BOUND) as client:
            assert client.mail("me@example.org")[0] == 250
        with Imap(one.socket("simap")) as client:
            assert client.login("me", "secret")[0] == "OK"


def test_refusals(upstream, context, program, authority):
    one = program()

    def refused(serve, starttls):
        kind, text = one.refused(address=upstream(serve).address, ca=authority.ca, starttls=starttls)
        assert kind == "starttls"
        return text

    assert "offers no STARTTLS" in refused(smtp_server(context, offers=b"250 mail\r\n"), "smtp")
    assert "refuses STARTTLS" in refused(smtp_server(context, agrees=b"454 not now\r\n"), "smtp")
    assert "in between" in refused(smtp_server(context, agrees=b"220 TLS now\r\n250 hello\r\n"), "smtp")
    assert "no IMAP" in refused(smtp_server(context), "imap")
    assert "no SMTP" in refused(imap_server(context), "smtp")
    assert "logged in" in refused(imap_server(context, b"* PREAUTH hello\r\n"), "imap")
