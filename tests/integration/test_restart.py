"""A restart by a service manager that keeps files: who is connected or held notices a pause, no more (U3)."""
import os
import socket
import signal

import pytest

import holdfast
import manager
import storm


def test_sessions_and_the_held_are_kept(daemon, upstream):
    server = upstream()
    late = upstream(start=False)
    one = daemon(holdfast.fixed("s", server.address) + holdfast.fixed("late", f"127.0.0.1:{late.port}"),
                 kind=manager.Managed)
    with one.client("s") as client, one.client("late") as held:
        assert client.ask("one") == b"one\n"
        one.wait_status("late", held=1)
        held.send(b"early\n")
        one.restart()
        assert client.ask("two") == b"two\n"
        assert one.wait_status("late", held=1)["service"] == "late"
        late.start()
        assert held.line() == b"early\n"
    assert one.status()["restarts"] == 1
    assert one.store == []


def test_clients_that_come_in_between_are_served(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), kind=manager.Managed)
    assert one.term() == 0
    with one.client("s") as client:
        client.send(b"nobody is here\n")
        one.start()
        assert client.line() == b"nobody is here\n"


def test_counters_and_history_go_on(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), kind=manager.Managed)
    with one.client("s") as client:
        client.ask("one")
        one.kill_worker()
        client.ask("two")
        before = one.status()
        one.restart()
        after = one.status()
    assert after["started"] == before["started"]
    assert after["worker_restarts"] == before["worker_restarts"] == 1
    assert after["services"][0]["clients_total"] == 1
    assert any(entry["event"] == "connected" for entry in one.command("explain s")["entries"])


def test_a_bad_file_leaves_the_configuration_that_was_in_force(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), kind=manager.Managed)
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        one.configure("s: { addres = 1; };")
        one.restart()
        assert client.ask("two") == b"two\n"
        assert "addres" in one.status()["config_error"]
        assert "addres" in one.log()
        one.configure(holdfast.fixed("s", server.address) + holdfast.fixed("new", server.address))
        one.command("reload")
        assert one.status()["config_error"] is None
        assert client.ask("three") == b"three\n"


def test_new_files_are_in_force_after_a_restart(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address) + holdfast.fixed("old", server.address), kind=manager.Managed)
    with one.client("s") as client, one.client("old") as other:
        assert client.ask("one") == b"one\n" and other.ask("one") == b"one\n"
        one.configure(holdfast.fixed("s", server.address) + holdfast.fixed("new", server.address))
        one.restart()
        assert [service["service"] for service in one.status()["services"]] == ["s", "new"]
        assert client.ask("two") == b"two\n"
        assert other.ask("of a removed service") == b"of a removed service\n"
        with one.client("new") as third:
            assert third.ask("new") == b"new\n"


def test_a_restart_during_the_start_loses_nothing(daemon, upstream):
    """The signal that comes while what was kept is taken out waits for the keeper."""
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), kind=manager.Managed)
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        for _ in range(5):
            assert one.term() == 0
            one.spawn()
            one.wait_notice("FDSTOREREMOVE=1")
            assert one.term() == 0, one.log()
            one.start()
            assert client.ask("two") == b"two\n"


@pytest.mark.parametrize("kept", [".pair-0", ".table"])
def test_what_is_left_of_a_store_is_given_up(daemon, upstream, kept):
    """A keeper that was killed while it stored, or had something forgotten: all starts afresh, nobody hangs."""
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), kind=manager.Managed)
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        assert one.term() == 0
        for name, fd in one.store:
            if name != kept:
                os.close(fd)
        one.store = [entry for entry in one.store if entry[0] == kept]
        one.start()
        assert client.at_end()
        assert "cannot take over what was kept" in one.log()
    with one.client("s") as client:
        assert client.ask("two") == b"two\n"
    holdfast.until(lambda: one.store == [], "an empty store")


def test_sockets_that_an_earlier_build_stored_are_given_up(daemon, upstream):
    """It stored listeners by themselves: nobody would accept from them, and the same paths are needed."""
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), kind=manager.Managed)
    one.wait_connected("s")
    assert one.term() == 0
    for name in (".listener", ".file-4"):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("")  # a name that the kernel chooses
            listener.listen()
            one.keep(name, listener.fileno(), False)
    one.start()
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
    holdfast.until(lambda: one.store == [], "an empty store")


def test_a_service_that_came_again_keeps_its_socket(daemon, upstream):
    """While clients of the removed one are left: its record bears the same name and path."""
    server = upstream()
    services = holdfast.fixed("s", server.address)
    one = daemon(services, kind=manager.Managed)
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        one.configure(holdfast.fixed("other", server.address))
        one.command("reload")
        one.configure(services)
        one.command("reload")
        for _ in range(3):
            assert one.term() == 0
            with one.client("s") as waiting:
                waiting.send(b"in the backlog\n")
                one.start()
                assert waiting.line() == b"in the backlog\n"
        assert client.ask("two") == b"two\n"


def test_bad_files_with_nothing_kept_end_with_78(daemon):
    one = daemon(start=False, kind=manager.Managed)
    one.configure("s: { addres = 1; };")
    one.spawn()
    assert holdfast.wait_exit(one.process) == 78


def test_a_manager_that_takes_nothing_gets_an_ordinary_stop(daemon, upstream):
    server = upstream()
    one = daemon(start=False, kind=manager.Managed)
    one.configure(holdfast.fixed("s", server.address), "stop_timeout = 0.3;")
    one.deaf = True
    one.spawn()
    one.wait_notice("READY=1")
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        one.process.send_signal(signal.SIGTERM)
        assert client.at_end()
    assert holdfast.wait_exit(one.process) == 0


def test_int_keeps_nothing(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), kind=manager.Managed)
    one.process.send_signal(signal.SIGINT)
    assert holdfast.wait_exit(one.process) == 0
    assert one.store == []
    one.start()


def test_restarts_under_load_lose_nothing(daemon, load, figure):
    generator = load()
    one = daemon(holdfast.behind(generator), kind=manager.Managed)
    before = storm.warmed_up(one, generator)
    strikes = 12
    generator.start(one.socket("s"), 600, **holdfast.ALL_KINDS)
    generator.wait_running()
    for _ in range(strikes):
        one.restart()
        assert not generator.ended_within(0.1), generator.complaints()
    generator.finish()
    result = generator.result()
    figure(f"{one.status()['restarts']} restarts, {result['bytes'] >> 20} MiB, {result['round_trips']} round trips, "
           f"{result['ask']} connections")
    assert one.status()["restarts"] == strikes
    storm.assert_no_file_leaked(one, before)
