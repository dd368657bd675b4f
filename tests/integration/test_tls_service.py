"""A service's way to its servers is TLS, by holdfast-tls: in both modes, with hello, warm and standbys; what fails is
told with its cause, and no death of a worker is noticed."""
import os

import pytest

import holdfast
import tls_program
import upstream as upstream_module
from name_server import A

pytestmark = tls_program.MARK


@pytest.fixture(scope="module")
def good(authority):
    return tls_program.context(*authority.issue("good"))


@pytest.fixture
def serve():
    """serve(context, talk) starts a TLS server."""
    yield from holdfast.each_ends(tls_program.server, upstream_module.Upstream.stop)


def service(folder, address, authority, more="", tls=""):
    return (f's: {{ address = "{address}"; retry: {{ delay = 0.05; }}; {more} '
            f'tls: {{ ca = "{authority.ca}"; socket = "{folder}/tls.sock"; {tls} }}; }};\n')


def test_clients_speak_plainly_and_the_server_tls(daemon, folder, program, serve, authority, good):
    program()
    server = serve(good)
    one = daemon(service(folder, server.address, authority, "warm = 1;"))
    one.wait_connected("s")
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
        one.kill_worker()
        assert client.ask("y") == b"y\n"
        shown = one.command("clients s")["clients"][0]
        assert (shown["address"], shown["tls"][:7]) == (server.address, "TLSv1.3")
        client.shutdown()
        assert client.at_end()
    tls = one.command("endpoints s")["endpoints"][0]["tls"]
    assert (tls["protocol"], tls["peer"], tls["own_expires"]) == ("TLSv1.3", "CN=good", None)
    assert one.status("s")["tls_expires"] == tls["expires"]
    one.wait_log(f"the certificate of {server.address} ends in 1 days; renew it on the server")
    assert "WARNING - 1 of 1 service up; s certificate expires in 1d" in one.ctl("check").stdout


def test_what_is_wrong_and_what_to_do_is_the_attempts_cause(daemon, folder, program, serve, authority, good):
    one = daemon(service(folder, serve(good).address, authority))
    one.wait_log(f"tls: holdfast-tls is not running at {folder}/tls.sock: start holdfast-tls.socket; next attempt in")
    assert one.command("endpoints s")["endpoints"][0]["state"] == "ok", "the endpoint is not to blame"
    with one.client("s") as client:  # held meanwhile
        program()
        assert client.ask("x") == b"x\n"
    other = serve(good).address
    one.configure(service(folder, other, authority, tls='name = "db";'))
    one.command("reload")
    one.wait_log(f"dial {other}: tls: the server's certificate is for IP Address:127.0.0.1, DNS:localhost, not "
                 "for \"db\"; set name to one of its names")
    assert one.command("endpoints s")["endpoints"][0]["state"] == "failed"
    one.configure(service(folder, other, authority, tls='cert = "/nowhere"; key = "/nowhere";'))
    one.command("reload")
    one.wait_log("tls: cert: /nowhere: No such file or directory")
    one.configure(service(folder, other, authority))
    one.command("reload")
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"


def test_a_server_that_does_not_shake_hands_is_given_up_in_time(daemon, folder, program, upstream, authority):
    program()
    silent = upstream(lambda connection: connection.recv(1 << 16) and connection.recv(1))
    one = daemon(service(folder, silent.address, authority, "connect_timeout = 0.3;"))
    one.wait_log("tls: the handshake takes too long; check the port, or set starttls")


def test_hello_probe_and_health_are_spoken_within_tls(daemon, folder, program, serve, authority, good):
    """The second endpoint is dialled in the background alone."""
    program()
    probes = [[], []]

    def talk(peer, own):
        while data := peer.read():
            if data.startswith(b"GET"):
                own.append(data)
                data = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            peer.write(b"yes\n" if data == b"ready?\n" else data)

    first, second = (serve(good, lambda peer, own=own: talk(peer, own)).address for own in probes)
    more = 'hello = ( { send = "ready?\\n"; expect = "yes"; } ); probe = "http"; health: { interval = 0.1; };'
    text = service(folder, first, authority, more + f'addresses = ["{first}", "{second}"];')
    one = daemon(text.replace(f'address = "{first}"; ', ""))
    with one.client("s") as client:
        assert client.ask("x") == b"x\n" and probes[0]
        holdfast.until(lambda: len(probes[1]) > 1, "probes of health dials")


