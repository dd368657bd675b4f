"""The unit's life under the real systemd: start, reload with a good and a broken file, kill, stop."""
import time

import pytest

import box as box_module
import holdfast

pytestmark = box_module.MARKS
BROKEN = 'services:\n{\n\tfirst: { adress = "127.0.0.1:9"; };\n};\n'


def test_start(started):
    assert started.show("ActiveState") == "active"
    assert started.show("StatusText")
    assert "first" in started.services()
    assert started.do("stat", "-c", "%U %a", "/run/holdfast/first.sock") == "holdfast 660"
    assert started.do("stat", "-c", "%a", "/run/holdfast") == "755"
    assert started.do("ps", "-o", "user=", "-p", started.show("MainPID")) == "holdfast"


def test_reload_with_a_good_file(started):
    pid = started.main_pid()
    started.configure(holdfast.fixed("first", "127.0.0.1:9") + holdfast.fixed("second", "127.0.0.1:9"))
    started.do("systemctl", "reload", "holdfast.service")
    assert "second" in started.services()
    assert started.main_pid() == pid


def test_reload_with_a_broken_file(started):
    """It fails, says which line of which file is wrong, and nothing changes."""
    before = started.status()
    wrong = "/etc/holdfast/holdfast.conf:3: "
    started.write("/etc/holdfast/holdfast.conf", BROKEN)
    with started.client("first") as held:
        assert started.run("systemctl", "reload", "holdfast.service").returncode != 0
        assert started.show("ActiveState") == "active"
        after = started.status()
        assert (after["pid"], after["worker_pid"]) == (before["pid"], before["worker_pid"])
        assert wrong in after["config_error"]
        holdfast.until(lambda: wrong in started.journal(), "the reason in the journal")
        holdfast.until(lambda: wrong in started.show("StatusText"), "the reason in STATUS=")
        assert wrong in started.run("systemctl", "status", "holdfast.service").stdout
        holdfast.until(lambda: started.services()["first"]["held"] == 1, "a client that is still held")
        held.close()
    started.configure(holdfast.fixed("first", "127.0.0.1:9"))
    started.do("systemctl", "reload", "holdfast.service")
    assert started.status()["config_error"] is None
    holdfast.until(lambda: wrong not in started.show("StatusText"), "STATUS= without an error")


def test_worker_killed(started):
    before = started.status()
    started.kill(before["worker_pid"])
    after = holdfast.until(lambda: started.status()["worker_restarts"] and started.status(), "another worker")
    assert after["pid"] == before["pid"] and after["worker_restarts"] == 1
    assert started.show("NRestarts") == "0"


def test_journal_fields(started):
    out = started.do("journalctl", "-o", "verbose", "-u", "holdfast.service", "--no-pager")
    assert "HOLDFAST_SERVICE=first" in out


def test_keeper_killed(started):
    """Another daemon, soon."""
    pid = started.main_pid()
    started.kill(pid)
    started.wait_restart(pid)
    assert "first" in started.services()


def test_bad_file_at_start_is_not_tried_again(started):
    started.do("systemctl", "stop", "holdfast.service")
    started.write("/etc/holdfast/holdfast.conf", BROKEN)
    assert started.run("systemctl", "start", "holdfast.service").returncode != 0
    assert started.show("ExecMainStatus") == "78"
    assert started.show("ActiveState") == "failed"
    assert started.show("NRestarts") == "0"
    holdfast.until(lambda: "/etc/holdfast/holdfast.conf:3: " in started.journal(), "the reason in the journal")
    started.do("systemctl", "reset-failed", "holdfast.service")


def test_stop(started):
    begin = time.monotonic()
    started.do("systemctl", "stop", "holdfast.service")
    assert time.monotonic() - begin < 10
    assert started.show("ActiveState") == "inactive"
    assert started.show("Result") == "success"
    with pytest.raises(ConnectionRefusedError):
        started.client("first")


def test_stop_with_a_client_that_stays(box):
    """Nobody waits for it: if no start follows, what was handed over is closed."""
    box.configure(holdfast.fixed("s", box.echo()))
    box.start_anew()
    with box.client("s") as client:
        assert client.ask("hello") == b"hello\n"
        begin = time.monotonic()
        box.do("systemctl", "stop", "holdfast.service")
        assert time.monotonic() - begin < 5
        assert client.at_end()
    assert box.show("Result") == "success"
