"""The examples of README, manuals and samples: a newcomer types them first, so each must work as it stands."""
import os
import re
import select
import shlex
import subprocess

import pytest

import holdfast

CONFIGURATION = re.compile(r"^\s*(#.*\n\s*)*(log|defaults|services|control|metrics)\s*:", re.MULTILINE)
PAPERS = ["README.md", "man/holdfast.conf.5", "man/holdfast-lookup.7", "man/holdfast-shared.7"]


def read(name):
    with open(os.path.join(holdfast.SOURCE, name)) as file:
        return file.read()


def blocks(name):
    """Displayed texts of a manual, or of a paper in Markdown."""
    if name.endswith(".md"):
        return re.findall(r"^```\w*\n(.*?)^```$", read(name), re.MULTILINE | re.DOTALL)
    found = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", read(name), re.MULTILINE | re.DOTALL)
    return [block.replace("\\e", "\\") for block in found]


def judged(folder, text):
    """What -t says of the text as the file of a host that has nothing of it."""
    path = os.path.join(folder, "holdfast.conf")
    text = text.replace('"/usr/libexec/holdfast/', f'"{os.path.join(holdfast.SOURCE, "libexec")}/')
    with open(path, "w") as file:
        file.write(f'runtime_directory = "{folder}"; include_directory = "";\n{text}')
    return holdfast.run(os.path.join(holdfast.BUILD, "holdfastd"), "-t", "-c", path)


def test_configurations_are_good_as_they_stand(folder):
    found = [(name, block) for name in PAPERS for block in blocks(name) if CONFIGURATION.match(block)]
    assert {name for name, _ in found} >= {"README.md", "man/holdfast.conf.5", "man/holdfast-shared.7"}
    found += [(name, read(name)) for name in ("etc/holdfast.conf", "etc/demo.conf")]
    manual = [block for name, block in found if name == "man/holdfast.conf.5"]
    for said in ('"postgresql"', '"mysql"', "lookup-sentinel", "spool:", 'probe = "http"'):
        assert any(said in block for block in manual), f"no example has {said}"
    for name, block in found:
        done = judged(folder, block)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


def test_parts_of_a_service_s_settings_are_good_with_the_scripts_beside_them(folder):
    """A script that a part names stands in the block behind it, unless it comes with us."""
    parts, scripts = 0, 0
    for name in PAPERS:
        shown = blocks(name)
        for part, behind in zip(shown, shown[1:] + [""]):
            if part.startswith("#!/bin/sh"):
                scripts += 1
                checked = subprocess.run(["sh", "-n"], input=part, capture_output=True, text=True, timeout=10)
                assert checked.returncode == 0, f"{name}: {part}{checked.stderr}"
            if CONFIGURATION.match(part) or not re.match(r"[a-z_.]+ ?[:=] ?[{(\"\d]", part):
                continue
            parts += 1
            for script in re.findall(r'script = "([^"]*)"', part):
                if script.startswith("/usr/libexec/holdfast/"):
                    continue
                assert os.path.basename(script) in behind, f"{name}: {script} is not shown behind {part}"
                there = os.path.join(folder, os.path.basename(script))
                with open(there, "w") as file:
                    file.write(behind)
                os.chmod(there, 0o755)
                part = part.replace(script, there)
            where = "" if "lookup:" in part or part.startswith("address") else 'address = "h:1";'
            shared = 'mode = "shared"; framing = "resp";' if "shared" in name else ""
            done = judged(folder, f"services: {{ s: {{ {where} {shared} {part} }}; }};")
            assert done.returncode == 0, f"{name}: {part}{done.stdout}{done.stderr}"
    assert parts >= 5 and scripts >= 3, (parts, scripts)


@pytest.fixture
def tour(daemon, upstream):
    """The daemon of README's configuration, whose servers are all there."""
    server = upstream()
    text = next(block for block in blocks("README.md") if CONFIGURATION.match(block))
    text = re.sub(r'"[a-z0-9.]+:\d+"', f'"{server.address}"', text)
    text = re.sub(r"lookup: \{ catalog = [^}]*\}", f'address = "{server.address}"', text)
    one = daemon(start=False)
    with open(one.config, "w") as file:
        file.write(f'runtime_directory = "{one.folder}"; include_directory = "";\n{text}')
    one.start()
    for service in one.status()["services"]:
        one.wait_connected(service["service"])
    return one


def commands(text):
    """The commands of holdfastctl in indented or displayed lines: each up to what follows it in the shell."""
    for line in text.splitlines():
        shown = re.match(r"(?:    |\.Dl [$#] )(?:sudo )?holdfastctl (.*)", line)
        if shown:
            words = shlex.split(re.split(r"  +#|&&|\||;", shown.group(1))[0])
            yield words


def begins(one, words):
    """Whether a command that does not end by itself says something."""
    command = [os.path.join(one.build, "holdfastctl"), "-s", one.control, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=holdfast.environment()) as run:
        try:
            return bool(select.select([run.stdout], [], [], holdfast.BOUND)[0]) and bool(run.stdout.readline())
        finally:
            run.kill()


def test_commands_do_what_they_are_shown_for(tour):
    papers = ["README.md", *(f"man/{name}" for name in sorted(os.listdir(os.path.join(holdfast.SOURCE, "man"))))]
    shown = [(name, words) for name in papers for words in commands(read(name))]
    assert len(shown) > 20
    for name, words in shown:
        if words[0] in ("top", "publish", "add", "remove"):
            continue  # want a terminal, a server, /etc/holdfast: test_top.py, test_publish.py, test_add.py
        if words[0] == "events":
            assert begins(tour, words)
            continue
        done = tour.ctl(*words)
        assert done.returncode == 0, (name, words, done)
        if "pause" in words:
            tour.command("resume " + words[1])
        if words[0] == "fail":
            tour.command(f"fail {words[1]} 0")
        if words[0] == "drain":
            tour.command("open --all")
        for service in tour.status()["services"]:
            tour.wait_connected(service["service"])


def test_sockets_that_the_readme_uses_are_there(tour):
    used = re.findall(r"/run/holdfast/([a-z0-9./_-]+)", read("README.md"))
    for name in used:
        assert os.path.exists(tour.path(name)), name
    assert os.path.exists(tour.path("database/.s.PGSQL.5432"))
    assert len(used) >= 4
