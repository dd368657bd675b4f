"""An upstream that is one of the daemon's own sockets would be a loop: an error where the files tell, else a failed
attempt.  Such an endpoint, and one whose family this host does not have, fail like any other, and the next is
dialled."""
import os
import platform
import sys
import threading

import pytest

import holdfast
from lookup_script import Source
from upstream import named

SOCKET = {"x86_64": 41, "aarch64": 198}.get(platform.machine())  # the system call's number
# socket(AF_INET6, ...) fails with EAFNOSUPPORT, as on a host that was booted with ipv6.disable=1.
WITHOUT_IPV6 = f"""
import ctypes, os, struct, sys
code = [(0x20, 0, 0, 0), (0x15, 0, 3, {SOCKET}), (0x20, 0, 0, 16), (0x15, 0, 1, 10), (6, 0, 0, 0x50000 | 97),
        (6, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code), 48)
filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 6, ctypes.addressof(code)))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


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


def check_next_is_dialled(one, good, bad, error, seconds=2):
    """Of good and bad; the worker is at its work all the while, and tries bad now and then."""
    one.wait_status("s", up=True)
    with one.client("s") as client:
        assert client.ask("x") == b"good x\n"
    dead = holdfast.until(lambda: [end for end in one.command("endpoints s")["endpoints"]
                                   if end["state"] == "failed"], "an endpoint that has failed")
    assert [end["address"] for end in dead] == [bad] and error in dead[0]["last_error"], dead
    before = dead[0]["failures_total"]
    threading.Event().wait(seconds)
    assert one.restarts() == 0
    tried = one.command("endpoints s")["endpoints"][0]["failures_total"] - before
    assert 0 < tried <= seconds / 0.2 * 2, f"{tried} times in {seconds} s, with retry.delay = 0.2"
    assert good.accepted > 0


@pytest.mark.parametrize("first, more", [(True, "warm = 1; "), (False, "health: { interval = 0.5; }; ")])
def test_beside_a_good_server_it_is_a_failed_endpoint(daemon, upstream, folder, first, more):
    good, source = upstream(named("good")), Source(folder, "127.0.0.1:1")
    one = daemon(source.service("refresh = 0.5;", more + "retry: { delay = 0.2; };"), start=False)
    own = "unix:" + one.socket("s")
    source.say(*((own, good.address) if first else (good.address, own)))
    one.start()
    check_next_is_dialled(one, good, own, "own sockets: a loop")


@pytest.mark.skipif(SOCKET is None, reason="no number of the system call is known here")
@pytest.mark.parametrize("more", ["", "health: { interval = 0.5; }; warm = 1; "])
def test_without_ipv6_the_next_endpoint_is_dialled(daemon, upstream, more):
    good = upstream(named("good"))
    bad = f"[::1]:{good.port}"
    ends = (good.address, bad) if more else (bad, good.address)
    one = daemon(f's: {{ addresses = ["{ends[0]}", "{ends[1]}"]; {more} retry: {{ delay = 0.2; }}; }};',
                 wrapper=[sys.executable, "-c", WITHOUT_IPV6])
    check_next_is_dialled(one, good, bad, "Address family not supported by protocol")
