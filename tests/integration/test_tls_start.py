"""Where no systemd does, the daemon starts holdfast-tls: it outlives workers and upgrades, is replaced when it dies,
and ends with the daemon."""
import os
import signal

import pytest

import holdfast
import tls_program
import upstream as upstream_module

pytestmark = tls_program.MARK


@pytest.fixture
def server(module_folder):
    yield from holdfast.each_ends(
        lambda authority: tls_program.server(tls_program.context(*authority.issue("good"))),
        upstream_module.Upstream.stop)


def programs(one):
    """The processes of holdfast-tls at the daemon's socket."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode().split("\0")
        except OSError:
            continue
        if words[0].endswith("holdfast-tls") and one.path("tls.sock") in words:
            found.append(int(pid))
    return found


def test_the_daemon_starts_it_and_ends_it(daemon, server, module_folder):
    authority = tls_program.Authority(module_folder)
    address = server(authority).address
    tls = f'tls: {{ ca = "{authority.ca}"; start = true; }};'
    one = daemon(holdfast.fixed("s", address, tls) + holdfast.fixed("t", address, tls))
    one.wait_connected("s")
    one.wait_connected("t")
    first, = programs(one)
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
        one.kill_worker()
        assert "upgraded: version" in one.ctl("upgrade").stdout
        assert client.ask("y") == b"y\n"
        assert programs(one) == [first]
        os.kill(first, signal.SIGKILL)
        assert client.at_end()
    with one.client("t") as client:
        assert client.ask("z") == b"z\n"
    second, = programs(one)
    assert second != first
    one.stop()
    holdfast.until(lambda: not programs(one), "the end of holdfast-tls")
    assert not os.path.exists(one.path("tls.sock"))


def test_a_program_that_is_not_there_is_told(daemon, upstream):
    """As in a package without it."""
    more = "connect_timeout = 0.3; tls: { start = true; };"
    one = daemon(holdfast.fixed("s", upstream().address, more), start=False)
    one.install(os.path.join(holdfast.BUILD, "holdfastd"))
    one.start()
    one.wait_log("tls: holdfast-tls cannot be started: No such file or directory")
    one.wait_log("tls: holdfast-tls at " + one.path("tls.sock") + ": Connection timed out")
