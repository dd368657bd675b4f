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


@pytest.mark.plain
def test_a_small_address_space_starts_with_fewer_clients(daemon, upstream):
    """As in a 32-bit program: the memory for as many clients as files can be open does not fit."""
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address),
                 wrapper=["prlimit", "--nofile=20000:20000", "--as=2500000000"])
    assert "the address space has room for" in one.log()
    with one.client("s") as client:
        assert client.ask("a") == b"a\n"
