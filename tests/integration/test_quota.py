"""A worker that gets little of the processor (a cgroup's quota) is slow and not hung: it starts, serves, reloads."""
import contextlib
import os
import time

import pytest

import holdfast

SERVICES = 1024


def controller():
    """Where the cpu controller can be given a quota: the folder, and whether it is of cgroup version 2."""
    with open("/proc/mounts") as file:
        mounts = [line.split() for line in file]
    for _, folder, kind, options, *_ in mounts:
        if kind == "cgroup" and "cpu" in options.split(","):
            return folder, False
    for _, folder, kind, *_ in mounts:
        if kind == "cgroup2" and os.path.exists(f"{folder}/cgroup.subtree_control"):
            with open(f"{folder}/cgroup.subtree_control") as file:
                if "cpu" in file.read().split():
                    return folder, True
    return None, False


FOLDER, UNIFIED = controller()
pytestmark = [pytest.mark.plain, pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
              pytest.mark.skipif(FOLDER is None, reason="no cgroup has the cpu controller")]


@contextlib.contextmanager
def quota(percent):
    """A cgroup whose processes get this much of one core."""
    group = f"{FOLDER}/holdfast-test-{os.getpid()}"
    os.mkdir(group)
    try:
        if UNIFIED:
            settings = {"cpu.max": f"{percent * 1000} 100000"}
        else:
            settings = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": str(percent * 1000)}
        for name, value in settings.items():
            with open(f"{group}/{name}", "w") as file:
                file.write(value)
        yield group
    finally:
        holdfast.until(lambda: not open(f"{group}/cgroup.procs").read(), "an empty cgroup", 60)
        os.rmdir(group)


def run(daemon, upstream, figure, percent, services, bound):
    server = upstream()
    more = "".join(holdfast.fixed(f"s{i}", server.address, "warm = 0;") for i in range(services))
    with quota(percent) as group:
        one = daemon(more, top='log: { level = "notice"; target = "stderr"; };', start=False,
                     wrapper=["bash", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "bash"])
        began = time.monotonic()
        try:
            one.spawn().wait_notice("READY=1", bound)
            started = time.monotonic() - began
            with one.client("s0", bound) as client:
                assert client.ask("one") == b"one\n"
                began = time.monotonic()
                one.kill_worker()
                assert client.ask("two") == b"two\n"
                recovered = time.monotonic() - began
            answer = one.command("reload", bound)
            assert answer["ok"]
            status = one.command("status", bound)
            assert status["worker_restarts"] == 1, one.log()
            assert "did not respond" not in one.log()
        finally:
            one.end()
    figure(f"{services} services at {percent} % of a core: ready after {started:.1f} s, again after a death in "
           f"{recovered:.1f} s")


def test_a_few_services(daemon, upstream, figure):
    run(daemon, upstream, figure, 3, 100, 60)


@pytest.mark.long
@pytest.mark.parametrize("percent", [3, 10])
def test_many_services(daemon, upstream, figure, percent):
    run(daemon, upstream, figure, percent, SERVICES, 300)
