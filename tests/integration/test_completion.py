"""Completion in bash and zsh: what the shells offer, with a daemon, without one, and with 1,000 services."""
import os
import re
import shutil
import subprocess
import time

import pytest

import holdfast
from screen import Control, Terminal, service

FOLDER = os.path.join(holdfast.SOURCE, "packaging/completion")
BASH_COMPLETION = "/usr/share/bash-completion/bash_completion"

pytestmark = [pytest.mark.plain, pytest.mark.skipif(not shutil.which("zsh"), reason="needs zsh: apt-get install zsh")]

# Completes $LINE as readline would call it, and prints the reply.
BASH = f"""
[ -z "$LIBRARY" ] || . {BASH_COMPLETION}
. {FOLDER}/holdfastctl.bash
read -ra words <<<"$LINE"
[[ $LINE == *' ' ]] && words+=("")
split=()
for word in "${{words[@]}}"; do  # at colons, as readline does
	while [[ $word == *:* && $word != : ]]; do
		split+=("${{word%%:*}}" :)
		word=${{word#*:}}
	done
	split+=("$word")
done
COMP_WORDS=("${{split[@]}}") COMP_CWORD=$((${{#split[@]}} - 1)) COMP_LINE=$LINE COMP_POINT=${{#LINE}}
spec=$(complete -p "${{words[0]##*/}}")
[[ $spec =~ -F\\ ([^ ]+) ]]
"${{BASH_REMATCH[1]}}" "${{words[0]}}" "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def environment(socket, **more):
    path = f"{holdfast.BUILD}:{os.environ['PATH']}"
    return holdfast.environment(**{"PATH": path, "HOLDFAST_SOCKET": socket, "TERM": "linux", **more})


def bash(line, socket="/nowhere/control.sock", library="", folder="/"):
    done = holdfast.run("bash", "--norc", "-c", BASH, cwd=folder, env=environment(socket, LINE=line, LIBRARY=library))
    assert done.stderr == ""
    return done.stdout.split()


class Zsh:
    """An interactive zsh with completion, on a terminal."""

    def __init__(self, folder, socket):
        rc = os.path.join(folder, ".zshrc")
        with open(rc, "w") as file:
            file.write(f"fpath=({FOLDER} $fpath)\nautoload -Uz compinit\ncompinit -u -D\nPS1='zsh: '\nLISTMAX=0\n"
                       "zstyle ':completion:*' list-separator '--'\nunsetopt beep\nsetopt no_always_last_prompt\n")
        path = f"{holdfast.BUILD}:{os.environ['PATH']}"
        self.terminal = Terminal(shutil.which("zsh"), "-d", "-i", columns=120, lines=50, ZDOTDIR=folder,
                                 HOLDFAST_SOCKET=socket, PATH=path)
        self.terminal.until("zsh:")

    def complete(self, line, wanted):
        """Types the line and a tab; waits for a text, gives the screen's."""
        self.terminal.press("\x15\x0c")
        self.terminal.until(lambda: self.terminal.text().strip() == "zsh:")
        self.terminal.press(line + "\t")
        self.terminal.until(wanted)
        return self.terminal.text()

    def end(self):
        self.terminal.end()


@pytest.fixture
def zsh(folder):
    yield from holdfast.each_ends(lambda socket: Zsh(folder, socket))


@pytest.fixture
def two(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("cache", server.address) + holdfast.fixed("cards", server.address) +
                 holdfast.fixed("mail", server.address))
    one.wait_connected("cache")
    return one


def commands():
    return re.findall(r"^  ([a-z]+) ", holdfast.run(os.path.join(holdfast.BUILD, "holdfastctl"), "help").stdout, re.M)


def test_bash_completes_commands_options_and_names(two):
    assert bash("holdfastctl ") == commands()
    for library in ("", "yes") if os.path.exists(BASH_COMPLETION) else ("",):
        assert bash("holdfastctl st", library=library) == ["status"]
        assert bash("holdfastctl explain ca", two.control, library) == ["cache", "cards"]
    assert bash("holdfastctl --json status ", two.control) == ["cache", "cards", "mail"]
    assert bash(f"holdfastctl -s {two.control} close m") == ["mail"], "the socket on the line is asked"
    assert bash("holdfastctl clients --by ") == ["user", "unit", "pid", "address", "socket"]
    assert bash("holdfastctl drain --") == ["--all", "--wait", "--json", "--help"]
    assert bash("holdfastctl log deb") == ["debug"]
    assert bash(f"{holdfast.BUILD}/holdfastctl reco") == ["reconnect"]


