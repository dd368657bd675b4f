"""holdfast-tls is upgraded again and again under load: no session is lost, none is refused, no byte is wrong."""
import random
import threading

import pytest

import holdfast
import tls_program

pytestmark = [pytest.mark.plain, tls_program.MARK]
UPGRADES = 50 if holdfast.LONG else 8


class Load:
    """Sessions that stay and ask all the time, and others that come and go.  Any error ends a thread, and is kept."""

    def __init__(self, program, lines, staying=8, coming=3):
        self.program, self.lines, self.ended, self.errors = program, lines, threading.Event(), []
        self.asked, self.opened = [0] * staying, [0] * coming
        work = [(self.stay, number) for number in range(staying)] + [(self.come, number) for number in range(coming)]
        self.threads = [threading.Thread(target=self.attempt, args=words) for words in work]
        for thread in self.threads:
            thread.start()

    def attempt(self, work, number):
        try:
            work(number)
        except (OSError, AssertionError) as error:
            self.errors.append(repr(error))

    def open(self):
        session = tls_program.Session(self.program.path, self.lines)
        assert session.answer.startswith("ok "), session.answer
        return session

    @staticmethod
    def ask(session, size):
        line = random.randbytes(size).hex().encode() + b"\n"
        assert session.ask(line) == line

    def stay(self, number):
        session = self.open()
        while not self.ended.is_set():
            self.ask(session, 10 if number % 2 else 50000)
            self.asked[number] += 1
        session.close()

    def come(self, number):
        while not self.ended.is_set():
            session = self.open()
            self.ask(session, 10)
            session.close()
            self.opened[number] += 1

    def wait_progress(self):
        """Each of them has done something since."""
        before = [*self.asked, *self.opened]
        holdfast.until(lambda: self.errors or all(now > then for now, then in
                                                  zip([*self.asked, *self.opened], before)), "progress of all")

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()


def test_upgrades_under_load(folder):
    authority = tls_program.Authority(folder)
    server = tls_program.server(tls_program.context(*authority.issue("good")))
    program = tls_program.Program(folder)
    load = Load(program, {"address": server.address, "ca": authority.ca})
    try:
        for _ in range(UPGRADES):
            load.wait_progress()
            program.upgrade()
        load.wait_progress()
    finally:
        load.end()
    assert not load.errors, load.errors
    print(f"{UPGRADES} upgrades, {sum(load.asked)} answers, {sum(load.opened)} sessions opened, none lost")
    for pid in program.pids[:-1]:
        holdfast.until(lambda: holdfast.proc_state(pid) in ("", "Z"), "the end of the old instances")
    server.stop()
    program.end()
