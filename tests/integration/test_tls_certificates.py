"""Each kind of server that TLS cannot be had with is a failed attempt, whose cause says what to do."""
import ssl

import pytest

import holdfast
import tls_program
import upstream as upstream_module

pytestmark = [pytest.mark.plain, tls_program.MARK]


class Place:
    """Servers of each kind."""

    def __init__(self, folder):
        self.authority, self.other = tls_program.Authority(folder), tls_program.Authority(folder, "other")
        self.good = self.authority.issue("good")
        self.program = tls_program.Program(folder)
        self.servers = []

    def serve(self, pair, **more):
        self.servers.append(tls_program.server(tls_program.context(*pair, **more)))
        return self.servers[-1].address

    def plain(self):
        self.servers.append(upstream_module.Upstream(
            lambda connection: connection.sendall(b"220 plain\r\n") or connection.recv(10000)).start())
        return self.servers[-1].address

    def old(self):
        made = tls_program.context(*self.good)
        made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1
        made.set_ciphers("ALL:@SECLEVEL=0")
        self.servers.append(tls_program.server(made))
        return self.servers[-1].address

    def client(self):
        cert, key = self.other.issue("client")
        return f'cert = "{cert}"; key = "{key}";'

    def end(self):
        for one in self.servers:
            one.stop()
        self.program.end()


@pytest.fixture(scope="module")
def place(module_folder):
    made = Place(module_folder)
    yield made
    made.end()


# What is wrong: the server's address, further settings, what is said.
KINDS = {
    "name": lambda it: (it.serve(it.good), 'name = "db.example";', 'not for "db.example"; set name to'),
    "expired": lambda it: (it.serve(it.authority.expired("expired")), "", "renew it"),
    "not-yet-valid": lambda it: (it.serve(it.authority.future("future")), "", "not valid before"),
    "self-signed": lambda it: (it.serve(it.authority.self_signed("own")), "", "self-signed"),
    "unknown-ca": lambda it: (it.serve(it.other.issue("stranger")), "", "set ca"),
    "revoked": lambda it: (it.serve(it.good), f'crl = "{it.authority.revoke(it.good[0])}";', "revoked"),
    "client": lambda it: (it.serve(it.good, client_ca=it.authority.ca, version=ssl.TLSVersion.TLSv1_2), it.client(),
                          "unknown ca"),
    "client-1.3": lambda it: (it.serve(it.good, client_ca=it.authority.ca), it.client(), "unknown ca"),
    "no-client": lambda it: (it.serve(it.good, client_ca=it.authority.ca), "", "required"),
    "old": lambda it: (it.old(), "", "from 1.2 on"),
    "plain": lambda it: (it.plain(), "", "no TLS"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wrong_is_told_everywhere(daemon, place, kind):
    address, more, says = KINDS[kind](place)
    one = daemon(f's: {{ address = "{address}"; warm = 1; '
                 f'tls: {{ ca = "{place.authority.ca}"; socket = "{place.program.path}"; {more} }}; }};\n')
    shown = holdfast.until(lambda: one.status("s")["failures"] and one.status("s"), "a failed attempt")
    assert not shown["up"] and says in shown["last_error"] and "tls: " in shown["last_error"], shown["last_error"]
    endpoint, = one.command("endpoints s")["endpoints"]
    assert endpoint["state"] == "failed" and says in endpoint["last_error"]
    assert f"dial {address}: tls: " in one.log() and says in one.log()
    assert says in one.ctl("explain", "s").stdout and says in one.ctl("status").stdout
