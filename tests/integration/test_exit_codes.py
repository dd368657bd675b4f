"""Exit codes of holdfastd and holdfastctl, as the manuals list them."""
import os
import signal

import holdfast


def daemon_says(*arguments):
    return holdfast.run(os.path.join(holdfast.BUILD, "holdfastd"), *arguments)


def test_usage():
    assert daemon_says("--nonsense").returncode == 2
    assert daemon_says("operand").returncode == 2
    assert daemon_says("--help").returncode == 0
    done = daemon_says("--version")
    assert done.returncode == 0 and "holdfast" in done.stdout


def test_another_instance(daemon):
    one = daemon()
    done = daemon_says("-c", one.config)
    assert done.returncode == 75, done.stderr
    assert one.status()["pid"] == one.keeper


def test_clean_end_by_each_signal(daemon):
    for number in (signal.SIGTERM, signal.SIGINT):
        one = daemon(name=f"d{int(number)}-")
        assert one.stop(number) == 0
        assert "STOPPING=1" in "".join(notice_of(one))
        assert not os.path.exists(one.control)


def notice_of(one):
    one.notify.settimeout(0.0)
    try:
        while True:
            one.notices.append(one.notify.recv(65536).decode())
    except BlockingIOError:
        return one.notices


def test_signals_that_reach_the_worker_are_handed_on(daemon):
    one = daemon()
    os.kill(one.worker(), signal.SIGTERM)
    assert holdfast.wait_exit(one.process) == 0


def test_runtime_failure(folder):
    os.mkdir(f"{folder}/control.sock")  # not a socket, so it is never unlinked
    with open(f"{folder}/holdfast.conf", "w") as file:
        file.write(f'runtime_directory = "{folder}"; include_directory = ""; services: {{}};')
    done = daemon_says("-c", f"{folder}/holdfast.conf")
    assert done.returncode == 1, done.stderr
    assert "control.sock" in done.stderr


def test_holdfastctl(daemon):
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}"))
    assert one.ctl("ping").returncode == 0
    assert one.ctl("wait", "s", "0").returncode == 1
    assert one.ctl("status", "nobody").returncode == 1
    assert 'no service "nobody"' in one.ctl("status", "nobody").stderr
    assert one.ctl("nonsense").returncode == 2
    assert one.ctl("wait", "s", "0.1").returncode == 4
    assert one.stop() == 0
    done = one.ctl("ping")
    assert done.returncode == 3 and one.control in done.stderr
