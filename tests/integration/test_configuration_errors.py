"""Every error of a configuration is told with file, line and setting, and the exit code is 78."""
import os
import re

import pytest

import holdfast

SERVICE = 's:\n{{\n  address = "127.0.0.1:5";\n  {}\n}};'

# name: (services, or a whole file that begins with "!"; line; setting; what is wrong must contain)
KINDS = {
    "unknown-setting": (SERVICE.format("adress2 = 1;"), 7, "adress2", "unknown"),
    "did-you-mean": (SERVICE.format("hold_timout = 1;"), 7, "hold_timout", "hold_timeout"),
    "unknown-in-group": (SERVICE.format("retry: { dealy = 1; };"), 7, "dealy", "delay"),
    "framing-without-shared-mode": (SERVICE.format('framing = "line";'), 7, "framing", "shared"),
    "shared-mode-without-framing": (SERVICE.format('mode = "shared";'), 4, "framing", "required"),
    "wrong-type-number": (SERVICE.format('warm = "many";'), 7, "warm", ""),
    "wrong-type-text": (SERVICE.format("down_reply = 5;"), 7, "down_reply", ""),
    "wrong-type-bool": ("!log:\n{ clients = 3; };\nservices: {};", 2, "log.clients", ""),
    "wrong-type-group": (SERVICE.format("retry = 3;"), 7, "retry", ""),
    "float-for-count": (SERVICE.format("max_clients = 1.5;"), 7, "max_clients", ""),
    "negative": (SERVICE.format("max_held = -1;"), 7, "max_held", ""),
    "too-large": (SERVICE.format("warm = 1000;"), 7, "warm", ""),
    "jitter-over-1": (SERVICE.format("retry: { jitter = 2.0; };"), 7, "retry.jitter", ""),
    "factor-below-1": (SERVICE.format("retry: { factor = 0.5; };"), 7, "retry.factor", ""),
    "time-without-sense": (SERVICE.format('hold_timeout = "5 parsecs";'), 7, "hold_timeout", ""),
    "time-negative": (SERVICE.format("hold_timeout = -5;"), 7, "hold_timeout", ""),
    "time-zero": (SERVICE.format("connect_timeout = 0;"), 7, "connect_timeout", ""),
    "choice": (SERVICE.format('on_down = "wait";'), 7, "on_down", "refuse"),
    "mode-as-number": (SERVICE.format("listen: { mode = 0660; };"), 7, "listen.mode", '"'),
    "mode-not-octal": (SERVICE.format('listen: { mode = "0698"; };'), 7, "listen.mode", ""),
    "socket-too-long": (SERVICE.format('listen: { path = "' + "x" * 120 + '"; };'), 7, "listen.path", "10"),
    "bad-address": ('s:\n{\n  address = "nonsense";\n};', 6, "address", "nonsense"),
    "port-0": ('s:\n{\n  address = "127.0.0.1:0";\n};', 6, "address", ""),
    "bad-among-addresses": ('s:\n{\n  addresses = ["127.0.0.1:5", "x"];\n};', 6, "addresses", "x"),
    "two-sources": (SERVICE.format('lookup: { catalog = "/tmp"; };'), 0, "", ""),
    "both-addresses": (SERVICE.format('addresses = ["127.0.0.1:6"];'), 0, "address", ""),
    "script-missing": ('s:\n{\n  lookup: { script = "/no/such/script"; };\n};', 6, "lookup.script",
                       "/no/such/script"),
    "script-not-executable": ('s:\n{\n  lookup: { script = "/etc/passwd"; };\n};', 6, "lookup.script",
                              "/etc/passwd"),
    "handler-missing": (SERVICE.format('on_event = "/no/such/handler";'), 7, "on_event", "/no/such/handler"),
    "notify-missing": (SERVICE.format('notify = "/no/such/handler";'), 7, "notify", "/no/such/handler"),
    "bad-environment": ('s:\n{\n  lookup: { script = "/bin/true"; environment = ["no equals"]; };\n};', 6,
                        "lookup.environment", ""),
    "bad-name": ('"1s": 3;', 4, "", "quotation marks"),
    "name-with-digit": ('1db: { address = "127.0.0.1:5"; };', 4, "services", "1db: a name begins with a letter"),
    "name-with-dot": ('s.x: { address = "127.0.0.1:5"; };', 4, "services", 'write s: { name = "s.x"; ... }'),
    "name-too-long": ("s" * 65 + ': { address = "127.0.0.1:5"; };', 4, "", "64"),
    "service-twice": ('s: { address = "127.0.0.1:5"; };\ns: { address = "127.0.0.1:6"; };', 5, "services.s",
                      "the first is in line 4"),
    "setting-twice": (SERVICE.format("warm = 1;\n  warm = 2;"), 8, "services.s.warm", "the first is in line 7"),
    "time-without-quotation-marks": (SERVICE.format("hold_timeout = 30s;"), 7, "services.s.hold_timeout",
                                     'write "30s"'),
    "brace-missing": (' s:\n {\n  address = "127.0.0.1:5";\n t:\n {\n  address = "127.0.0.1:5";\n };', 4, "s",
                      '"};" is missing'),
    "path-as-address": ('s:\n{\n  address = "/run/x.sock";\n};', 6, "address", 'write "unix:/run/x.sock"'),
    "url-as-address": ('s:\n{\n  address = "redis://db:6380/0";\n};', 6, "address", 'write "db:6380"'),
    "mode-without-zero": (SERVICE.format("listen: { mode = 660; };"), 7, "listen.mode", 'write "0660"'),
    "same-socket-twice": ('s: { address = "127.0.0.1:5"; };\nt: { address = "127.0.0.1:5"; '
                          'listen: { path = "s.sock"; }; };', 5, "listen.path", ""),
    "service-not-a-group": ("s = 5;", 4, "s", ""),
    "syntax": ("s: { address = ; };", 4, "services.s.address", "a value is missing"),
    "unclosed": (' s: { address = "127.0.0.1:5";', 4, "s", '"};" is missing'),
    "unknown-top": ("!runtime_dir = 3;\nservices: {};", 1, "runtime_dir", "runtime_directory"),
    "relative-runtime-directory": ('!runtime_directory = "run";\nservices: {};', 1, "runtime_directory", ""),
    "services-not-a-group": ("!services = 5;", 1, "services", ""),
    "include-of-a-directory": ('!@include "/tmp"\nservices: {};', 1, "", ""),
    "include-missing": ('!@include "/no/such/file"\nservices: {};', 1, "", ""),
    "nul-byte": ("!services: {};\0", 1, "", ""),
}


