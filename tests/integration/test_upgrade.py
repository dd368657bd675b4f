"""An upgrade: another program goes on with everything (U1, U2, U4), or it is refused and nothing has happened."""
import os
import shutil
import signal
import statistics
import subprocess

import pytest

import holdfast
import storm

PROGRAM = os.path.join(holdfast.BUILD, "holdfastd")
OTHER = os.path.join(holdfast.OTHER_BUILD, "holdfastd")  # another compiler's, where there is one


def installed(daemon, server, **options):
    one = daemon(holdfast.fixed("s", server.address), start=False, **options)
    one.install(PROGRAM)
    return one.start()


def upgrade(one):
    done = one.ctl("upgrade")
    assert done.returncode == 0, done.stderr + one.log()
    return done.stdout


def write_program(one, text):
    with open(one.path("fake"), "w") as file:
        file.write(text)
    os.chmod(one.path("fake"), 0o755)
    one.install(one.path("fake"))


def assert_refused(one, client, why):
    upgrades, worker = one.status()["upgrades"], one.worker()
    done = one.ctl("upgrade", bound=30)
    assert done.returncode == 1
    assert why in done.stderr and "continues" in done.stderr
    status = one.status()
    assert why in status["upgrade_error"] and status["upgrades"] == upgrades
    assert one.worker() == worker
    assert client.ask("still here") == b"still here\n"


def test_another_build_goes_on_with_everything(daemon, upstream):
    server = upstream()
    one = installed(daemon, server)
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        before = one.status()
        one.install(OTHER)
        assert "upgraded: version" in upgrade(one)
        assert client.ask("two") == b"two\n"
        after = one.status()
        assert os.readlink(f"/proc/{one.keeper}/exe") == one.program
    assert after["pid"] == before["pid"] and after["worker_pid"] != before["worker_pid"]
    assert after["started"] == before["started"]
    assert (before["upgrades"], after["upgrades"], after["upgrade_error"], after["ready"]) == (0, 1, None, True)
    assert after["worker_restarts"] == before["worker_restarts"]


def test_a_link_is_followed_anew(daemon, upstream):
    """As where versions lie side by side and a link says which one is in force."""
    one = daemon(holdfast.fixed("s", upstream().address), start=False)
    for name, program in (("v1", PROGRAM), ("v2", OTHER)):
        shutil.copy(program, one.path(name))
    one.program = one.path("current")
    os.symlink("v1", one.program)
    one.start()
    assert os.readlink(f"/proc/{one.keeper}/exe") == one.path("v1")
    os.symlink("v2", one.program + ".new")
    os.rename(one.program + ".new", one.program)
    upgrade(one)
    assert os.readlink(f"/proc/{one.keeper}/exe") == one.path("v2")
    assert one.status()["program"] == one.program


def test_usr2_upgrades(daemon, upstream):
    one = installed(daemon, upstream())
    for number in (1, 2):
        os.kill(one.keeper, signal.SIGUSR2)
        holdfast.until(lambda: one.status()["upgrades"] == number, "an upgrade")


def test_a_program_that_comes_while_another_is_tried_is_tried_too(daemon, upstream):
    """U2: requests merge, but none is lost."""
    one = installed(daemon, upstream())
    write_program(one, f"#!/bin/sh\n: >{one.path('trying')}\n"
                  f"while [ ! -e {one.path('go')} ]; do sleep 0.01; done\nexit 1\n")
    os.kill(one.keeper, signal.SIGUSR2)
    holdfast.until(lambda: os.path.exists(one.path("trying")), "the trial")
    one.install(PROGRAM)
    os.kill(one.keeper, signal.SIGUSR2)
    one.command("ping")
    open(one.path("go"), "w").close()
    holdfast.until(lambda: one.status()["upgrades"] == 1, "an upgrade to the second")
    assert one.status()["upgrade_error"] is None