def test_bash_completes_who_is_connected(two):
    with two.client("cache") as client:
        client.ask("x")
        one = two.command("clients cache")["clients"][0]
        assert bash("holdfastctl kill cache --id ", two.control) == [str(one["id"])]
        assert bash("holdfastctl kill cache --user ", two.control) == [one["user"]]
        assert bash("holdfastctl kill mail --id ", two.control) == []
        host, port = one["address"].split(":")
        assert bash(f"holdfastctl kill cache --address {host[:4]}", two.control) == [one["address"]]
        assert bash(f"holdfastctl kill cache --address {host}:", two.control) == [port], "bash splits at the colon"


def test_files_and_the_options_of_the_daemon(folder):
    os.makedirs(f"{folder}/one dir")
    with open(f"{folder}/one.conf", "w"):
        pass
    assert bash("holdfastd -c one.", folder=folder) == ["one.conf"]
    assert bash("holdfastctl -s one.", folder=folder) == ["one.conf"]
    options = bash("holdfastd -")
    assert {"-c", "--config", "-t", "--test", "--no-keeper", "--verbose", "--help"} <= set(options)
    assert bash("holdfastd --du") == ["--dump"]


def test_no_daemon_is_no_noise(folder):
    assert bash("holdfastctl status ") == []
    assert bash("holdfastctl kill s --id ") == []
    silent = Control(os.path.join(folder, "control.sock"))
    silent.answers["status"] = {"ok": False, "error": "no"}
    assert bash("holdfastctl status ", silent.path) == []
    silent.stop()


def test_zsh_completes_with_descriptions(two, zsh):
    shell = zsh(two.control)
    text = shell.complete("holdfastctl re", "reload ")  # the last of them
    assert re.search(r"reconnect +-- drops the upstream connection and connects again at once", text)
    assert re.search(r"reload +-- ", text)
    text = shell.complete("holdfastctl explain ca", "cards")
    assert re.search(r"cache .*-- UP", text) and "mail" not in text
    shell.complete("holdfastctl close ma", "close mail")
    text = shell.complete("holdfastctl drain --", "--wait")
    assert "--all" in text
    text = shell.complete("holdfastd --", "--no-keeper")
    assert re.search(r"--dump +-- print the effective configuration", text)
    with two.client("cache") as client:
        client.ask("x")
        address = two.command("clients cache")["clients"][0]["address"]
        shell.complete("holdfastctl kill cache --address 12", f"--address {address}")


def test_1000_services_are_completed_quickly(daemon, figure):
    one = daemon("".join(holdfast.fixed(f"service-{i}", "127.0.0.1:9", "warm = 0;") for i in range(1000)))
    begun = time.monotonic()
    found = bash("holdfastctl status service-99", one.control)
    took = time.monotonic() - begun
    begun = time.monotonic()
    subprocess.run(["bash", "--norc", "-c", "true"], check=True)
    figure(f"11 of 1,000 names completed in {took * 1e3:.0f} ms, of which bash's start is "
           f"{(time.monotonic() - begun) * 1e3:.0f} ms")
    assert found == ["service-99"] + [f"service-{i}" for i in range(990, 1000)]


@pytest.mark.long
def test_they_are_installed_where_they_are_looked_for(folder):
    done = holdfast.run("make", "-s", "-C", holdfast.BUILD, "install", f"DESTDIR={folder}")
    assert done.returncode == 0, done.stderr
    completions = f"{folder}/usr/share/bash-completion/completions"
    assert os.path.isfile(f"{completions}/holdfastctl") and os.readlink(f"{completions}/holdfastd") == "holdfastctl"
    assert os.path.isfile(f"{folder}/usr/share/zsh/site-functions/_holdfastctl")
    assert holdfast.run("make", "-s", "-C", holdfast.BUILD, "uninstall", f"DESTDIR={folder}").returncode == 0
    assert not os.listdir(completions) and not os.listdir(f"{folder}/usr/share/zsh/site-functions")
