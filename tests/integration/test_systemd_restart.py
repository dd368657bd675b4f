"""Restarts by the real systemd, upgrades and deaths, as the packaged user: nobody loses a connection."""
import os
import random

import pytest

import box as box_module
import holdfast

pytestmark = box_module.MARKS
ALL_200 = dict(bulk=8, ping=100, ask=60, half=12, slow=8, server_reset=6, client_reset=6)  # sessions at a time
OPEN = 'listen: { mode = "0666"; }; retry: { delay = 0.1; };'
OPEN_WIDE = 'listen: { mode = "0666"; backlog = 4096; }; retry: { delay = 0.1; }; max_held = 4096;'


def restart(box):
    box.do("systemctl", "restart", box_module.UNIT)


def upgrade(box):
    box.do("cp", "/usr/sbin/holdfastd", "/usr/sbin/holdfastd.new")
    box.do("mv", "/usr/sbin/holdfastd.new", "/usr/sbin/holdfastd")  # a new file, as a package puts it there
    box.do("holdfastctl", "upgrade")


def kill_worker(box):
    before = box.status()
    box.kill(before["worker_pid"])
    holdfast.until(lambda: box.status()["worker_restarts"] > before["worker_restarts"], "another worker")


def counts(box):
    status = box.status()
    return {name: status[name] for name in ("restarts", "upgrades", "worker_restarts")}


def run_storm(box, figure, each):
    """So many of each, in any order, under load."""
    load = box.load()
    box.configure(holdfast.fixed("s", load.address, OPEN))
    box.start_anew()
    load.start("/run/holdfast/s.sock", 600, think=5, **ALL_200)
    load.wait_running()
    strikes = each * [restart, upgrade, kill_worker]
    random.shuffle(strikes)
    for strike in strikes:
        load.mark()
        strike(box)
    load.finish()
    result = load.result()
    assert result["errors"] == 0
    assert counts(box) == {"restarts": each, "upgrades": each, "worker_restarts": each}
    assert box.show("NRestarts") == "0"
    figure(f"{counts(box)}, {result['bytes'] >> 20} MiB, {result['round_trips']} round trips, {result['ask']} short "
           f"connections, longest stall {max(result['marks_ms']):.0f} ms")


def test_restarts_upgrades_and_deaths(box, figure):
    run_storm(box, figure, 2)


@pytest.mark.long
def test_50_of_each(box, figure):
    run_storm(box, figure, 50)


def cpu_of_systemd(box):
    """Seconds that PID 1 of the box has used."""
    with open(f"{box.folder}/pid") as file:
        pid = int(file.read())
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1e9


def cost_of_a_restart(box):
    before = cpu_of_systemd(box)
    restart(box)
    return cpu_of_systemd(box) - before


@pytest.mark.parametrize("sessions", [300, pytest.param(3000, marks=pytest.mark.long)])
def test_what_sessions_cost_systemd(box, figure, sessions):
    load = box.load()
    box.configure(holdfast.fixed("s", load.address, OPEN_WIDE))
    box.start_anew()
    empty = min(cost_of_a_restart(box) for _ in range(3))
    load.start("/run/holdfast/s.sock", 600, ping=sessions, think=1000)
    load.wait_running()
    full = min(cost_of_a_restart(box) for _ in range(3))
    load.finish()
    result = load.result()
    assert result["errors"] == 0
    assert counts(box)["restarts"] == 6
    figure(f"a restart costs PID 1 {full * 1000:.1f} ms CPU with {sessions} sessions, {empty * 1000:.1f} ms with "
           f"none; wmem_max {box.do('cat', '/proc/sys/net/core/wmem_max')}, user {box.show('User')}")


def test_the_socket_of_a_socket_unit_goes_on(box):
    """Systemd hands that over by itself; it is not stored."""
    box.write("/etc/systemd/system/holdfast-s.socket",
              "[Socket]\nListenStream=/run/holdfast/s.sock\nSocketMode=0666\n"
              "FileDescriptorName=s\nService=holdfast.service\nTriggerLimitIntervalSec=0\n")
    box.drop_in("Wants=holdfast-s.socket", "After=holdfast-s.socket", section="Unit")
    box.configure(holdfast.fixed("s", box.echo()))
    box.do("systemctl", "stop", box_module.UNIT)
    box.do("systemctl", "start", "holdfast-s.socket", box_module.UNIT)
    try:
        with box.client("s") as client:
            assert client.ask("one") == b"one\n"
            restart(box)
            assert client.ask("two") == b"two\n"
            with box.client("s") as another:
                assert another.ask("three") == b"three\n"
        assert box.services()["s"]["socket"] == "/run/holdfast/s.sock"
    finally:
        box.do("systemctl", "stop", box_module.UNIT, "holdfast-s.socket")
        os.unlink(box.path("/etc/systemd/system/holdfast-s.socket"))
        box.drop_in()


def test_a_signal_to_reload_is_seen_by_systemd(box):
    """The unit was reloading, and is active again."""
    box.configure(holdfast.fixed("s", box.echo(), OPEN))
    box.start_anew()
    before = box.show("StateChangeTimestampMonotonic")
    box.do("systemctl", "kill", "--kill-who=main", "-s", "HUP", box_module.UNIT)
    holdfast.until(lambda: box.show("StateChangeTimestampMonotonic") != before, "another state")
    holdfast.until(lambda: box.show("ActiveState") == "active", "an active unit")
    box.do("systemctl", "reload", box_module.UNIT)
    assert box.show("ActiveState") == "active" and box.show("NRestarts") == "0"


def test_a_stop_ends_what_a_restart_keeps(box):
    box.configure(holdfast.fixed("s", box.echo(), OPEN))
    box.start_anew()
    with box.client("s") as client:
        assert client.ask("one") == b"one\n"
        box.do("systemctl", "stop", box_module.UNIT)
        assert client.at_end()


def story_of(box):
    """What happened, from the loss on, and before it."""
    story = [entry["event"] for entry in box.control("explain s")["entries"]]
    lost = story.index("disconnected") if "disconnected" in story else len(story)
    return story[lost:], story[:lost]


def test_explain_tells_the_story_after_a_restart(box):
    """An outage before the restart, with its causes and times."""
    server = holdfast.free_port()
    box.configure(holdfast.fixed("s", f"127.0.0.1:{server}", OPEN))
    box.start_anew()
    begin = ["systemd-run", "--quiet", "--collect", "--unit=server", "socat",
             f"TCP-LISTEN:{server},bind=127.0.0.1,fork,reuseaddr", "EXEC:cat"]
    box.do(*begin)
    box.do("holdfastctl", "wait", "s", "10")
    box.do("systemctl", "stop", "server")
    holdfast.until(lambda: "failed_to_connect" in story_of(box)[0], "an attempt that fails during the outage")
    box.do(*begin)
    box.do("holdfastctl", "wait", "s", "10")
    before = box.control("explain s")["entries"]
    restart(box)
    after = box.control("explain s")["entries"]
    assert after[:len(before)] == before
    outage, past = story_of(box)
    assert "connected" in past and "failed_to_connect" in outage and "connected" in outage
    shown = box.do("holdfastctl", "explain", "s")
    assert "refused" in shown
    box.do("systemctl", "stop", "server")
