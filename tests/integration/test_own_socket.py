"""An upstream that is one of the daemon's own sockets would be a loop: an error where the files tell, else a failed
attempt."""
import os

import pytest

import holdfast


def test_in_the_configuration_it_is_an_error(daemon):
    one = daemon(holdfast.fixed("s", "127.0.0.1:9"))
    for path, service in ((one.socket("s"), "s"), (one.socket("s"), "t"), (one.control, "s")):
        one.configure(holdfast.fixed(service, f"unix:{path}") +
                      (holdfast.fixed("s", "127.0.0.1:9") if service == "t" else ""))
        answer = one.command_raw("reload")
        assert answer["ok"] is False and "own sockets: a loop" in str(answer), answer


@pytest.mark.parametrize("way", ["itself", "another", "link"])
def test_found_by_a_look_up_it_is_a_failed_attempt(daemon, upstream, way):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address), start=False)
    target = one.socket("t" if way == "itself" else "s")
    if way == "link":
        os.symlink(target, one.path("elsewhere"))
        target = one.path("elsewhere")
    script = one.path("find")
    with open(script, "w") as file:
        file.write(f"#!/bin/sh\necho unix:{target}\n")
    os.chmod(script, 0o755)
    one.configure(holdfast.fixed("s", server.address) + f't: {{ lookup: {{ script = "{script}"; }}; }};')
    one.start()
    one.wait_connected("s")
    one.command_raw("reconnect t")
    one.wait_status("t", up=False)
    assert "own sockets: a loop" in one.status("t")["last_error"]
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
