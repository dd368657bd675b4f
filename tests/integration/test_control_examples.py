"""holdfast-control(7): its examples do what they say, and what it says of each command is so."""
import json
import os
import re
import select
import subprocess

import pytest

import holdfast

pytestmark = pytest.mark.plain
PATH = "/run/holdfast/control.sock"


def manual():
    with open(os.path.join(holdfast.SOURCE, "man/holdfast-control.7")) as file:
        return file.read().replace("\\\n", "")


def shown(text):
    """As a reader sees it."""
    for escape, letter in (("\\(aq", "'"), ("\\(dq", '"'), ("\\e", "\\")):
        text = text.replace(escape, letter)
    return text


def programs():
    found = re.findall(r"^\.Bd -literal.*?\n(#!/usr/bin/python3\n.*?)^\.Ed$", manual(), re.MULTILINE | re.DOTALL)
    return [shown(program) for program in found]


@pytest.fixture
def cache(daemon, upstream):
    one = daemon(holdfast.fixed("cache", upstream().address) + holdfast.fixed("gone", "127.0.0.1:9"))
    one.wait_connected("cache")
    holdfast.until(lambda: one.status("gone")["last_error"], "a failure")
    return one


def test_lines_for_the_shell_are_answered(cache):
    lines = [shown(line) for line in re.findall(r"^\.Dl \$ (.*)$", manual(), re.MULTILINE)]
    assert len(lines) == 3
    for line in lines:
        assert PATH in line
        done = holdfast.run("sh", "-c", line.replace(PATH, cache.control))
        answers = [json.loads(answer) for answer in done.stdout.splitlines()]
        assert len(answers) == max(1, len(re.findall(r"'(?:pause|resume) ", line))), (line, done)
        assert all(answer["ok"] for answer in answers), (line, done)


def test_the_program_that_asks_tells_what_is_down(cache):
    done = holdfast.run("/usr/bin/python3", "-c", programs()[0].replace(PATH, cache.control))
    assert done.returncode == 0, done
    up, down = done.stdout.splitlines()
    assert up == "cache up" and re.fullmatch("gone DOWN: dial 127.0.0.1:9: Connection refused", down), done


def test_the_program_that_follows_events_outlives_the_worker(cache):
    program = programs()[1].replace(PATH, cache.control)
    with subprocess.Popen(["/usr/bin/python3", "-c", program], stdout=subprocess.PIPE, text=True) as run:
        def next_of_cache():
            while True:
                assert select.select([run.stdout], [], [], holdfast.BOUND)[0]
                line = run.stdout.readline()
                if " cache " in line:
                    return line.split()[-1]
        try:
            assert next_of_cache() == "connected"
            cache.kill_worker()
            assert next_of_cache() == "connected", "the last one, again"
            cache.command("reconnect cache")
            assert next_of_cache() == "disconnected"
        finally:
            run.kill()


def test_members_that_a_program_looks_at(cache):
    assert cache.command_raw("wait")["usage"] is True
    assert cache.command_raw("wait gone 0.01")["timed_out"] is True
    assert cache.command_raw("wait gone 0")["connected"] is False
    assert cache.command_raw('status "cac\\he"')["services"][0]["service"] == "cache"
    assert "error" in cache.command_raw("cahce")


def test_each_answer_has_the_members_that_the_manual_names(cache):
    with cache.client("cache") as client:
        assert client.ask("x") == b"x\n"
        answers = {
            "clients": cache.command("clients cache")["clients"][0], "endpoints": cache.command("endpoints"),
            "explain": cache.command("explain cache"), "lookup": cache.command("lookup cache -v"),
            "try": cache.command("try cache 5"), "pause": cache.command("pause cache --kill"),
            "resume": cache.command("resume cache"), "fail": cache.command("fail cache 0"),
            "log": cache.command("log"), "drain": cache.command("drain gone"), "open": cache.command("open gone"),
            "close": cache.command("close gone"), "ping": cache.command("ping"),
            "reload": cache.command("reload --dry-run"),
        }
    answers["endpoints"] |= answers["endpoints"]["endpoints"][0]
    answers["explain"] |= answers["explain"]["entries"][0]
    text = manual()
    for command, answer in answers.items():
        if command == "reload":
            part = re.search(r"^\.Ss Reload$(.*?)^\.Sh ", text, re.MULTILINE | re.DOTALL).group(1)
        else:
            part = re.search(rf"^\.It Cm {command}[ \n].*?(?=^\.El|^\.It Cm (?!enable|disable|try))", text,
                             re.MULTILINE | re.DOTALL).group()
        for member in answer:
            assert member in ("ok", "service") or re.search(rf"\b{member}\b", part), (command, member)
