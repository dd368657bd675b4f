"""Programs that others than root and the daemon's user can have changed are not run; it is said why."""
import os

import pytest

import holdfast

pytestmark = [pytest.mark.plain,
              pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become others: run tests/run as root")]


def program(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(f"#!/bin/sh\n{text}\n")
    os.chmod(path, 0o755)
    return path


def spoil_program(path):
    os.chmod(path, 0o775)
    return f"unsafe: its group can write to {path}"


def spoil_folder(path):
    os.chmod(os.path.dirname(path), 0o777)
    return f"unsafe: everybody can write to {os.path.dirname(path)}"


def spoil_owner(path):
    os.chown(path, 2, 2)
    return f"unsafe: user bin owns {path}"


def mend(path):
    os.chown(path, 0, 0)
    os.chmod(path, 0o755)
    os.chmod(os.path.dirname(path), 0o755)


SPOILS = [spoil_program, spoil_folder, spoil_owner]
QUICK = "retry: { delay = 0.05; jitter = 0; };"


def scripted(path, more=""):
    return f's: {{ lookup: {{ script = "{path}"; timeout = 2; {more} }}; {QUICK} }};'


def try_out(one):
    return holdfast.run(os.path.join(one.build, "holdfastd"), "-t", "-c", one.config)


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_lookup_script_is_looked_at_before_each_run_and_by_tests_and_reloads(daemon, upstream, folder, spoil):
    server = upstream()
    script = program(f"{folder}/scripts/find", f"echo run >>{folder}/runs; echo {server.address}")
    one = daemon(scripted(script))
    one.wait_connected("s")
    fault = spoil(script)
    os.unlink(f"{folder}/runs")
    assert fault in one.ctl("lookup", "s").stderr
    one.command("reconnect s")
    one.wait_log(f"lookup script: {fault}")
    assert one.status("s")["last_error"] == f"lookup script: {fault}"
    assert not os.path.exists(f"{folder}/runs"), "it was not run"
    told = f"services.s.lookup.script: {script}: {fault}; nobody but root and the daemon's user may change it"
    done = try_out(one)
    assert done.returncode == 78 and told in done.stderr, done
    assert told in one.ctl("reload").stderr
    mend(script)
    assert try_out(one).returncode == 0 and one.ctl("reload").returncode == 0
    one.wait_connected("s")
    with one.client("s") as client:
        assert client.ask("a") == b"a\n"


def test_programs_for_events_are_looked_at_too(daemon, upstream, folder):
    server = upstream()
    handler = program(f"{folder}/scripts/handler", f"echo $1 >>{folder}/handled")
    notify = program(f"{folder}/others/notify", f"echo $1 >>{folder}/notified")
    one = daemon(holdfast.fixed("s", server.address, f'on_event = "{handler}"; notify = "{notify}"; {QUICK}'))
    one.wait_connected("s")
    holdfast.until(lambda: os.path.exists(f"{folder}/notified") and os.path.exists(f"{folder}/handled"), "both run")
    faults = {"on_event": spoil_program(handler), "notify": spoil_folder(notify)}
    one.command("reconnect s")
    for setting, fault in faults.items():
        one.wait_log(f"{setting} disconnected: {fault}")
    one.wait_connected("s")
    with open(f"{folder}/handled") as handled, open(f"{folder}/notified") as notified:
        assert "disconnected" not in handled.read() + notified.read()
    done = try_out(one)
    assert done.returncode == 78
    for setting, fault in faults.items():
        assert f"services.s.{setting}: " in done.stderr and fault in done.stderr, done


def test_developers_can_do_without_and_are_warned(daemon, upstream, folder):
    server = upstream()
    script = program(f"{folder}/scripts/find", f"echo {server.address}")
    for spoil in SPOILS:
        spoil(script)
    one = daemon(scripted(script, "unsafe = true;"))
    one.wait_connected("s")
    done = try_out(one)
    warning = "whoever can change it decides what the daemon runs: lookup.unsafe is for developers"
    assert done.returncode == 0 and f"services.s.lookup.script: {script}: {warning}" in done.stderr
    one.configure(scripted(script))
    assert one.ctl("reload").returncode == 1
    one.wait_connected("s")


def test_a_script_in_a_sticky_folder_and_one_behind_links_are_run(daemon, upstream, folder):
    server = upstream()
    script = program(f"{folder}/sticky/find", f'echo {server.address}')
    os.chmod(os.path.dirname(script), 0o1777)
    os.symlink(script, f"{folder}/link")
    one = daemon(scripted(f"{folder}/link"))
    one.wait_connected("s")
    os.lchown(f"{folder}/link", 2, 2)
    assert f"unsafe: user bin owns {folder}/link" in one.ctl("lookup", "s").stderr


def test_root_s_test_knows_the_daemon_s_user_by_its_runtime_directory(daemon, upstream, folder):
    server = upstream()
    script = program(f"{folder}/scripts/find", f"echo {server.address}")
    one = daemon(scripted(script), start=False)
    os.chown(script, 1, 1)
    assert "unsafe: user daemon owns" in try_out(one).stderr
    os.chown(one.folder, 1, 1)
    assert "unsafe" not in try_out(one).stderr
