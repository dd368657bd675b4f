"""Who is stopped is replaced: the worker by the keeper, the keeper by systemd."""
import time

import pytest

import box as box_module
import holdfast

pytestmark = box_module.MARKS
WATCHDOG = 1  # seconds, for the test

# A tracer stops the process for good: neither SIGTERM nor SIGCONT moves it, as if it were truly hung.
TRACER = """
import ctypes, os, sys
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
pid = int(sys.argv[1])
assert ptrace(0x4206, pid, None, None) == 0 and ptrace(0x4207, pid, None, None) == 0  # SEIZE, INTERRUPT
while not os.WIFSIGNALED(os.waitpid(pid, 0x40000000)[1]):  # __WALL
    pass
"""


def serve(box):
    """The daemon with a load that goes on."""
    load = box.load()
    more = 'listen: { mode = "0666"; }; retry: { delay = 0.1; };'
    box.configure(holdfast.fixed("s", load.address, more))
    box.start_anew()
    load.start("/run/holdfast/s.sock", 60, bulk=2, ping=8, ask=8, half=2)
    load.wait_running()
    return load


@pytest.fixture
def impatient(box):
    """The same load, with a systemd that waits for less long than the keeper waits for its worker."""
    box.drop_in(f"WatchdogSec={WATCHDOG}")
    yield serve(box)
    box.drop_in()


def test_stopped_worker(box, figure):
    """It is replaced within 3 s, and its clients have seen a pause."""
    load = serve(box)
    before, began = box.status(), time.monotonic()
    box.kill(before["worker_pid"], "STOP")
    after = holdfast.until(lambda: box.status()["worker_pid"] != before["worker_pid"] and box.status(), "another")
    took = time.monotonic() - began
    figure(f"{took:.2f} s")
    assert took < 3
    assert (after["pid"], after["worker_restarts"]) == (before["pid"], 1)
    load.finish()
    result = load.result()
    assert result["errors"] == 0
    figure(f"longest stall {result['stall_worst_ms'] / 1000:.2f} s, {result['round_trips']} round trips")
    assert box.show("NRestarts") == "0"


def replaced(box, pid, began, figure):
    """Waits until systemd has started another keeper, which must be within WatchdogSec and 2 s."""
    box.wait_restart(pid)
    took = time.monotonic() - began
    figure(f"{took:.2f} s, WatchdogSec={WATCHDOG}")
    assert took < WATCHDOG + 2
    assert "Watchdog timeout" in box.journal()
    assert box.services()["s"]["state"]


def test_stopped_keeper(box, impatient, figure):
    """SIGTERM is followed by SIGCONT, so that it hands everything over: no client is lost."""
    pid, began = box.main_pid(), time.monotonic()
    box.kill(pid, "STOP")
    replaced(box, pid, began, figure)
    impatient.finish()
    assert impatient.result()["errors"] == 0


@pytest.mark.long
@pytest.mark.usefixtures("impatient")
def test_hung_keeper(box, figure):
    """It does not end by itself, and is killed."""
    pid, began = box.main_pid(), time.monotonic()
    box.begin("tracer", "python3", "-c", TRACER, str(pid), user="root")
    replaced(box, pid, began, figure)
