"""max_clients, max_clients_per_user, idle_timeout, and no files left."""
import select
import threading
import time

import pytest

import holdfast


def test_max_clients_pauses_accepting(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, "max_clients = 2;"))
    with one.client("s") as first, one.client("s") as second, one.client("s") as third:
        assert first.ask("a") == b"a\n" and second.ask("b") == b"b\n"
        third.send(b"c\n")
        assert one.status("s")["clients"] == 2
        first.close()
        assert third.line() == b"c\n"


def test_max_clients_per_user_closes(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, "max_clients_per_user = 1;"))
    with one.client("s") as first:
        assert first.ask("a") == b"a\n"
        with one.client("s") as second:
            assert second.at_end()
        assert first.ask("b") == b"b\n"


def test_idle_timeout(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, "idle_timeout = 1;"))
    with one.client("s") as client:
        assert client.ask("a") == b"a\n"
        assert client.at_end()


def test_idle_timeout_is_kept_to(daemon, upstream, figure):
    """Each client's own, whenever it was last heard: not before it is over, and not much later."""
    one = daemon(holdfast.fixed("s", upstream().address, "idle_timeout = 1;"))
    heard, late = {}, []
    for _ in range(10):
        client = one.client("s")
        assert client.ask("a") == b"a\n"
        heard[client.socket] = time.monotonic()
        threading.Event().wait(0.09)  # so that they end one after the other
    while heard:
        ended = select.select(list(heard), [], [], holdfast.BOUND)[0]
        assert ended
        for end in ended:
            assert end.recv(1) == b""
            late.append(time.monotonic() - heard.pop(end) - 1)
            end.close()
    figure(f"idle_timeout = 1: {min(late) * 1000:.0f} to {max(late) * 1000:.0f} ms late")
    assert min(late) > -0.01 and sorted(late)[5] < 0.25, late


def test_no_files_left(daemon, upstream):
    """Accepting pauses, is logged once, and goes on when files are free again."""
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), wrapper=["prlimit", "--nofile=64:64"])
    clients = [one.client("s") for _ in range(60)]
    served = 0
    for client in clients:
        client.send(b"x\n")
    holdfast.until(lambda: server.accepted >= 10, "some served")
    assert one.command("ping"), "an operator can look"
    for client in clients:
        assert client.line() == b"x\n", f"after {served}"
        client.close()
        served += 1
    with one.client("s") as client:
        assert client.ask("again") == b"again\n"


def test_no_files_left_is_no_failure_of_an_endpoint(daemon, upstream):
    """A failed one that is due in the background is tried again later, and then good; nobody else waits for it."""
    full, good, late = upstream(start=False), upstream(), upstream(start=False)
    one = daemon(f's: {{ addresses = ["{late.address}", "{good.address}"]; warm = 1; retry: {{ delay = 0.5; }}; }};' +
                 holdfast.fixed("b", full.address, "retry: { delay = 0.2; };"),
                 wrapper=["prlimit", "--nofile=100:100"])
    with one.client("s") as client:
        assert client.ask("a") == b"a\n"
        clients = [one.client("b") for _ in range(100)]
        for other in clients:
            other.send(b"x\n")
        one.wait_log("b: cannot accept: Too many open files")
        full.start()  # each client that was accepted needs a second file now
        told = f"dial {late.address}: Too many open files"
        one.wait_log(told)
        before, begun = one.command("endpoints s")["endpoints"][0], one.log().count(told)
        one.wait_log(told, begun + 2)
        assert client.ask("b") == b"b\n"
        after = one.command("endpoints s")["endpoints"][0]
        assert one.log().count(told) < begun + 10, "it is dialled at once again and again"
        for end in (before, after):
            assert end["address"] == late.address and end["state"] == "failed" and end["last_error"] == \
                "Connection refused" and end["failures_total"] == before["failures_total"], end
        late.start()
        for other in clients:
            other.close()
        holdfast.until(lambda: all(end["state"] == "ok" for end in one.command("endpoints s")["endpoints"]),
                       "all are good")
    assert one.restarts() == 0


@pytest.mark.plain
def test_a_small_address_space_starts_with_fewer_clients(daemon, upstream):
    """As in a 32-bit program: the memory for as many clients as files can be open does not fit."""
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address),
                 wrapper=["prlimit", "--nofile=20000:20000", "--as=2500000000"])
    assert "the address space has room for" in one.log()
    with one.client("s") as client:
        assert client.ask("a") == b"a\n"
