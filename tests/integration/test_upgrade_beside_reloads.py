"""Upgrades while one reload follows the other: none is refused or taken back for it."""
import os
import signal

import pytest

import holdfast
import storm

pytestmark = pytest.mark.plain  # a reload of so many takes long otherwise
MANY = 40  # services: so many that one reload or another comes while the trial reads the configuration


class Reloads(storm.Again):
    """Reloads without end, between two configurations, each of which is good."""

    def __init__(self, one, address):
        super().__init__()
        self.one, self.address = one, address
        self.done = 0
        self.wrong = []

    def services(self, delay):
        return "".join(holdfast.fixed(f"s{i}", self.address, f"retry: {{ delay = {delay}; }};") for i in range(MANY))

    def once(self):
        self.one.configure(self.services(("0.5", "10.25")[self.done % 2] + "0" * (self.done % 7)))
        try:
            answer = self.one.command_raw("reload")
        except ConnectionError:
            return  # that worker is gone
        if answer and not answer["ok"]:
            self.wrong.append(answer)
        self.done += 1


def run_storm(daemon, upstream, figure, count, ask):
    server = upstream()
    one = daemon(holdfast.fixed("s0", server.address))
    with one.client("s0") as client, Reloads(one, server.address) as reloads:
        assert client.ask("one") == b"one\n"
        holdfast.until(lambda: reloads.done > 0, "a reload")
        for number in range(1, count + 1):
            ask(one, number)
        assert client.ask("two") == b"two\n"
    assert "refused" not in one.log() and "taken back" not in one.log(), one.log()
    assert one.status()["upgrade_error"] is None and reloads.wrong == []
    figure(f"{one.status()['upgrades']} upgrades beside {reloads.done} reloads")


def by_command(one, number):
    done = one.ctl("upgrade")
    assert done.returncode == 0, done.stderr
    assert one.status()["upgrades"] == number


@pytest.mark.parametrize("count", [8, pytest.param(300, marks=pytest.mark.long)])
def test_none_is_refused(daemon, upstream, figure, count):
    run_storm(daemon, upstream, figure, count, by_command)


def by_signals(one, number):
    """USR2 again and again, also while the keeper is about to execute the new program."""
    def is_upgraded():
        for _ in range(1000):
            os.kill(one.keeper, signal.SIGUSR2)
        try:
            return one.status()["upgrades"] > number
        except ValueError:
            return False  # that answer was cut off by its worker's end
    holdfast.until(is_upgraded, "an upgrade")


@pytest.mark.parametrize("count", [4, pytest.param(300, marks=pytest.mark.long)])
def test_signals_while_it_is_executed_wait(daemon, upstream, figure, count):
    run_storm(daemon, upstream, figure, count, by_signals)
