"""TERM without a service manager: held clients are closed, sessions get stop_timeout, a second TERM ends at once."""
import os
import signal

import holdfast


def test_held_clients_are_closed(daemon):
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}"))
    with one.client("s") as client:
        one.wait_status("s", held=1)
        one.process.send_signal(signal.SIGTERM)
        assert client.at_end()
    assert holdfast.wait_exit(one.process) == 0


def test_sessions_may_end(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        assert one.status()["stopping"] is False and one.status()["stop_in_seconds"] is None
        one.process.send_signal(signal.SIGTERM)
        holdfast.until(lambda: not os.path.exists(one.socket("s")), "listener gone")
        assert one.status()["stopping"] is True and 0 < one.status()["stop_in_seconds"] <= 10
        assert "It is stopping" in one.ctl("status").stdout
        assert client.ask("two") == b"two\n"
    assert holdfast.wait_exit(one.process) == 0


def test_a_second_signal_ends_at_once(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        one.process.send_signal(signal.SIGTERM)
        holdfast.until(lambda: not os.path.exists(one.socket("s")), "listener gone")
        one.process.send_signal(signal.SIGTERM)
        assert client.at_end()
    assert holdfast.wait_exit(one.process) == 0


def test_one_signal_for_both_processes_is_one(daemon, upstream):
    """The worker hands it on; a service manager that does not answer is asked meanwhile."""
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        os.killpg(one.keeper, signal.SIGTERM)
        holdfast.until(lambda: not os.path.exists(one.socket("s")), "listener gone")
        assert client.ask("two") == b"two\n"
    assert holdfast.wait_exit(one.process) == 0


def test_stop_timeout(daemon, upstream):
    server = upstream()
    one = daemon(start=False)
    one.configure(holdfast.fixed("s", server.address), "stop_timeout = 0.2;")
    one.start()
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        one.process.send_signal(signal.SIGTERM)
        assert client.at_end()
    assert holdfast.wait_exit(one.process) == 0
