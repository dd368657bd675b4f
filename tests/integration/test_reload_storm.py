"""Reloads under load, half of them broken: no connection is lost, no byte is wrong, memory and files stay level."""
import os
import random
import signal
import socket

import pytest

import holdfast

# What the memory of a process may grow by between two moments at which the same clients do the same.
LEVEL = 512 << 10


class Files:
    """The configuration as it changes: the service under load, some that are unused, one that moves."""

    def __init__(self, one, generator, server):
        self.one = one
        self.generator = generator
        self.server = server
        self.hold = self.held = 0
        self.there = self.turned = self.moved = False

    def good(self):
        first, second = ("b", "a") if self.moved else ("a", "b")
        server = self.server.address
        services = holdfast.fixed("s", self.generator.address,
                                  f"retry: {{ delay = 0.1; }}; hold_timeout = {60 + self.hold};")
        services += holdfast.fixed("unused", server,
                                   "warm = 0;" if self.turned else "warm = 0; lookup: { timeout = 4; };")
        services += holdfast.fixed("one", server, f'listen: {{ path = "{first}.sock"; }};')
        services += holdfast.fixed("two", server, f'listen: {{ path = "{second}.sock"; }};')
        return services + (holdfast.fixed("guest", server) if self.there else "")

    def change(self):
        kind = random.choice(("in place", "renew", "guest", "path"))
        if kind == "in place":
            self.hold = (self.hold + 1) % 50
        elif kind == "renew":
            self.turned = not self.turned
        elif kind == "guest":
            self.there = not self.there
        else:
            self.moved = not self.moved

    def broken(self):
        """Each has some good change besides what is wrong."""
        good = self.good() + holdfast.fixed("more", self.server.address)
        wrong = random.choice((
            "x: {", holdfast.fixed("x", "h:1", "nonsense = 1;"), holdfast.fixed("x", "nowhere"),
            'x: { lookup: { script = "/nowhere/script"; }; };',
            holdfast.fixed("x", "h:1", f'listen: {{ path = "{self.one.path("plain")}"; }};'),
            holdfast.fixed("x", "h:1", f'listen: {{ path = "{self.one.path("taken")}"; }};'),
            holdfast.fixed("x", "h:1", f'listen: {{ path = "a/{"b" * 120}"; }};'),
            holdfast.fixed("s", "h:1")))
        return good + wrong


def one_reload(one, files):
    """A reload of some kind, and what comes of it."""
    good = random.random() < 0.5
    if good and random.random() < 1 / 3:
        files.change()
    one.configure(files.good() if good else files.broken())
    if random.random() < 0.1:
        assert one.command_raw("reload --dry-run")["ok"] is good
    if random.random() < 0.1:
        text = "info reloaded" if good else "error reload refused"
        seen = one.log().count(text)
        one.process.send_signal(signal.SIGHUP)
        one.wait_log(text, seen + 1)
        return good
    answer = one.command_raw("reload")
    assert answer["ok"] is good, answer
    return good


def memory(one):
    """PSS of the keeper and the worker together, in bytes."""
    total = 0
    for pid in (one.keeper, one.worker()):
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            total += sum(int(line.split()[1]) << 10 for line in rollup if line.startswith("Pss:"))
    return total


def at_rest(one, files):
    """Without a guest, and when what was not needed has been given back: memory, and open files."""
    files.there = False
    one.configure(files.good())
    one.command("reload")
    one.settled_files(["s", "one", "two"])
    return memory(one), one.files()


def reload_storm(one, generator, files, count, kinds):
    """So many reloads while the load runs; gives how many were good."""
    generator.start(one.socket("s"), 600, **kinds)
    generator.wait_running()
    good = 0
    for done in range(count):
        good += one_reload(one, files)
        assert not generator.ended_within(0), generator.complaints()
        if done % 10 == 0:
            with one.client(random.choice("ab")) as client:
                assert client.ask("x") == b"x\n"
    generator.finish()
    return good, generator.result()


def run_storm(daemon, load, upstream, figure, count, kinds):
    generator = load()
    one = daemon(holdfast.behind(generator), start=False)
    files = Files(one, generator, upstream())
    one.configure(files.good())
    one.start()
    with open(one.path("plain"), "w") as plain, socket.socket(socket.AF_UNIX) as taken:
        plain.write("not a socket")
        taken.bind(one.path("taken"))
        taken.listen()
        reload_storm(one, generator, files, max(30, count // 5), kinds)
        before, files_before = at_rest(one, files)
        good, result = reload_storm(one, generator, files, count, kinds)
        after, files_after = at_rest(one, files)
    figure(f"{count} reloads, {good} of them good, {result['bytes'] >> 20} MiB, {result['round_trips']} round trips, "
           f"{result['ask']} connections; memory {before >> 10} KiB before, {after >> 10} KiB after; "
           f"files {files_before}, {files_after}")
    assert one.restarts() == 0
    if not holdfast.SANITIZED:  # which keep what was freed
        holdfast.until(lambda: memory(one) < before + LEVEL,  # what is free is given back once a second
                       f"memory level at {before >> 10} KiB (now {memory(one) >> 10} KiB)")
    holdfast.until(lambda: one.files() <= files_before,
                   f"not more than {files_before} open files (now {one.files()})")
    assert os.path.exists(one.path("plain"))


def test_60_reloads(daemon, load, upstream, figure):
    """Without what takes long to come to its end, or uses pipes, which are kept for a second or two."""
    run_storm(daemon, load, upstream, figure, 60, dict(ping=8, ask=16, server_reset=2, client_reset=2))


@pytest.mark.long
def test_2000_reloads(daemon, load, upstream, figure):
    run_storm(daemon, load, upstream, figure, 2000, holdfast.ALL_KINDS)
