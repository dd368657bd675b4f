"""The example of a socket unit: systemd makes the socket, clients wait there while holdfastd does not run."""
import time

import pytest

import box as box_module
import holdfast

pytestmark = box_module.MARKS
SOCKET = "holdfast-cache.socket"
PORT_SOCKET = "holdfast-port.socket"
PORT_UNIT = """[Socket]
ListenStream=127.0.0.1:{port}
Service=holdfast.service
[Install]
WantedBy=sockets.target holdfast.service
"""
EXAMPLE = f"/usr/share/doc/holdfast/{SOCKET}"
STARTS = 25  # more than the 20 in 2 s for which systemd would close the socket


@pytest.fixture
def cache(box):
    """The socket unit is started and the daemon is not."""
    box.do("cp", EXAMPLE, "/etc/systemd/system")
    box.configure(holdfast.fixed("cache", "127.0.0.1:9"))
    box.drop_in("SocketGroup=www-data", unit=SOCKET, section="Socket")
    box.do("systemctl", "stop", box_module.UNIT)
    box.do("systemctl", "enable", "--now", SOCKET)
    yield box
    box.do("systemctl", "disable", "--now", SOCKET)
    box.do("systemctl", "stop", box_module.UNIT)


def listener(box):
    return box.do("stat", "-c", "%i %U %G %a", "/run/holdfast/cache.sock")


def test_first_client_starts_the_daemon(cache):
    before = listener(cache)
    assert cache.show("ActiveState") == "inactive"
    with cache.client("cache"):
        holdfast.until(lambda: cache.show("ActiveState") == "active", "a start")
        holdfast.until(lambda: cache.services()["cache"]["held"] == 1, "the client, held")
    assert listener(cache) == before
    assert before.split()[1:] == ["holdfast", "www-data", "660"]


def test_stop_and_start_keep_the_listener(cache):
    """As often as you like; what has been said before the start is served."""
    cache.configure(holdfast.fixed("cache", cache.echo()))
    before, begin = listener(cache), time.monotonic()
    for number in range(STARTS):
        cache.do("systemctl", "stop", box_module.UNIT)
        with cache.client("cache") as client:
            assert client.ask(f"client {number}") == f"client {number}\n".encode()
    assert cache.show("ActiveState", SOCKET) == "active"
    assert cache.show("TriggerLimitIntervalUSec", SOCKET) == "0"
    assert listener(cache) == before, time.monotonic() - begin


def test_the_daemon_wants_the_socket(cache):
    """Started first, it would make a socket of its own in the unit's place; stopping the unit does not stop it."""
    cache.do("systemctl", "stop", SOCKET)
    cache.do("systemctl", "start", box_module.UNIT)
    assert cache.show("ActiveState", SOCKET) == "active"
    cache.do("systemctl", "stop", SOCKET)
    assert cache.show("ActiveState") == "active"


def test_bad_configuration_with_a_client_that_waits(cache):
    """It starts the daemon again and again, but slowly; when the file is good, it is served."""
    cache.write("/etc/holdfast/holdfast.conf", "nonsense")
    begin = time.monotonic()
    with cache.client("cache") as client:
        before = cache.journal().count("status=78")
        holdfast.until(lambda: cache.journal(lines=1000).count("status=78") >= before + 2, "two starts")
        assert time.monotonic() - begin > 0.9
        cache.configure(holdfast.fixed("cache", cache.echo()))
        assert client.ask("patient") == b"patient\n"


def test_removed_socket_of_a_unit(cache):
    """It is systemd's to make again: the service is down and says so, until both are started anew."""
    cache.do("systemctl", "start", box_module.UNIT)
    cache.do("rm", "/run/holdfast/cache.sock")
    reason = "was removed; systemd has made it"
    holdfast.until(lambda: reason in (cache.services()["cache"]["last_error"] or ""), "a service that says so")
    holdfast.until(lambda: reason in cache.show("StatusText"), "STATUS= that says so")
    assert not cache.services()["cache"]["up"]
    cache.do("systemctl", "stop", box_module.UNIT)
    cache.do("systemctl", "restart", SOCKET)
    with cache.client("cache"):
        holdfast.until(lambda: cache.services()["cache"]["held"] == 1, "the client, held")


def test_a_port_of_systemds_is_found_by_its_address(box):
    """The unit names no service; the first client starts the daemon, and a restart keeps who is connected."""
    port = next(box.ports)
    box.write(f"/etc/systemd/system/{PORT_SOCKET}", PORT_UNIT.format(port=port))
    box.configure(holdfast.fixed("cache", box.echo(), f'listen: {{ path = "127.0.0.1:{port}"; }};'))
    box.do("systemctl", "stop", box_module.UNIT)
    box.do("systemctl", "enable", "--now", PORT_SOCKET)
    ask = ["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}; echo hello >&3; read -r line <&3; echo $line"]
    assert box.do(*ask) == "hello"
    assert box.show("ActiveState") == "active"
    assert box.services()["cache"]["socket"] == f"127.0.0.1:{port}"
    box.do("systemctl", "restart", box_module.UNIT)
    assert box.do(*ask, user=box_module.CLIENT) == "hello"
    assert box.show("ActiveState", PORT_SOCKET) == "active"
    box.do("systemctl", "disable", "--now", PORT_SOCKET)
    box.do("systemctl", "stop", box_module.UNIT)
