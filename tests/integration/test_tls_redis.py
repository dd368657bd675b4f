"""Redis that takes TLS alone, with a certificate of the client's, for clients that speak plainly."""
import subprocess

import pytest

import asking
import holdfast
import real_servers
import storm
import tls_program

pytestmark = [pytest.mark.plain, tls_program.MARK]


def tls(folder, authority, more=""):
    return f'tls: {{ ca = "{authority.ca}"; socket = "{folder}/tls.sock"; {more} }};'


def test_redis_with_a_client_certificate_in_both_modes(daemon, ask, folder, program, authority, figure):
    cert, key = authority.issue("cache")
    port = holdfast.free_port()
    redis = real_servers.Redis(folder, arguments=[
        "--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", authority.ca,
        "--tls-auth-clients", "yes"]).start()
    program()
    own = authority.issue("client")
    try:
        more = tls(folder, authority, f'cert = "{own[0]}"; key = "{own[1]}"; min_version = "1.3";')
        hello = 'hello = ({ send = "PING\\r\\n"; expect = "+PONG"; }); '
        one = daemon(asking.shared("cache", f"127.0.0.1:{port}", hello + more) +
                     holdfast.fixed("own", f"127.0.0.1:{port}", more))
        one.wait_connected("cache")
        for service in ("cache", "own"):
            said = holdfast.run("redis-cli", "-s", one.socket(service), "SET", service, "two words").stdout.strip()
            assert said == "OK"
        said = subprocess.run(["redis-cli", "-s", one.socket("cache")], input="MULTI\nGET own\nEXEC\n", text=True,
                              capture_output=True, timeout=holdfast.BOUND, env=holdfast.environment()).stdout
        assert said.split("\n")[:3] == ["OK", "QUEUED", "two words"], "it has a connection of its own meanwhile"
        generator = ask().start(one.socket("cache"), "redis-own", clients=20)
        hit, _ = storm.strike(one, generator, 20, 0.05)
        assert not generator.ended_within(0), generator.complaints()
        result = generator.finish().result()
        figure(f"{hit} kills, {result['right']} right answers")
        assert hit == 20 and redis.cli("GET", "own") == "two words"
    finally:
        redis.stop()
