"""Lookups that are asked for often, that fail, or whose source comes late."""
import os
import signal

import holdfast
import manager


def script(folder, text):
    path = os.path.join(folder, "find")
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def service(path, more=""):
    lookup = f'lookup: {{ script = "{path}"; {more} }};'
    return f"s: {{ {lookup} retry: {{ delay = 0.1; jitter = 0; }}; hold_retry = 0.05; }};\n"


def test_a_script_is_run_no_more_often_than_it_may_be(daemon, folder):
    runs = os.path.join(folder, "runs")
    path = script(folder, f'cut -d" " -f22 /proc/$$/stat >>{runs}\nexit 1\n')  # when it was started, in ticks
    one = daemon(service(path, "min_interval = 0.25;"))
    clients = [one.client("s", bound=60) for _ in range(10)]
    try:
        for _ in range(6):
            one.command_raw("lookup s")
            one.command_raw("reconnect s")
        with open(runs) as file:
            times = [int(line) / os.sysconf("SC_CLK_TCK") for line in file]
    finally:
        for client in clients:
            client.close()
    gaps = [after - before for before, after in zip(times, times[1:])]
    assert len(gaps) >= 3 and min(gaps) >= 0.23, [round(gap, 2) for gap in gaps]


def test_the_last_addresses_outlive_worker_upgrade_and_restart(daemon, upstream, folder):
    server = upstream()
    answer = os.path.join(folder, "answer")
    with open(answer, "w") as file:
        file.write(server.address + "\n")
    path = script(folder, f"cat {answer}\n")
    one = daemon(service(path, "keep_last = true; min_interval = 0;").replace("retry:", "warm = 1; retry:"),
                 kind=manager.Managed)
    one.wait_connected("s")
    os.unlink(answer)
    for step in (lambda: one.kill_worker(signal.SIGKILL), lambda: one.ctl("upgrade"), one.restart):
        step()
        one.wait_status("s", state="connected")
        server.stop()
        one.wait_status("s", up=False)
        server.start()
        one.wait_connected("s")
        assert "the last addresses are kept" in one.ctl("explain", "s").stdout


def test_a_catalog_file_that_comes_late_keeps_its_order_and_changes_nothing(daemon, folder):
    catalog = os.path.join(folder, "late")
    text = f's: {{ lookup: {{ catalog = "{catalog}"; }}; }};\n'
    one = daemon(text)
    ports = [holdfast.free_port() for _ in range(8)]
    with open(catalog + ".tmp", "w") as file:
        file.write("s " + " ".join(f"127.0.0.1:{port}" for port in ports) + "\n")
    os.rename(catalog + ".tmp", catalog)
    for _ in range(5):
        assert one.command("lookup s")["addresses"] == [f"127.0.0.1:{port}" for port in ports]
    reloaded = one.command("reload")
    assert (reloaded["changed"], reloaded["renewed"]) == ([], [])
    assert 'pick = "auto"' in one.command("config s")["config"]


def test_a_shorter_retry_delay_holds_at_once(daemon):
    dead = f"127.0.0.1:{holdfast.free_port()}"
    one = daemon(holdfast.fixed("s", dead, "retry: { delay = 600; jitter = 0; };"))
    one.wait_status("s", state="waiting", attempts=1)
    one.configure(holdfast.fixed("s", dead, "retry: { delay = 0.1; jitter = 0; };"))
    assert one.command("reload")["renewed"] == []
    holdfast.until(lambda: one.status("s")["attempts"] >= 3, "further attempts")


def test_a_shorter_min_interval_holds_at_once(daemon, folder):
    path = script(folder, f"echo 127.0.0.1:{holdfast.free_port()}\n")
    one = daemon(service(path, "min_interval = 600;"))
    one.wait_status("s", state="connecting", failures=1)
    assert one.status("s")["lookup_running_seconds"] is None
    one.configure(service(path, "min_interval = 0.1;"))
    assert one.command("reload")["renewed"] == []
    holdfast.until(lambda: one.status("s")["attempts"] >= 4, "further attempts")