def test_the_command_follows_it_over_the_worker_that_was_asked(daemon, upstream):
    one = installed(daemon, upstream())
    write_program(one, f"#!/bin/sh\n: >{one.path('trying')}\nexec sleep 60\n")
    command = subprocess.Popen([os.path.join(holdfast.BUILD, "holdfastctl"), "-s", one.control, "upgrade"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    holdfast.until(lambda: os.path.exists(one.path("trying")), "the trial")
    one.install(PROGRAM)
    one.kill_worker()
    said, complaints = command.communicate(timeout=holdfast.BOUND)
    assert command.returncode == 0 and said.startswith("upgraded: version"), complaints + one.log()
    assert one.status()["upgrades"] == 1


def test_a_program_that_cannot_go_on_is_refused(daemon, upstream):
    one = installed(daemon, upstream())
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        write_program(one, "#!/bin/sh\necho this is broken >&2\nexit 3\n")
        assert_refused(one, client, "exit 3: this is broken")
        one.install("/bin/true")
        assert_refused(one, client, "is not holdfastd")
        write_program(one, "neither a script nor anything else\n")
        assert_refused(one, client, "Exec format error")
        os.chmod(one.program, 0o644)
        assert_refused(one, client, "ermission denied" if os.geteuid() else "executable")
        os.unlink(one.program)
        assert_refused(one, client, "No such file")
        one.install(PROGRAM)
        upgrade(one)
        assert one.status()["upgrade_error"] is None
        assert client.ask("two") == b"two\n"


@pytest.mark.long
def test_a_program_that_says_nothing_is_refused(daemon, upstream):
    one = installed(daemon, upstream())
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        write_program(one, "#!/bin/sh\nexec sleep 1000\n")
        assert_refused(one, client, "time-out after 10.0 s")


@pytest.mark.plain
@pytest.mark.skipif(holdfast.run(OTHER, "--crash-points").returncode != 0, reason="needs a build with crash points")
@pytest.mark.parametrize("number", [signal.SIGABRT, pytest.param(0, marks=pytest.mark.long)], ids=["abort", "hang"])
def test_a_program_whose_workers_die_is_taken_back(daemon, upstream, number):
    deaths = {"HOLDFAST_CRASH": "recover.swept:1", "HOLDFAST_CRASH_SIGNAL": str(int(number))}
    one = installed(daemon, upstream(), environment_more=deaths)
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        one.install(OTHER)
        done = one.ctl("upgrade", bound=30)
        assert done.returncode == 1 and "taken back" in done.stderr, one.log()
        assert client.ask("two") == b"two\n"
        assert "died before any was ready" in one.status()["upgrade_error"]
        assert "the upgrade is taken back" in one.log()
        one.install(PROGRAM)
        upgrade(one)
        assert client.ask("three") == b"three\n"


@pytest.mark.plain
@pytest.mark.skipif(not holdfast.NEXT_BUILD, reason="needs a build with the next layout")
def test_the_next_layout_is_upgraded_to_and_never_back(daemon, upstream, load):
    generator = load()
    one = daemon(holdfast.behind(generator), start=False)
    one.install(PROGRAM)
    one.start()
    before = storm.warmed_up(one, generator)
    generator.start(one.socket("s"), 2, **holdfast.ALL_KINDS)
    generator.wait_running()
    one.install(os.path.join(holdfast.NEXT_BUILD, "holdfastd"))
    upgrade(one)
    assert not generator.ended_within(0.2)
    one.kill_worker()
    one.install(PROGRAM)
    done = one.ctl("upgrade")
    assert done.returncode == 1 and "unknown layout" in done.stderr
    one.install(os.path.join(holdfast.NEXT_BUILD, "holdfastd"))
    upgrade(one)
    generator.result()
    assert one.status()["upgrades"] == 2
    storm.assert_no_file_leaked(one, before)


def test_what_is_no_table_is_refused_whatever_it_says(folder):
    """The trial of a new program reads a file that may be anything."""
    head = b"holdfast" + (6).to_bytes(4, "little")
    for bytes_ in (b"", b"holdfast", os.urandom(1 << 20), head + b"\0" * 10000, head + b"\xff" * 100000):
        with open(f"{folder}/table", "wb") as file:
            file.write(bytes_)
        done = holdfast.run(PROGRAM, "-t", "--check-table", f"{folder}/table")
        assert done.returncode == 1 and "unknown layout" in done.stderr, (done, bytes_[:20])


def test_bad_files_at_an_upgrade_leave_the_configuration_in_force(daemon, upstream):
    one = installed(daemon, upstream())
    with one.client("s") as client:
        assert client.ask("one") == b"one\n"
        one.configure("s: { addres = 1; };")
        upgrade(one)
        assert client.ask("two") == b"two\n"
        assert "addres" in one.status()["config_error"]


def test_there_is_none_without_a_keeper(daemon, upstream):
    one = installed(daemon, upstream(), arguments=["--no-keeper"])
    done = one.ctl("upgrade")
    assert done.returncode == 1 and "no keeper" in done.stderr


def run_storm(daemon, load, figure, seconds, upgrades, sessions):
    """Upgrades between two builds under load; one in ten is to a broken one."""
    generator = load()
    one = daemon(holdfast.behind(generator), start=False)
    one.install(PROGRAM)
    one.start()
    before = storm.warmed_up(one, generator)
    shutil.copy("/bin/false", one.path("broken"))
    generator.start(one.socket("s"), seconds * 10, **sessions)
    generator.wait_running()
    done = refused = 0
    while done < upgrades and not generator.ended_within(seconds / upgrades / 2):
        generator.mark()
        if done % 10 == 9 and refused < done // 10 + 1:
            one.install(one.path("broken"))
            assert one.ctl("upgrade").returncode == 1
            refused += 1
        one.install(OTHER if done % 2 == 0 else PROGRAM)
        upgrade(one)
        done += 1
    generator.finish()
    result = generator.result()
    assert done == upgrades
    assert one.status()["upgrades"] == done
    storm.assert_no_file_leaked(one, before)
    figure(f"{done} upgrades, {refused} refused, {result['bytes'] >> 20} MiB, {result['round_trips']} round trips, "
           f"longest stall: median {statistics.median(result['marks_ms']):.1f} ms, "
           f"worst {max(result['marks_ms']):.1f} ms")


@pytest.mark.plain
def test_upgrades_under_load_lose_nothing(daemon, load, figure):
    run_storm(daemon, load, figure, 3, 20, holdfast.ALL_KINDS)


@pytest.mark.long
@pytest.mark.parametrize("sessions", [holdfast.ALL_KINDS, {"ping": 1000, "think": 50}], ids=["all-kinds", "1000"])
def test_200_upgrades(daemon, load, figure, sessions):
    run_storm(daemon, load, figure, 60, 200, sessions)
