"""Secrets in a script's arguments and environment are given to it and shown to nobody; what is shown in their place
is no value."""
import json
import os
import re

import pytest

import holdfast

PROGRAM = os.path.join(holdfast.BUILD, "holdfastd")
SECRETS = ["s3cret-1", "s3cret-2", "s3cret-3", "s3cret-4", "s3cret-5"]
ARGS = ["--token=s3cret-1", "--password", "s3cret-2", "https://user:s3cret-3@host/", "plain"]
ENVIRONMENT = ["API_KEY=s3cret-4", "DATABASE=s3cret-5", "COLOUR=blue"]
# Says all that it knows, and fails.
SCRIPT = """#!/bin/sh
echo "1: $*"
echo "given: $* $API_KEY $DATABASE $COLOUR" >&2
exit 3
"""


def services(folder, delay):
    return f"""s: {{ lookup: {{ script = "{folder}/script"; args = {json.dumps(ARGS)};
        environment = {json.dumps(ENVIRONMENT)}; secret_environment = ["DATABASE"]; }};
        retry: {{ delay = {delay}; }}; }};\n"""


@pytest.fixture
def scripted(folder, daemon):
    with open(f"{folder}/script", "w") as file:
        file.write(SCRIPT)
    os.chmod(f"{folder}/script", 0o755)
    return daemon(services(folder, 100))


def test_they_are_shown_nowhere(folder, scripted):
    one = scripted
    one.wait_status("s", state="waiting")
    one.configure(services(folder, 200))
    dump = holdfast.run(PROGRAM, "-T", "-c", one.config).stdout
    seen = [dump] + [json.dumps(one.command_raw(line)) for line in (
        "config", "config s", "lookup s -v", "reload --dry-run", "reload", "status", "explain s", "metrics")]
    args = [re.sub("s3cret-.", "***", arg) for arg in ARGS]
    one.configure(services(folder, 200).replace("s3cret", "other"))
    changed = json.dumps(one.command_raw("reload"))
    seen += [changed, one.log()]
    for text in seen:
        for secret in SECRETS:
            assert secret not in text and secret.replace("s3cret", "other") not in text, text
    assert f"args = {json.dumps(args)};" in dump
    assert 'environment = ["API_KEY=***", "DATABASE=***", "COLOUR=blue"]' in dump
    assert "given: --token=*** --password *** https://user:***@host/ plain s *** *** blue" in one.log()
    assert "lookup.args" in changed and "lookup.environment" in changed


def test_the_dump_is_not_taken_back(folder, scripted):
    """Each is told with its line, by -t, at a start and at a reload."""
    dump = holdfast.run(PROGRAM, "-T", "-c", scripted.config).stdout
    with open(f"{folder}/shown.conf", "w") as file:
        file.write(dump)
    lines = dump.splitlines()
    for more in (["-t"], []):
        done = holdfast.run(PROGRAM, "-c", f"{folder}/shown.conf", *more)
        assert done.returncode == 78, done.stderr
        for number, wrong in re.findall(r'shown\.conf:(\d+): services\.s\.lookup\.\w+: "(.*?)": "\*\*\*" is what',
                                        done.stderr):
            assert wrong in lines[int(number) - 1]
        assert done.stderr.count('"***" is what is shown in a secret') == 5, done.stderr
    holdfast.run("cp", f"{folder}/shown.conf", scripted.config)
    answer = scripted.command_raw("reload")
    assert not answer["ok"] and len(answer["errors"]) == 5