def check(folder, *arguments):
    program = os.path.join(holdfast.BUILD, "holdfastd")
    return holdfast.run(program, "-c", f"{folder}/holdfast.conf", *arguments)


def write(folder, services):
    text = services[1:] if services.startswith("!") else \
        f'runtime_directory = "{folder}"; include_directory = "";\nservices:\n{{\n{services}\n}};\n'
    with open(f"{folder}/holdfast.conf", "w") as file:
        file.write(text)


@pytest.mark.parametrize("kind", KINDS)
def test_kind(folder, kind):
    services, line, setting, wrong = KINDS[kind]
    write(folder, services)
    done = check(folder, "-t")
    assert done.returncode == 78, (done.returncode, done.stdout + done.stderr)
    lines = re.findall(r"holdfast\.conf:(\d+): (?:(\S+?): )?(.*)", done.stderr + done.stdout)
    assert lines, done.stderr
    if line:
        assert str(line) in [number for number, _, _ in lines], done.stderr
    assert setting in done.stderr + done.stdout and wrong in done.stderr + done.stdout, done.stderr


# What may be otherwise in a moment: (service, setting, what is wrong).
MOMENTS = {
    "owner": ('listen: { owner = "no-such-user"; };', "listen.owner", "no-such-user"),
    "group": ('listen: { group = "no-such-group"; };', "listen.group", "no-such-group"),
    "allowed-user": ('listen: { allow_users = ["no-such-user"]; };', "listen.allow_users", "no-such-user"),
    "socket-folder": ('listen: { path = "/no/such/x.sock"; };', "listen.path", "/no/such"),
    "send-file": ('hello = ( { send_file = "/no/such/file"; } );', "hello", "/no/such/file"),
}


@pytest.mark.parametrize("kind", MOMENTS)
def test_what_may_be_otherwise_in_a_moment(folder, daemon, upstream, kind):
    """-t tells it and ends with 1; a start goes on without."""
    more, setting, wrong = MOMENTS[kind]
    write(folder, SERVICE.format(more))
    done = check(folder, "-t")
    assert done.returncode == 1, done.stderr
    assert re.search(rf"holdfast\.conf:7: services\.s\.{setting}: .*{wrong}", done.stderr), done.stderr
    one = daemon(holdfast.fixed("bad", upstream().address, more) + holdfast.fixed("good", upstream().address))
    with one.client("good") as client:
        assert client.ask("x") == b"x\n"
    assert wrong in one.log()


