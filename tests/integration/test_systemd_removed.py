"""Under the real systemd, as the packaged user: sockets and the runtime directory that somebody removes."""
import pytest

import box as box_module
import holdfast

pytestmark = box_module.MARKS
SOCKETS = ["/run/holdfast/s.sock", "/run/holdfast/control.sock"]


@pytest.fixture
def served(box):
    box.configure(holdfast.fixed("s", box.echo(), 'retry: { delay = 0.5; };'))
    box.start_anew()
    return box


def check(box):
    """Whoever comes is served, and an operator is heard."""
    def is_served():
        try:
            with box.client("s") as client:
                return client.ask("x") == b"x\n"
        except OSError:
            return False
    holdfast.until(is_served, "a client that is served")
    holdfast.until(lambda: box.run("holdfastctl", "ping").returncode == 0, "the control socket")
    box.do("systemctl", "reload", box_module.UNIT)
    assert box.status()["worker_restarts"] == 0
    holdfast.until(lambda: "1 of 1 services up" in box.show("StatusText"), "a service that is up")


@pytest.mark.parametrize("path", SOCKETS)
def test_removed_socket(served, path):
    before = served.do("stat", "-c", "%U %G %a", path)
    served.do("rm", path)
    check(served)
    assert served.do("stat", "-c", "%U %G %a", path) == before
    holdfast.until(lambda: f"socket {path} was removed; created again" in served.journal(), "a line in the journal")


def test_emptied_directory(served):
    served.do("find", "/run/holdfast", "-type", "s", "-delete")
    served.do("rm", "/run/holdfast/holdfastd.lock")
    check(served)
    assert served.run("holdfastd").returncode == 75


def test_directory_that_was_moved_away_and_back(served):
    """Its user cannot make another there; when it is back all is as before."""
    before = served.do("stat", "-c", "%i", *SOCKETS)
    served.do("mv", "/run/holdfast", "/run/away")
    try:
        holdfast.until(lambda: "was removed, and cannot be created again" in served.show("StatusText"), "a reason")
        assert "0 of 1 services up" in served.show("StatusText")
    finally:
        served.do("mv", "/run/away", "/run/holdfast")
    check(served)
    assert served.do("stat", "-c", "%i", *SOCKETS) == before


def test_removed_directory(served):
    """Whoever may make it again makes it again; a restart, which keeps the clients, makes the sockets in it."""
    with served.client("s") as stays:
        assert stays.ask("1") == b"1\n"
        served.do("rm", "-rf", "/run/holdfast")
        served.do("install", "-d", "-o", "holdfast", "-g", "holdfast", "/run/holdfast")
        check(served)
        assert stays.ask("2") == b"2\n"
