"""The log level that an operator sets holds until the daemon ends, and asking for it sets nothing."""
import signal

import holdfast


def test_it_outlives_a_reload_and_the_worker(daemon):
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}"), top='log: { level = "warning"; };')
    assert one.command("log")["level"] == "warning"
    assert one.command("log info")["previous"] == "warning"
    one.command("reload")
    assert one.command("log")["level"] == "info"
    one.wait_log("info reloaded")
    one.kill_worker(signal.SIGKILL)
    holdfast.until(lambda: one.restarts() == 1, "another worker")
    assert one.command("log")["level"] == "info"


def test_asking_for_it_leaves_it_to_the_configuration(daemon):
    services = holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}")
    one = daemon(services, top='log: { level = "info"; };')
    one.command("log")
    one.configure(services, top='log: { level = "warning"; };')
    one.command("reload")
    assert one.command("log")["level"] == "warning"
