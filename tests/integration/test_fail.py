"""fail: a service's upstream is treated as down for a while, so that teams see what their programs do then."""
import os
import pwd

import pytest

import asking
import holdfast
import manager
from upstream import answering

ME = pwd.getpwuid(os.geteuid()).pw_name


def test_attached_clients_are_closed_and_new_ones_held_until_it_is_over(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address))
    with one.client("s") as attached:
        assert attached.ask("one") == b"one\n"
        one.command("fail s 0.7")
        assert attached.at_end()
    with one.client("s") as held:
        held.send(b"two\n")
        status = one.wait_status("s", held=1)
        assert status["failing"]["by"] == ME and 0 < status["failing"]["left_seconds"] <= 0.7
        assert status["failing"]["since"] and not status["up"]
        row = one.ctl("status").stdout.splitlines()[-1]
        assert "HOLD" in row and f"made to fail by {ME} for 0." in row
        assert held.line() == b"two\n"
    status = one.status("s")
    assert status["failing"] is None and status["outages"] == 0
    story = str(one.command("explain s"))
    assert f"made to fail by {ME} for 0.7 s" in story and "no longer made to fail" in story
    assert "failed_to_connect" in story


def test_it_is_ended_early_and_connected_at_once(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address, "retry: { delay = 600; }; "))
    one.wait_connected("s")
    assert one.ctl("fail", "s", "3600").returncode == 0
    done = one.ctl("try", "s", "0.2")
    assert done.returncode in (1, 4) and "made to fail for 3" in done.stderr
    assert "DOWN" in one.ctl("status").stdout
    assert one.ctl("fail", "s", "0").returncode == 0
    one.wait_connected("s")
    assert one.ctl("fail", "s", "3601").returncode == 1


def test_on_down_refuse_refuses(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address, 'on_down = "refuse"; down_reply = "later\\n";'))
    one.wait_connected("s")
    one.command("fail s 60")
    with one.client("s") as client:
        assert client.line() == b"later\n"
    one.command("fail s 0")
    one.wait_connected("s")
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"


def test_a_client_that_may_change_its_upstream_stays(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address, 'on_upstream_end = "reconnect";'))
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        one.command("fail s 0.3")
        one.wait_status("s", held=1)
        assert client.ask("two") == b"two\n"


def test_what_the_server_said_before_is_delivered(daemon, upstream):
    """A client that is slow to read loses nothing that has arrived."""
    size = 300000

    def serve(connection):
        connection.recv(100)
        connection.sendall(b"x" * size)
        connection.recv(100)
    one = daemon(holdfast.fixed("s", upstream(serve).address))
    with one.client("s") as client:
        client.send(b"go\n")
        first = client.file.read(1)
        holdfast.until(lambda: one.status("s")["bytes_to_clients"] > 100000, "some has arrived")
        arrived = one.status("s")["bytes_to_clients"]
        one.command("fail s 5")
        assert len(first + client.read_all()) >= arrived


@pytest.mark.parametrize("on_loss", ["fail", "retry"])
def test_in_shared_mode_it_is_a_loss(daemon, upstream, on_loss):
    server = upstream(answering(lambda line: line if server.accepted > 1 else None))
    one = daemon(asking.shared("s", server.address, f'on_loss = "{on_loss}"; loss_reply = "gone"; ', "line"))
    with one.client("s") as client:
        client.send(b"one\n")
        one.wait_status("s", in_flight=1)
        one.command("fail s 0.3")
        assert client.line() == (b"gone\n" if on_loss == "fail" else b"one\n")
        assert client.ask("two") == b"two\n"
    assert one.status("s")["outages"] == 0


def test_it_outlives_worker_upgrade_restart_and_reload(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), kind=manager.Managed)
    one.wait_connected("s")
    server.wait_accepted(1)
    one.command("fail s 600")
    one.wait_status("s", up=False)
    one.kill_worker()
    holdfast.until(lambda: one.restarts() == 1, "there is another")
    assert one.ctl("upgrade").returncode == 0
    one.restart()
    one.configure(holdfast.fixed("s", server.address, "connect_timeout = 1; "))
    one.command("reload")
    with one.client("s") as client:
        client.send(b"one\n")
        status = one.wait_status("s", held=1)
        assert status["failing"]["by"] == ME and status["failing"]["left_seconds"] > 500
        assert server.accepted == 1
        one.command("fail s 0")
        assert client.line() == b"one\n"


def test_one_that_is_paused_rests_until_it_is_resumed(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address))
    one.wait_connected("s")
    one.command("pause s")
    one.command("fail s 0.2")
    with one.client("s") as client:
        client.send(b"one\n")
        holdfast.until(lambda: one.status("s")["failing"] is None, "it is over")
        one.wait_status("s", paused=True, state="idle", held=1)
        one.command("resume s")
        assert client.line() == b"one\n"
