"""What "up" means, the same everywhere: true unless the last thing known of the service is a failure."""
import re

import pytest

import holdfast
from lookup_script import Source


def seen(one, service):
    """What each place says of the service: the field, the table, the metric, the check's count, down_since."""
    status = one.status(service)
    table = next(line for line in one.ctl("status").stdout.splitlines() if line.startswith(service + " "))
    metrics = one.command("metrics")["metrics"]
    check = one.ctl("check", "-w", "1000", "-c", "1000", service)
    return (status["up"], table.split()[1] == "UP", f'holdfast_up{{service="{service}"}} 1' in metrics,
            "1 of 1 service up" in check.stdout, status["down_since"] is None)


def wait_seen(one, service, up):
    holdfast.until(lambda: seen(one, service) == (up,) * 5, f"{service} up: {up}, everywhere: {seen(one, service)}")


def test_an_idle_service_is_up_until_a_client_finds_nobody(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, "warm = 0; retry: { delay = 0.2; };"))
    assert one.status("s")["state"] == "idle"
    wait_seen(one, "s", True)
    server.stop()
    with one.client("s", bound=60) as client:
        client.send(b"x\n")
        one.wait_status("s", held=1)
        holdfast.until(lambda: one.status("s")["failures"] > 0, "a failed attempt")
        wait_seen(one, "s", False)
        server.start()
        assert client.line() == b"x\n"
    wait_seen(one, "s", True)
    one.wait_told("STATUS=1 of 1 services up")


@pytest.mark.parametrize("dies", [False, True], ids=["", "the worker dies"])
def test_an_idle_service_whose_attempts_failed_is_up_again_without_a_client(daemon, upstream, dies):
    """Its endpoint is dialled in the background (P31): who was down at night and is well is not told as down."""
    server = upstream()
    server.stop()
    one = daemon(holdfast.fixed("s", server.address, "warm = 0; retry: { delay = 0.2; };"))
    with one.client("s"):
        holdfast.until(lambda: one.status("s")["failures"] > 0, "a failed attempt")
    one.wait_status("s", state="idle", clients=0, held=0)
    wait_seen(one, "s", False)
    server.start()
    if dies:
        one.kill_worker()
    wait_seen(one, "s", True)
    kinds = [entry["event"] for entry in one.command("explain s")["entries"]]
    assert kinds[-1] == "connected", kinds
    assert one.status("s")["outages"] == 1
    accepted = server.accepted
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
    assert server.accepted <= accepted + 1, "an idle service is not dialled any more"


def test_an_idle_service_whose_look_up_fails_is_looked_up_and_tried_when_it_gives_something(daemon, upstream, folder):
    server = upstream()
    source = Source(folder, "nonsense")
    one = daemon(source.service("refresh = 0.2;", "warm = 0; retry: { delay = 0.1; };"))
    with one.client("s"):
        holdfast.until(lambda: one.status("s")["failures"] > 0, "a failed attempt")
    one.wait_status("s", state="idle", clients=0, held=0)
    attempts, count = one.status("s")["attempts"], len(source.runs())
    holdfast.until(lambda: len(source.runs()) >= count + 4, "lookups")
    assert one.status("s")["attempts"] == attempts, "nobody waits, and nothing has changed"
    source.say(server.address)
    wait_seen(one, "s", True)


def test_who_tries_an_idle_service_has_an_attempt_though_its_client_has_gone(daemon, upstream):
    server = upstream()
    server.stop()
    one = daemon(holdfast.fixed("s", server.address, "warm = 0; retry: { delay = 0.5; };"))
    with one.client("s"):
        holdfast.until(lambda: one.status("s")["failures"] > 0, "a failed attempt")
    for _ in range(5):
        done = one.ctl("try", "s", "5")
        assert done.returncode == 1 and "refused" in done.stderr, done
    server.start()
    assert one.ctl("try", "s", "5").returncode == 0


def test_a_loss_is_an_error_that_stays_with_its_time(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, "retry: { delay = 0.2; };"))
    one.wait_connected("s")
    assert one.status("s")["last_error"] is None
    server.stop()
    one.wait_status("s", up=False)
    wait_seen(one, "s", False)
    lost = one.status("s")
    assert lost["last_error"] and lost["last_error_at"], lost
    server.start()
    one.wait_connected("s")
    wait_seen(one, "s", True)
    after = one.status("s")
    assert after["last_error"] and after["last_error_at"] >= lost["last_error_at"], after


def test_a_connection_that_the_server_resets_is_told_as_lost(daemon, upstream):
    """Shared mode: one connection, whose end is the loss."""
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, 'mode = "shared"; framing = "line"; retry: { delay = 30; };'))
    one.wait_connected("s")
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
        one.status("s")
    server.stop()
    status = one.wait_status("s", state="waiting")
    assert re.match(r"(lost|dial) ", status["last_error"]), status


def test_what_is_given_up_on_purpose_is_no_failure(daemon, upstream):
    server, other = upstream(), upstream()
    one = daemon(holdfast.fixed("s", server.address))
    one.wait_connected("s")
    one.command("pause s")
    assert one.status("s")["up"] and one.status("s")["last_error"] is None
    one.command("resume s")
    one.command("reconnect s")
    one.configure(holdfast.fixed("s", other.address))
    one.command("reload")
    one.wait_status("s", address=other.address, state="connected")
    assert one.status("s")["last_error"] is None and one.status("s")["outages"] == 0
    one.command("fail s 30")
    wait_seen(one, "s", False)
    one.command("fail s 0")
    one.wait_connected("s")
    wait_seen(one, "s", True)
    one.command("close s")
    assert not one.status("s")["up"]