def test_an_interface_that_is_not_there(folder, daemon, upstream):
    """It may come with a tunnel; until then it is this service's failed attempt."""
    bad = 'address = "[fe80::1%nosuch0]:9";'
    write(folder, f"s: {{ {bad} }};")
    assert check(folder, "-t").returncode == 0
    one = daemon(f"bad: {{ {bad} }};\n" + holdfast.fixed("good", upstream().address))
    with one.client("good") as client:
        assert client.ask("x") == b"x\n"
    one.wait_status("bad", state="waiting")
    assert one.status("bad")["last_error"] == "dial [fe80::1%nosuch0]:9: No such device"


def test_all_are_told_not_only_the_first(folder):
    write(folder, 's:\n{\n address = "x";\n warm = -1;\n nonsense = 3;\n};\nt:\n{\n pick = "none";\n};')
    done = check(folder, "-t")
    assert done.returncode == 78
    for line in (6, 7, 8, 12):
        assert f"holdfast.conf:{line}:" in done.stderr + done.stdout, done.stderr


def test_included_files_are_named(folder):
    os.mkdir(f"{folder}/services.d")
    with open(f"{folder}/services.d/10-a.conf", "w") as file:
        file.write('services: { a: { address = "127.0.0.1:5"; }; };\n')
    with open(f"{folder}/services.d/20-b.conf", "w") as file:
        file.write('services:\n{ b: { addres = "127.0.0.1:5"; }; a: { address = "127.0.0.1:5"; }; };\n')
    with open(f"{folder}/holdfast.conf", "w") as file:
        file.write(f'runtime_directory = "{folder}";\n')
    done = check(folder, "-t")
    assert done.returncode == 78
    assert "20-b.conf:2:" in done.stderr + done.stdout and "10-a.conf:" in done.stderr + done.stdout, done.stderr


def test_missing_file(folder):
    done = check(folder, "-t")
    assert done.returncode == 78 and "No such file" in done.stderr
    assert "/holdfast.conf is a sample" in done.stderr


def test_a_comment_ends_with_the_file(folder):
    with open(f"{folder}/holdfast.conf", "w") as file:
        file.write(f'runtime_directory = "{folder}"; include_directory = ""; # nothing behind it')
    assert check(folder, "-t").returncode == 0


def test_open_files_are_judged_by_the_limit_of_who_tests(folder):
    write(folder, SERVICE.format(""))
    done = holdfast.run("bash", "-c", f"ulimit -n 1000; {holdfast.BUILD}/holdfastd -t -c {folder}/holdfast.conf")
    assert "the hard limit here, of whoever runs -t, is 1000 (ulimit -Hn)" in done.stderr
    assert "the unit has its own: LimitNOFILE=" in done.stderr


def test_fifo_in_place_of_a_file(folder):
    os.mkfifo(f"{folder}/holdfast.conf")
    assert check(folder, "-t").returncode == 78


def test_fifo_among_included_files(folder):
    os.mkdir(f"{folder}/services.d")
    os.mkfifo(f"{folder}/services.d/a.conf")
    write(folder, f'!runtime_directory = "{folder}";')
    assert check(folder, "-t").returncode == 78


def test_too_large(folder):
    write(folder, "!" + "# nothing\n" * 200000)
    assert check(folder, "-t").returncode == 78


def test_a_bad_file_starts_nothing(folder):
    write(folder, SERVICE.format("nonsense = 1;"))
    done = check(folder)
    assert done.returncode == 78 and "nonsense" in done.stderr
    assert os.listdir(folder) == ["holdfast.conf"]


def test_a_good_file_passes_and_its_dump_is_the_same_again(folder):
    write(folder, SERVICE.format("warm = 2;"))
    assert check(folder, "-t").returncode == 0
    dump = check(folder, "-T")
    assert dump.returncode == 0 and "warm = 2" in dump.stdout
    with open(f"{folder}/holdfast.conf", "w") as file:
        file.write(dump.stdout)
    again = check(folder, "-T")
    assert again.returncode == 0 and again.stdout == dump.stdout