def test_shared_mode_with_a_standby(daemon, folder, program, serve, authority, good):
    program()
    first, second = serve(good), serve(good)
    more = f'mode = "shared"; framing = "line"; standby = 1; addresses = ["{first.address}", "{second.address}"];'
    text = service(folder, first.address, authority, more).replace(f'address = "{first.address}"; ', "")
    one = daemon(text)
    one.wait_status("s", standby=1)
    with one.client("s") as a, one.client("s") as b:
        assert a.ask("a") == b"a\n" and b.ask("b") == b"b\n"
        one.kill_worker()
        assert a.ask("a") == b"a\n" and b.ask("b") == b"b\n"
        first.stop()
        one.wait_status("s", address=second.address)
        assert a.ask("a") == b"a\n" and b.ask("b") == b"b\n"
        assert {shown["tls"][:7] for shown in one.command("clients s")["clients"]} == {"TLSv1.3"}


def test_the_check_has_the_files_looked_into(folder, program, authority, good):
    cert, key = authority.issue("client")
    other_key = authority.issue("other")[1]
    os.mkdir(f"{folder}/d")

    def check(tls):
        with open(f"{folder}/d/conf", "w") as file:
            file.write(f'runtime_directory = "{folder}/d";\nservices: {{ '
                       f'{service(folder, "127.0.0.1:5432", authority, tls=tls)} }};\n')
        return holdfast.run(os.path.join(holdfast.BUILD, "holdfastd"), "-t", "-c", f"{folder}/d/conf")

    done = check('cert = "/nowhere"; key = "/nowhere";')
    assert done.returncode == 0 and f"holdfast-tls is not running at {folder}/tls.sock" in done.stderr, done.stderr
    assert "/nowhere: No such file or directory; attempts fail until it is there" in done.stderr
    program()
    done = check(f'cert = "{cert}"; key = "{key}"; starttls = "postgresql";')
    assert done.returncode == 0 and f"tls.cert: {cert}: expires in 1 days; renew it" in done.stderr, done.stderr
    assert 'port 5432 is PostgreSQL\'s, which is asked for TLS first' in check("").stderr
    done = check(f'cert = "{cert}"; key = "{other_key}";')
    assert done.returncode != 0 and "tls.key" in done.stderr, done.stderr
    done = check('cert = "/nowhere"; key = "/nowhere";')
    assert done.returncode != 0 and "tls.cert: cert: /nowhere: No such file or directory" in done.stderr, done.stderr
    assert "nobody knows whether this is the server" in check('verify = "none";').stderr
    assert "tls.cert: needs tls.key too" in check(f'cert = "{cert}";').stderr


def test_a_reload_turns_tls_on_and_off(daemon, folder, program, upstream, serve, authority, good):
    program()
    plain, secret = upstream(), serve(good)
    one = daemon(f's: {{ address = "{plain.address}"; warm = 1; }};')
    with one.client("s") as before:
        assert before.ask("x") == b"x\n"
        one.configure(service(folder, secret.address, authority, "warm = 1;"))
        one.command("reload")
        one.wait_status("s", warm=1)
        with one.client("s") as after:
            assert (before.ask("x"), after.ask("y")) == (b"x\n", b"y\n")
            assert [shown["tls"] is None for shown in one.command("clients s")["clients"]] == [True, False]
            one.configure(f's: {{ address = "{plain.address}"; warm = 1; }};')
            one.command("reload")
            one.wait_status("s", warm=1)
            assert (before.ask("x"), after.ask("y")) == (b"x\n", b"y\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a mount, and port 53")
def test_each_host_has_a_certificate_of_its_own_name(daemon, folder, program, serve, authority, name_server):
    """Of the second the host is another than its certificate is for."""
    program()
    names = name_server({A: [(b"\x7f\0\0\1", 60)]})
    first, second = (serve(tls_program.context(*authority.issue(f"of-{name}", f"DNS:{name}"))).port
                     for name in ("one.test", "other.test"))
    more = f'addresses = ["one.test:{first}", "two.test:{second}"]; health: {{ interval = 0.1; }};'
    text = service(folder, "x", authority, more).replace('address = "x"; ', "")
    one = daemon(text, wrapper=names.wrapper(folder))
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
    holdfast.until(lambda: [each["state"] for each in one.command("endpoints s")["endpoints"]] == ["failed", "ok"],
                   "both were dialled")
    failed, = (each for each in one.command("endpoints s")["endpoints"] if each["state"] == "failed")
    assert failed["address"].endswith(f":{second}")
    assert 'certificate is for DNS:other.test, not for "two.test"' in failed["last_error"]


@pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")
@pytest.mark.parametrize("point", ["tls.said", "tls.heard"])
def test_a_death_while_a_session_is_opened_is_not_noticed(daemon, folder, program, serve, authority, good, point):
    program()
    server = serve(good)
    one = daemon(service(folder, server.address, authority), build=holdfast.CRASH_BUILD,
                 environment_more={"HOLDFAST_CRASH": f"{point}:3"})
    while one.log().count(f"crash point {point}\n") < 8:
        with one.client("s") as client:
            assert client.ask("x") == b"x\n"
