"""Nothing that others say reaches a terminal, a log or a program as more than text: each source, each output."""
import os
import socket
import subprocess
import threading

import pytest

import asking
import holdfast
import screen as screen_module

pytestmark = pytest.mark.plain

# Sets a terminal's title, begins a line of its own, turns what follows around, is a control character of C1 (as a
# byte and in UTF-8), is no UTF-8.
HARM = b"\x1b]0;owned\x07\nINJECTED \xe2\x80\xae \x9b31m \xff \xc2\x9b31m \xe2\x81\xa6"
TURNING = [chr(code) for code in (0x61c, 0x200e, 0x200f, *range(0x2028, 0x202f), *range(0x2066, 0x206a))]
ONE_LINE = HARM.replace(b"\n", b" ")
IN_A_PATH = b"\xe2\x80\xae \xff \xc2\x9b31m"


def said(word, harm=ONE_LINE):
    """What a source says: a word of its own, by which it is found again, and all that is harmful."""
    return word.encode() + b" " + harm


def octal(data):
    return "".join(f"\\{byte:03o}" for byte in data)


def quoted(data):
    """In a configuration file."""
    return "".join(f"\\x{byte:02x}" for byte in data)


def script(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(f"#!/bin/sh\n{text}\n")
    os.chmod(path, 0o755)
    return path


def speaker(text):
    """A server's side that says this at once."""
    def serve(connection):
        connection.sendall(text)
        while connection.recv(4096):
            pass
    return serve


class FakeTls(threading.Thread):
    """In the place of holdfast-tls: refuses each session with a text."""

    def __init__(self, path, text):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.text = text
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(self.text)


def services(folder, upstream):
    """Each source of text as a service."""
    words = {
        "errors": f"printf '{octal(said('W-errors'))}' >&2; exit 1",
        "output": f"printf '{octal(said('W-output'))}'",
        "abort": f"printf 'abort: {octal(said('W-abort'))}\\n'",
        "path": f"printf 'unix:/tmp/{octal(said('W-path', IN_A_PATH))}\\n'",
        "named": f"printf 'W-named-{octal(IN_A_PATH.replace(b' ', b''))}:5\\n'",
    }
    text = "".join(f's-{name}: {{ lookup: {{ script = "{script(folder, name, body)}"; }}; '
                   "retry: { delay = 0.1; jitter = 0; }; };\n" for name, body in words.items())
    handler = script(folder, "handler", f"printf '{octal(said('W-handler'))}' >&2; exit 1")
    spoken = {
        "hello": (speaker(said("W-hello") + b"\r\n"), 'hello = ( { send = "x"; expect = "+OK"; } );'),
        "unasked": (lambda connection: connection.sendall(said("W-unasked", HARM)), "warm = 1;"),
        "probe": (speaker(b"HTTP/1.1 " + said("W-probe") + b"\r\n\r\n"), 'probe = "http";'),
    }
    for name, (serve, more) in spoken.items():
        text += holdfast.fixed(f"s-{name}", upstream(serve).address, more)
    FakeTls(f"{folder}/tls", b"error dial " + said("W-tls") + b"\n")
    text += holdfast.fixed("s-tls", "127.0.0.1:9",
                           f'tls: {{ enabled = true; name = "x"; socket = "{folder}/tls"; }};')
    place = os.path.join(folder, "catalog", "s-catalog")
    os.makedirs(place)
    for name in (said("W-file", HARM), b"plain"):
        with open(os.path.join(place.encode(), name), "wb") as file:
            file.write(b"W-entry" + ONE_LINE.replace(b" ", b"") + b":5\n")
    text += f's-catalog: {{ lookup: {{ catalog = "{folder}/catalog"; }}; }};\n'
    arguments = f'lookup: {{ script = "/bin/false"; args = ["{quoted(said("W-argument", HARM))}"]; }};'
    return text + f's-config: {{ {arguments} on_event = "{handler}"; }};\n'


def expect_harmless(where, data, lines=False):
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    bad = [char for char in text if (ord(char) < 32 and char != "\n" and not (lines and char == "\t")) or
           0x7f <= ord(char) <= 0x9f or char in TURNING or 0xdc80 <= ord(char) <= 0xdcff]
    assert not bad, (where, [hex(ord(char)) for char in bad], text[:2000])
    assert lines or "\nINJECTED" not in text, (where, text[:2000])


def run(one, program, *words):
    """Standard output and standard error as bytes."""
    return subprocess.run([os.path.join(one.build, program), *words], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=holdfast.BOUND, env=holdfast.environment())


def ctl(one, *words):
    return run(one, "holdfastctl", "-s", one.control, *words)


OUTPUTS = [["status"], ["status", "{}"], ["endpoints"], ["endpoints", "{}"], ["explain", "{}"],
           ["lookup", "{}", "-v"],
           ["config"], ["config", "{}"], ["metrics"], ["clients"], ["wait", "{}", "0"], ["try", "{}", "0.05"],
           ["check"], ["check", "{}"], [said("unheard-of")], ["status", said("unknown")]]


@pytest.fixture
def one(daemon, folder, upstream):
    one = daemon(services(folder, upstream))
    for service in one.command("status")["services"]:
        if service["service"] != "s-unasked":
            holdfast.until(lambda name=service["service"]: one.status(name)["failures"] > 0 or
                           one.status(name)["state"] == "aborted", service["service"])
    one.wait_log("W-unasked")
    return one


def test_what_others_say_is_escaped_in_the_log_and_in_all_that_holdfastctl_prints(one, figure):
    everything = b""
    names = [service["service"] for service in one.command("status")["services"]]
    outputs = 0
    for words in OUTPUTS:
        for name in names if "{}" in words else [""]:
            for more in ([], ["--json"]):
                done = ctl(one, *more, *(word.format(name) if isinstance(word, str) else word for word in words))
                for data in (done.stdout, done.stderr):
                    expect_harmless((words, name, more), data, words[0] in ("lookup", "config") and not more)
                    everything += data
                    outputs += 1
    with open(one.log_path, "rb") as file:
        log = file.read()
    expect_harmless("log", log)
    everything += log
    for word in ("errors", "output", "abort", "path", "named", "handler", "hello", "unasked", "probe", "tls", "file",
                 "argument"):
        assert b"W-" + word.encode() in everything, word
    figure(f"{len(names)} services, {outputs} outputs, {len(everything)} bytes looked at")


def test_events_are_escaped_as_they_come(one):
    with socket.socket(socket.AF_UNIX) as operator:
        operator.connect(one.control)
        operator.sendall(b"events s-errors\n")
        data = operator.makefile("rb").readline()
    assert b"W-errors" in data
    expect_harmless("events", data)


def test_errors_of_the_configuration_are_escaped(one):
    one.configure(holdfast.fixed("s", "127.0.0.1:9") + f'b: {{ address = "{quoted(said("W-value", HARM))}"; }};')
    tested = run(one, "holdfastd", "-t", "-c", one.config)
    reload = ctl(one, "reload")
    notice = one.wait_notice("STATUS=")
    for where, data in {"-t": tested.stderr, "reload": reload.stdout + reload.stderr,
                        "status": ctl(one, "status").stdout}.items():
        assert b"W-value" in data, where
        expect_harmless(where, data)
    assert not any(line.startswith("INJECTED") for line in notice.splitlines()), notice
    with open(one.log_path, "rb") as file:
        expect_harmless("log", file.read())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount: run tests/run as root")
def test_names_of_users_processes_and_clients_are_escaped(daemon, redis, folder):
    """An account's name is what a directory service says; a process and a client of Redis name themselves."""
    with open(f"{folder}/passwd", "wb") as file:
        file.write(said("W-user", ONE_LINE.replace(b"]0;", b"]0")) + b":x:0:0::/:/bin/sh\n")
    mount = f'mount --bind {folder}/passwd /etc/passwd && exec "$@"'
    one = daemon(asking.shared("s", redis().address), wrapper=["unshare", "--mount", "sh", "-c", mount, "sh"])
    one.wait_connected("s")
    with open("/proc/self/comm", "rb+", buffering=0) as comm:
        before = comm.read()
        comm.write(b"W-comm \x1b]\x9b\xff\x07")
        with asking.Resp(one.client("s")) as client:
            client.ask("CLIENT", "SETNAME", b"W-label-" + HARM.replace(b" ", b"").replace(b"\n", b""))
            assert client.ask("PING") == "PONG"
            outputs = [ctl(one, *more, *words) for more in ([], ["--json"]) for words in (
                ["clients"], ["clients", "s", "--by", "user"], ["status", "s"], ["close", "s"], ["explain", "s"],
                ["status", "s"], ["open", "s"])]
        comm.write(before)
    for done in outputs:
        expect_harmless("names", done.stdout)
        expect_harmless("names", done.stderr)
    assert sum(b"W-user" in done.stdout for done in outputs) >= 4
    with open(one.log_path, "rb") as file:
        log = file.read()
    assert b"closed by W-user" in log
    expect_harmless("log", log)


def test_the_configuration_is_printed_so_that_it_is_read_the_same(one, folder):
    argument = quoted(said("W-argument", HARM))
    one.configure(f's: {{ lookup: {{ script = "/bin/false"; args = ["{argument}"]; }}; }};')
    printed = run(one, "holdfastd", "-T", "-c", one.config).stdout
    expect_harmless("-T", printed, lines=True)
    with open(f"{folder}/again.conf", "wb") as file:
        file.write(printed)
    assert run(one, "holdfastd", "-T", "-c", f"{folder}/again.conf").stdout == printed


def test_top_paints_no_more_than_text(one):
    terminal = screen_module.Terminal(os.path.join(one.build, "holdfastctl"), "-s", one.control, "top", columns=200,
                                      lines=40)
    try:
        terminal.until("s-errors")
        expect_harmless("top", "\n".join(terminal.lines()))
        terminal.press("/s-errors\r\r")
        terminal.until("W-errors")
        expect_harmless("top", "\n".join(terminal.lines()))
        assert terminal.screen.title == ""
    finally:
        terminal.end()
