"""An LDAP server that takes nothing without StartTLS, for clients that know nothing of it."""
import os
import shutil
import subprocess
import urllib.parse

import pytest

import holdfast
import tls_program

SLAPD = shutil.which("slapd", path="/usr/sbin:/usr/bin:/usr/lib/openldap")
pytestmark = [pytest.mark.plain, tls_program.MARK, pytest.mark.skipif(not SLAPD or not shutil.which("ldapsearch"),
                                                                      reason="needs slapd and ldap-utils")]
CONFIG = """include /etc/ldap/schema/core.schema
TLSCACertificateFile {ca}
TLSCertificateFile {cert}
TLSCertificateKeyFile {key}
security tls=1
"""


@pytest.fixture
def server(folder, authority):
    cert, key = authority.issue("ldap")
    port = holdfast.free_port()
    with open(f"{folder}/slapd.conf", "w") as file:
        file.write(CONFIG.format(ca=authority.ca, cert=cert, key=key))
    process = subprocess.Popen([SLAPD, "-h", f"ldap://127.0.0.1:{port}", "-f", f"{folder}/slapd.conf", "-d", "0"],
                               stdin=subprocess.DEVNULL, env=holdfast.environment())
    yield f"127.0.0.1:{port}"
    process.terminate()
    holdfast.wait_exit(process)


def search(url):
    return holdfast.run("ldapsearch", "-x", "-LLL", "-H", url, "-s", "base", "-b", "", "supportedExtension")


def test_clients_by_socket_and_by_port(daemon, folder, program, server, authority):
    program()
    port = holdfast.free_port()
    one = daemon(f's: {{ address = "{server}"; warm = 1; retry: {{ delay = 0.05; }}; '
                 f'listen = ( "s.sock", "127.0.0.1:{port}" ); '
                 f'tls: {{ ca = "{authority.ca}"; starttls = "ldap"; socket = "{folder}/tls.sock"; }}; }};\n')
    one.wait_connected("s")
    assert "confidentiality required" in search(f"ldap://{server}").stderr.lower()
    for url in ("ldapi://" + urllib.parse.quote(one.socket("s"), safe=""), f"ldap://127.0.0.1:{port}"):
        done = search(url)
        assert "supportedExtension: 1.3.6.1.4.1.1466.20037" in done.stdout, done.stderr
        one.kill_worker()
    assert os.path.basename(one.command("endpoints s")["endpoints"][0]["tls"]["peer"]) == "CN=ldap"
