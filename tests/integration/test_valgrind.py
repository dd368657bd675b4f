"""holdfastd --no-keeper under valgrind: no block lost, no error, no file left open."""
import os
import re
import shutil

import pytest

import holdfast


@pytest.mark.plain
@pytest.mark.skipif(not shutil.which("valgrind"), reason="needs valgrind: apt-get install valgrind")
def test_no_block_lost_and_no_file_left(folder, daemon, upstream, load, catalog):
    server, generator = upstream(), load()
    catalog.publish("cat", "one", server.address)
    with open(f"{folder}/script", "w") as file:
        file.write(f"#!/bin/sh\necho {server.address}\n")
    os.chmod(f"{folder}/script", 0o755)
    services = (holdfast.behind(generator)
                + holdfast.fixed("down", f"127.0.0.1:{holdfast.free_port()}", "hold_timeout = 0.5;")
                + f'cat: {{ lookup: {{ catalog = "{catalog.folder}"; }}; }};\n'
                + f'scr: {{ lookup: {{ script = "{folder}/script"; }}; '
                + 'on_event = "/bin/true"; notify = "/bin/true"; };\n')
    one = daemon(services, start=False, arguments=["--no-keeper"], wrapper=[
        "prlimit", "--nofile=256:256",  # for a small table: a leak check reads all of it
        "valgrind", "--leak-check=full", "--show-leak-kinds=all", "--track-fds=yes", "--trace-children=no",
        f"--log-file={folder}/valgrind.%p"])
    one.start()
    generator.start(one.socket("s"), 3, bulk=1, bulk_bytes=1 << 20, ping=4, ask=4, half=1, server_reset=1,
                    client_reset=1)
    for service in ("cat", "scr"):
        with one.client(service) as client:
            assert client.ask("x") == b"x\n"
    with one.client("down") as client:
        assert client.at_end()
    generator.result()
    for line in ("status", "clients", "events s", "explain scr", "config", "lookup scr", "lookup cat", "help",
                 "nonsense", "reconnect s", "close cat", "open cat", "log info"):
        one.command_raw(line)
    one.configure(holdfast.fixed("new", server.address) + holdfast.fixed("s", generator.address, "warm = 2;"))
    one.command("reload")
    one.configure("nonsense")
    one.command_raw("reload")
    assert one.stop() == 0
    check(f"{folder}/valgrind.{one.process.pid}")


def swept(text):
    """How often valgrind, from version 3.24 on, complains that the sweep asks each number whether a file is open."""
    parts = re.split(r"(?=File descriptor \d+ (?:was never created|was closed already|Invalid))", text)[1:]
    return sum("fcntl" in part and "recover_run" in part for part in parts)


def check(path):
    with open(path) as file:
        text = file.read()
    errors = re.search(r"ERROR SUMMARY: (\d+) errors", text)
    assert errors and int(errors.group(1)) == swept(text), text
    for kind in ("definitely", "indirectly", "possibly"):
        lost = re.search(kind + r" lost: ([\d,]+) bytes", text)
        assert not lost or lost.group(1) == "0", text
    files = re.search(r"FILE DESCRIPTORS: (\d+) open(?: \((\d+) std\))? at exit", text)
    assert files, text
    left = [line for line in re.findall(r"Open .*", text) if not re.search(r"valgrind\.\d+|/log$|/dev/null", line)]
    assert not left, "\n".join(left)
