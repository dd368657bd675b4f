"""A journal that is stopped, or away: clients are served all along, and the lines that are missing are counted."""
import re

import pytest

import box as box_module
import holdfast

pytestmark = box_module.MARKS
JOURNAL = "systemd-journald.service"
LOG = 'log: { level = "debug"; };'  # each client is a line, and there is no limit
STOPPED = 6  # seconds: three times what the keeper waits for a worker


@pytest.fixture
def talking(box):
    """Each client is a line of the log."""
    box.configure(holdfast.fixed("s", box.echo(), 'retry: { delay = 0.1; };'), LOG)
    box.start_anew()
    return box


def lost(box):
    return box.status()["log_lines_lost"]


def told(box):
    found = re.findall(r"(\d+) log lines were lost: the journal did not take them", box.journal(lines=3000))
    return sum(int(number) for number in found)


def test_stopped_journal(talking, figure):
    holdfast.come_and_go(talking, 0.1)
    before = talking.status()
    journal = talking.main_pid(JOURNAL)
    talking.kill(journal, "STOP")
    try:
        count, worst = holdfast.come_and_go(talking, STOPPED, lambda: lost(talking) > 100, together=4)
        during = talking.status()
    finally:
        talking.kill(journal, "CONT")
    assert during["worker_pid"] == before["worker_pid"] and during["worker_restarts"] == 0
    holdfast.until(lambda: told(talking) == lost(talking), "the line that tells how many were lost")
    assert lost(talking) >= during["log_lines_lost"]
    figure(f"{count} clients in {STOPPED} s, the longest took {worst * 1000:.0f} ms; "
           f"{during['log_lines_lost']} lines lost")


def test_stopped_journal_and_a_dead_worker(talking):
    """What the dead worker had not got rid of is counted by the next, whose start needs no journal."""
    journal = talking.main_pid(JOURNAL)
    talking.kill(journal, "STOP")
    try:
        holdfast.come_and_go(talking, 0, lambda: lost(talking) > 0, together=4)
        talking.kill(talking.status()["worker_pid"])
        holdfast.until(lambda: talking.status()["worker_restarts"] == 1, "another worker")
        holdfast.come_and_go(talking, 0.5)
        talking.do("holdfastctl", "reload")
        during = talking.status()
        assert during["worker_restarts"] == 1
    finally:
        talking.kill(journal, "CONT")
    holdfast.until(lambda: told(talking) >= during["log_lines_lost"], "the line that tells how many were lost")


def test_restarted_journal(talking):
    holdfast.come_and_go(talking, 0.1)
    talking.do("systemctl", "restart", JOURNAL)
    talking.do("holdfastctl", "log", "info")
    talking.do("holdfastctl", "reload")
    holdfast.until(lambda: "reloaded added=0" in talking.journal(lines=200), "a line after the restart")
    assert talking.status()["worker_restarts"] == 0
