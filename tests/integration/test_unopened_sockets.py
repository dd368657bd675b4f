"""A service whose socket cannot be opened is down with the reason, and tried again; the others run."""
import os
import pwd
import signal
import socket

import pytest

import holdfast
import scrape

QUICK = "retry: { delay = 0.1; };"


def two(upstream, more=QUICK):
    address = upstream().address
    return holdfast.fixed("bad", address, more) + holdfast.fixed("good", address, QUICK)


@pytest.fixture
def blocked(daemon, upstream):
    """A daemon that has begun with a file in the place of a service's socket; the file may be taken away."""
    one = daemon(two(upstream), start=False)
    with open(one.socket("bad"), "w"):
        pass
    return one.start()


def wait_open(one):
    os.unlink(one.socket("bad"))
    return holdfast.until(lambda: one.status("bad")["socket_error"] is None and one.status("bad"), "its socket")


def test_the_others_run_and_the_reason_is_seen_everywhere(blocked):
    with blocked.client("good") as client:
        assert client.ask("x") == b"x\n"
    why = f"socket {blocked.socket('bad')}: there is a file that is not a socket"
    status = blocked.status("bad")
    assert (status["up"], status["state"]) == (False, "waiting")
    assert why in status["socket_error"] and why in status["last_error"]
    assert status["down_since"] and status["next_attempt_in_seconds"] <= 0.1
    assert blocked.status("good")["up"] and blocked.status("good")["socket_error"] is None
    check = blocked.ctl("check", "-c", "0")
    assert check.returncode == 2 and why in check.stdout, check.stdout
    assert "DOWN" in blocked.ctl("status", "bad").stdout
    assert why in blocked.ctl("explain", "bad").stdout
    assert why in blocked.ctl("wait", "bad", "0").stderr and blocked.ctl("wait", "bad", "5").returncode == 1
    assert 'holdfast_up{service="bad"} 0' in blocked.ctl("metrics").stdout
    blocked.wait_log(why)
    blocked.wait_told("STATUS=1 of 2 services up, 0 clients, 0 held; service bad is down: socket ")


def test_it_is_tried_again_and_told_once(blocked):
    up = wait_open(blocked)
    assert up["up"]
    with blocked.client("bad") as client:
        assert client.ask("x") == b"x\n"
    assert blocked.log().count("there is a file that is not a socket") == 1
    assert "its socket is open now" in blocked.ctl("explain", "bad").stdout


def test_it_outlives_the_worker(blocked):
    before = blocked.status("bad")
    blocked.kill_worker()
    after = blocked.status("bad")
    assert after["socket_error"] == before["socket_error"] and after["down_since"] == before["down_since"]
    with blocked.client("good") as client:
        assert client.ask("x") == b"x\n"
    assert wait_open(blocked)["up"]


def test_it_outlives_an_upgrade(blocked):
    blocked.command("upgrade")
    holdfast.until(lambda: blocked.status()["upgrades"] == 1 and blocked.status()["ready"], "the upgrade")
    assert "not a socket" in blocked.status("bad")["socket_error"]
    assert wait_open(blocked)["up"]


@pytest.mark.parametrize("dry", [True, False])
def test_a_reload_does_not_wait_for_it_but_takes_no_new_one(blocked, upstream, dry):
    """What has failed before, and is not changed, is no reason to refuse a reload; a new socket that cannot be opened
    is."""
    reload = "reload --dry-run" if dry else "reload"
    blocked.configure(two(upstream, QUICK + " hold_timeout = 7;") + holdfast.fixed("third", upstream().address))
    answer = blocked.command_raw(reload)
    assert answer["ok"], answer
    assert "not a socket" in "".join(answer["warnings"]) and {one["service"] for one in answer["added"]} == {"third"}
    os.mkdir(blocked.path("folder"))
    blocked.configure(two(upstream) + holdfast.fixed("fourth", upstream().address, 'listen: { path = "folder"; };'))
    answer = blocked.command_raw(reload)
    assert not answer["ok"] and len(answer["errors"]) == 1 and "fourth: socket" in answer["errors"][0], answer


def test_a_reload_tries_it(daemon, upstream):
    services = two(upstream, "retry: { delay = 3600.0; };")
    one = daemon(services, start=False)
    os.mkdir(one.socket("bad"))
    one.start()
    assert "not a socket" in one.status("bad")["socket_error"]
    os.rmdir(one.socket("bad"))
    answer = one.command("reload")
    assert answer["changed"] == [] and one.status("bad")["socket_error"] is None and one.status("bad")["up"]


def test_an_address_of_the_metrics_in_use(daemon, upstream):
    """No service waits for the metrics' socket; a reload does not either."""
    taken = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{taken.getsockname()[1]}"
    services = holdfast.fixed("s", upstream().address)
    one = daemon(services, top=scrape.listening(address))
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
    user = pwd.getpwuid(os.getuid()).pw_name
    why = (f"metrics.listen: {address}: Address already in use: a process of user {user} listens on {address}; "
           "stop it, or take another port; it is tried again")
    one.wait_log(why)
    assert one.command("reload")["warnings"] == [why]
    one.wait_told(f"STATUS=1 of 1 services up, 0 clients, 0 held; metrics.listen: {address}")
    taken.close()
    one.command("reload")
    assert 'holdfast_up{service="s"} 1' in scrape.text(address)


@pytest.mark.parametrize("kind", ["control", "runtime"])
def test_what_the_daemon_itself_needs_ends_the_start(folder, kind):
    config, runtime = f"{folder}/holdfast.conf", f"{folder}/run"
    if kind == "control":
        os.makedirs(f"{runtime}/control.sock")
    else:
        with open(runtime, "w"):
            pass
    with open(config, "w") as file:
        file.write(f'runtime_directory = "{runtime}"; include_directory = ""; services: {{}};')
    done = holdfast.run(os.path.join(holdfast.BUILD, "holdfastd"), "-c", config)
    assert done.returncode == 1, done.stderr
    wanted = {"control": f"control socket: socket {runtime}/control.sock: there is a file that is not a socket",
              "runtime": f"runtime_directory {runtime}: holdfastd.lock: Not a directory"}
    assert wanted[kind] in done.stderr


def test_a_stop_ends_the_trying(blocked):
    assert blocked.stop(signal.SIGTERM) == 0
    assert os.path.isfile(blocked.socket("bad")), "what is not a socket is left alone"
