"""Whatever a lookup script does is a failed attempt that names the cause, in bounded time, and leaves nothing."""
import contextlib
import os
import signal

import pytest

import holdfast

# name: (the script after #!/bin/sh, what last_error must contain)
KINDS = {
    "exit-1": ("exit 1", "lookup script: exit 1"),
    "exit-1-with-reason": ("echo no route >&2; exit 1", "no route"),
    "exit-255": ("exit 255", "exit 255"),
    "address-but-exit-3": ("echo 127.0.0.1:5; exit 3", "exit 3"),
    "says-nothing": ("exit 0", "no address"),
    "comments-only": ("echo '# none'; echo", "no address"),
    "hangs": ("exec sleep 1000", "time-out after 0.5 s"),
    "ignores-sigterm": ("trap '' TERM INT HUP; while :; do sleep 1000; done", "time"),
    "closes-output-and-hangs": ("exec >&- 2>&-; exec sleep 1000", "time"),
    "grandchild-holds-the-pipe": ("sleep 1000 & exit 0", "no address"),
    "grandchild-in-a-session": ("setsid sleep 1000 & exit 0", "no address"),
    "endless-output": ("exec yes 127.0.0.1:5", "65536 bytes"),
    "endless-errors": ("yes no >&2; exit 1", "time-out"),
    "mebibyte-without-newline": ("head -c 1048576 /dev/zero | tr '\\0' a", "65536 bytes"),
    "nul-bytes": ("printf '127.0.0.1:\\0005\\n'", "NUL"),
    "binary": ("printf '\\177ELF\\002\\001\\000'; head -c 1000 /dev/urandom", "NUL"),
    "control-characters": ("printf '\\033[31m127.0.0.1:5\\n'", "not allowed"),
    "control-character-in-a-path": ("printf 'unix:/tmp/\\033[31m\\n'", "control character"),
    "port-0": ("echo 127.0.0.1:0", "port"),
    "port-too-high": ("echo 127.0.0.1:65536", "port"),
    "port-negative": ("echo 127.0.0.1:-1", "port"),
    "no-port": ("echo 127.0.0.1", "port"),
    "two-on-a-line": ("echo 127.0.0.1:5 127.0.0.1:6", "colon"),
    "open-bracket": ("echo '[::1:5'", "]"),
    "empty-host": ("echo :5", "host"),
    "relative-unix": ("echo unix:relative", "absolute"),
    "65-addresses": ("i=0; while [ $i -lt 65 ]; do i=$((i+1)); echo 127.0.0.1:$i; done", "64"),
    "no-newline-at-end": ("printf 127.0.0.1:1", "refused"),
    "one-bad-among-good": ("echo 127.0.0.1:1; echo nonsense here", "nonsense"),
    "sigkill": ("kill -9 $$", "SIGKILL"),
    "sigsegv": ("kill -SEGV $$", "SIGSEGV"),
    "missing": ("exit 0", "No such file"),
    "not-executable": ("exit 0", "not executable"),
    "bad-interpreter": ("exit 0", "interpreter"),
    "not-a-program": ("exit 0", "Exec format error"),
}


def write_script(path, body):
    with open(path, "w") as file:
        file.write(f"#!/bin/sh\n{body}\n")
    os.chmod(path, 0o755)


def spoil(folder):
    """What may only happen after the start, where it would be a configuration error."""
    os.unlink(f"{folder}/missing")
    os.chmod(f"{folder}/not-executable", 0o644)
    write_script(f"{folder}/bad-interpreter", "")
    with open(f"{folder}/bad-interpreter", "w") as file:
        file.write("#!/no/such/interpreter\n")
    with open(f"{folder}/nonsense", "wb") as file:
        file.write(b"\x7fELF nonsense")
    os.chmod(f"{folder}/nonsense", 0o755)
    os.rename(f"{folder}/nonsense", f"{folder}/not-a-program")  # the one before may run just now


@pytest.fixture
def hostile(folder, daemon):
    for name, (body, _) in KINDS.items():
        write_script(f"{folder}/{name}", body)
    services = "".join(
        f'{service_of(kind)}: {{ lookup: {{ script = "{folder}/{kind}"; timeout = 0.5; }}; '
        f'retry: {{ delay = 0.3; jitter = 0.0; }}; }};\n' for kind in KINDS)
    one = daemon(services)
    spoil(folder)
    yield one
    for pid in programs(one):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def service_of(kind):
    return "a" + kind if kind[0].isdigit() else kind


def wait_failures(one, more):
    """Each service has failed so many times more; gives the errors."""
    begin = {status["service"]: status["failures"] for status in one.status()["services"]}

    def all_failed():
        services = one.status()["services"]
        return services if all(s["failures"] >= begin[s["service"]] + more for s in services) else None
    return {s["service"]: s["last_error"] for s in holdfast.until(all_failed, "failures of all", 60)}


def programs(one):
    """Everything below the keeper but the worker, zombies included."""
    worker, found, left = one.worker(), [], [one.keeper]
    while left:
        pid = left.pop()
        try:
            with open(f"/proc/{pid}/task/{pid}/children") as file:
                children = [int(word) for word in file.read().split()]
        except OSError:
            continue
        found += children
        left += children
    return [pid for pid in found if pid != worker]


def close_all(one):
    for kind in KINDS:
        one.command(f"close {service_of(kind)}")
    return one.files()


def test_each_is_a_failed_attempt_that_names_the_cause(hostile):
    wait_failures(hostile, 2)
    errors = wait_failures(hostile, 1)
    wrong = {}
    for kind, (_, cause) in KINDS.items():
        error = errors[service_of(kind)] or ""
        if not error or cause not in error or any(ord(letter) < 32 for letter in error):
            wrong[kind] = error
    assert not wrong
    assert hostile.restarts() == 0


def test_nothing_is_left_behind(hostile, folder):
    wait_failures(hostile, 2)
    before = close_all(hostile)
    for kind in KINDS:
        hostile.command(f"open {service_of(kind)}")
    wait_failures(hostile, 2)
    close_all(hostile)
    holdfast.until(lambda: hostile.files() <= before, f"{before} open files")
    holdfast.until(lambda: all(in_own_session(pid) for pid in programs(hostile)), "the end of all programs")


def in_own_session(pid):
    """A grandchild that has left the lookup's process group is nobody's to kill; it must not be a zombie."""
    return holdfast.proc_state(pid) == "S" and os.getsid(pid) == pid
