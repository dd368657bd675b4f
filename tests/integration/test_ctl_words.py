"""What people type: names that are nearly right, times with a unit, and questions whose answer is nothing."""
import pytest

import holdfast

NO, USAGE, UNKNOWN = 1, 2, 3


@pytest.fixture
def one(daemon, upstream):
    server = upstream()
    return daemon(holdfast.fixed("cache", server.address) + holdfast.fixed("web", server.address))


MISSPELT = [
    "status cahce", "clients cahce", "clients cahce --by user", "wait cahce", "wait cahce 5", "try cahce",
    "close cahce", "disable cahce", "drain cahce", "open cahce", "enable cahce", "kill cahce --id 1",
    "reconnect cahce", "pause cahce 1", "resume cahce", "fail cahce 1", "fail cahce 0", "lookup cahce",
    "events cahce", "explain cahce", "config cahce", "check cahce"]


def test_a_misspelt_service_is_told_with_the_nearest(one):
    for words in MISSPELT:
        done = one.ctl(*words.split())
        assert done.returncode == (UNKNOWN if words.startswith("check") else NO), done
        assert 'no service "cahce"; did you mean "cache"?' in done.stdout + done.stderr, done


def test_where_none_is_near_none_is_named(one):
    assert one.command_raw("status x") == {"ok": False, "error": 'no service "x"'}
    assert one.command_raw("kill elsewhere --id 1") == {"ok": False, "error": 'no service "elsewhere"'}
    assert one.command_raw("status CACHE")["error"] == 'no service "CACHE"'


def test_times_are_written_as_in_files(one):
    one.wait_connected("cache")
    for words, seconds in [("5s", 5), ("250ms", 0.25), ("2min", 120), ("0.5h", 1800), ("1.5", 1.5)]:
        answer = one.command(f"fail cache {words}")
        assert seconds - 0.2 < answer["left_seconds"] <= seconds
        one.command("fail cache 0")
        for command in (f"wait web {words}", f"try web {words}", f"pause web {words}", "resume web",
                        f"drain web --wait {words}", "open web"):
            done = one.ctl(*command.split())
            assert done.returncode == (4 if words == "250ms" and done.returncode else 0), (command, done)
        assert one.ctl("check", "-w", words, "-c", "1h", "cache").returncode != UNKNOWN


def test_a_time_that_runs_out_has_a_unit_too(daemon):
    one = daemon(holdfast.fixed("s", "127.0.0.1:9"))
    done = one.ctl("wait", "s", "30ms")
    assert done.returncode == 4 and "time ran out" in done.stderr


def test_what_is_no_time_is_refused(one):
    for words in ("0x10", "1e3", "inf", "nan", "5m", "5 sec", "-1", "+1", "", " 1", "1,5", "ms"):
        for command in ("wait web", "try web", "pause web", "fail web", "drain web --wait"):
            done = one.ctl(*command.split(), words)
            assert done.returncode == USAGE, (command, done)
        assert one.ctl("check", "-w", words).returncode == UNKNOWN
    status = one.status("web")
    assert not status["paused"] and status["failing"] is None and status["administered"] is None


def test_an_answer_that_is_nothing_says_so(one):
    for words in (["clients"], ["clients", "web"], ["clients", "--by", "user"]):
        done = one.ctl(*words)
        assert (done.returncode, done.stdout) == (0, "no clients\n"), (words, done)


def test_an_option_in_the_wrong_place_is_told_the_right_one(one):
    done = one.ctl("status", "-s", one.control)
    assert done.returncode == USAGE and "-s stands before the command" in done.stderr


def test_the_daemon_tells_of_one_command_too(one):
    answer = one.command("help reload")
    assert [command["command"] for command in answer["commands"]] == ["reload"]
    assert one.command_raw("help relaod") == {"ok": False, "error": 'no command "relaod"; did you mean "reload"?'}


def test_numbers_of_users_and_clients_may_have_zeros_before_them(one):
    for option, key in (("--user", "uid"), ("--id", "id")):
        with one.client("cache") as client:
            client.ask("x")
            number = one.command("clients cache")["clients"][0][key]
            assert one.command_raw(f"kill cache {option} 1000{number}")["ok"] is False
            assert one.command(f"kill cache {option} 000{number}")["killed"] == 1
            assert client.at_end()
