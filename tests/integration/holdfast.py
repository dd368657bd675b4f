"""holdfast - starts the daemon under test and talks to it.

The builds come from the environment: HOLDFAST_BUILD (folder with holdfastd, holdfastctl and the load
generator), HOLDFAST_CRASH_BUILD (the same with --enable-crash-points), HOLDFAST_NEXT_BUILD (holdfastd with
--enable-next-layout), HOLDFAST_OTHER_BUILD (to be upgraded to, another compiler's), HOLDFAST_SOURCE.
"""
import contextlib
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import threading
import time

SOURCE = os.environ.get("HOLDFAST_SOURCE") or os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("HOLDFAST_BUILD") or SOURCE
CRASH_BUILD = os.environ.get("HOLDFAST_CRASH_BUILD")
OTHER_BUILD = os.environ.get("HOLDFAST_OTHER_BUILD") or CRASH_BUILD or BUILD
NEXT_BUILD = os.environ.get("HOLDFAST_NEXT_BUILD")
SANITIZED = bool(os.environ.get("HOLDFAST_SANITIZED"))
LONG = bool(os.environ.get("HOLDFAST_LONG"))
BOUND = 30.0 if SANITIZED else 15.0  # seconds that any single wait may take


class TookTooLong(AssertionError):
    pass


def remaining(deadline):
    left = deadline - time.monotonic()
    if left <= 0:
        raise TookTooLong("bound reached")
    return left


def until(condition, what, bound=BOUND):
    """Asks again and again, for what gives no event (a count in /proc, a field of status)."""
    deadline = time.monotonic() + bound
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TookTooLong(f"{what}: not within {bound} s")
        pause.wait(0.005)


# Tests that run side by side (pytest -n) share the range.
_first, _, _end = os.environ.get("HOLDFAST_PORTS", "15000:31000").partition(":")
_runner, _runners = (int(os.environ.get("PYTEST_XDIST_" + name, default).lstrip("gw"))
                     for name, default in (("WORKER", "0"), ("WORKER_COUNT", "1")))
_ports = list(range(int(_first), int(_end)))[_runner::_runners]
random.shuffle(_ports)


def free_port():
    """A port of 127.0.0.1 that nobody uses, below the range of outgoing connections: a dialler of a port in
    that range may meet itself."""
    while True:
        port = _ports.pop()
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def environment(**more):
    names = ("PATH", "HOME", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TMPDIR")
    clean = {name: os.environ[name] for name in names if name in os.environ}
    return {**clean, **more}


def run(*command, bound=60, **options):
    """Runs to the end; standard output and error as text."""
    options.setdefault("env", environment())
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([str(word) for word in command], timeout=bound, capture_output=True, text=True, **options)


def wait_exit(process, bound=BOUND):
    """Like Popen.wait, but woken by the end itself."""
    if process.poll() is None:
        pidfd = os.pidfd_open(process.pid)
        try:
            if not select.select([pidfd], [], [], bound)[0]:
                raise TookTooLong(f"{process.args[0]} has not ended within {bound} s")
        finally:
            os.close(pidfd)
    return process.wait(1)


def proc_state(pid):
    """The letter in /proc/PID/stat, or "" for no process."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def slower():
    """How many times what would take on an idle machine takes now, about: others want its processors, too."""
    return max(1.0, os.getloadavg()[0] / os.cpu_count()) * (5 if SANITIZED else 1)


def kept_waiting(pid):
    """For how many milliseconds a process has wanted a processor and had none."""
    with open(f"/proc/{pid}/schedstat") as stat:
        return int(stat.read().split()[1]) / 1e6


def given(service, *listeners):
    """How a daemon is started to find the sockets as systemd hands them over, for the service's name."""
    files = [listener.fileno() for listener in listeners]
    moves = " ".join(f"{i + 3}<&{fd}" for i, fd in enumerate(files))
    give = (f'exec {moves}; LISTEN_PID=$$ LISTEN_FDS={len(files)} LISTEN_FDNAMES={":".join([service] * len(files))} '
            'exec "$@"')
    return {"pass_fds": files, "wrapper": ["bash", "-c", give, "bash"]}


class Client:
    """A connection to a service's socket."""

    def __init__(self, path, bound=BOUND):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(bound)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        return self.file.readline()

    def ask(self, text):
        """One line there, one line back; b"" at the end of the connection."""
        self.send(text.encode() + b"\n")
        return self.line()

    def read_all(self):
        return self.file.read()

    def at_end(self):
        """Waits for the end of the connection, which must come without another byte."""
        return self.read_all() == b""

    def shutdown(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Daemon:
    """holdfastd in a folder of its own, with a generated configuration."""

    def __init__(self, folder, services="", top="", build=None, environment_more=None, arguments=(), wrapper=(),
                 pass_fds=()):
        self.folder = folder
        self.build = build or BUILD
        self.config = os.path.join(folder, "holdfast.conf")
        self.control = os.path.join(folder, "control.sock")
        self.log_path = os.path.join(folder, "log")
        self.arguments = list(arguments)
        self.wrapper = list(wrapper)
        self.pass_fds = pass_fds
        self.environment_more = environment_more or {}
        self.program = None  # in place of the build's: one that can be replaced
        self.process = None
        self.killed = 0  # the worker that was killed last
        self.notify = None
        self.configure(services, top)

    def install(self, program):
        """Puts a program file into the place of the daemon's, as a package does; before a start or an upgrade."""
        self.program = self.path("holdfastd")
        shutil.copy(program, self.program + ".new")
        os.rename(self.program + ".new", self.program)

    def configure(self, services, top=""):
        """Writes the configuration file; a running daemon is not told."""
        if "log:" not in top:
            top += '\nlog: { level = "debug"; target = "stderr"; };'
        directory = "" if "include_directory" in top else 'include_directory = "";\n'
        text = f'runtime_directory = "{self.folder}";\n{directory}{top}\n'
        text += f"services:\n{{\n{services}\n}};\n"
        aside = self.config + ".tmp"
        with open(aside, "w") as file:
            file.write(text)
        os.rename(aside, self.config)

    def spawn(self):
        """Starts without waiting."""
        notify_path = os.path.join(self.folder, "notify")
        if self.notify:
            self.notify.close()
            os.unlink(notify_path)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(notify_path)
        self.notices = []
        program = self.program or os.path.join(self.build, "holdfastd")
        command = [*self.wrapper, program, "-c", self.config, *self.arguments]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                pass_fds=self.pass_fds, env=environment(NOTIFY_SOCKET=notify_path, **self.environment_more))
        return self

    def start(self):
        self.spawn()
        self.wait_notice("READY=1")
        return self

    def wait_told(self, wanted):
        """As wait_notice(), but it may have been told already."""
        if not any(line.startswith(wanted) for notice in self.notices for line in notice.splitlines()):
            self.wait_notice(wanted)

    def wait_notice(self, wanted, bound=None):
        """Waits until the service manager would have been told this line; gives the whole message."""
        bound = bound or BOUND * (4 if self.wrapper else 1)
        deadline = time.monotonic() + bound
        pidfd = os.pidfd_open(self.process.pid)
        try:
            while True:
                readable = select.select([self.notify, pidfd], [], [], remaining(deadline))[0]
                if self.notify in readable:
                    notice = self.notify.recv(65536).decode()
                    self.notices.append(notice)
                    if any(line.startswith(wanted) for line in notice.splitlines()):
                        return notice
                elif pidfd in readable:
                    raise AssertionError(f"holdfastd ended with {self.process.wait()}:\n{self.log()}")
        except TookTooLong:
            raise TookTooLong(f"no {wanted} within {bound} s; so far {self.notices}") from None
        finally:
            os.close(pidfd)

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def wait_log(self, text, count=1, bound=BOUND):
        return until(lambda: self.log().count(text) >= count, f"{text!r} in the log", bound)

    def path(self, name):
        return os.path.join(self.folder, name)

    def socket(self, service):
        return self.path(service + ".sock")

    def client(self, service, bound=BOUND):
        return Client(self.socket(service), bound)

    def command_raw(self, line, bound=BOUND):
        with Client(self.control, bound) as control:
            control.send(line.encode() + b"\n")
            return json.loads(control.line() or b"null")

    def command(self, line, bound=BOUND):
        answer = self.command_raw(line, bound)
        assert answer and answer["ok"], f"{line}: {answer}"
        return answer

    def question(self, line, bound=BOUND):
        """A command that changes nothing; it is asked again if the worker dies over the answer."""
        def ask():
            try:
                return self.command_raw(line, bound)
            except ConnectionError:
                return None
        answer = until(ask, f"an answer to {line}", bound)
        assert answer["ok"], f"{line}: {answer}"
        return answer

    def status(self, service=None):
        """The whole status, or one service's part."""
        answer = self.question(f"status {service}" if service else "status")
        return answer["services"][0] if service else answer

    def wait_status(self, service, bound=BOUND, **fields):
        """Waits until the service's status has these values."""
        def matches():
            status = self.status(service)
            return status if all(status[name] == value for name, value in fields.items()) else None
        return until(matches, f"{service} {fields}", bound)

    def wait_connected(self, service, bound=BOUND):
        return self.question(f"wait {service} {int(bound)}", bound + 5)

    def ctl(self, *arguments, bound=BOUND):
        return run(os.path.join(self.build, "holdfastctl"), "-s", self.control, *arguments, bound=bound)

    @property
    def keeper(self):
        return self.process.pid

    def children(self):
        with open(f"/proc/{self.keeper}/task/{self.keeper}/children") as file:
            return [int(pid) for pid in file.read().split()]

    def worker(self):
        """The living worker's pid, or 0 in the moment without one."""
        for pid in self.children():
            try:
                with open(f"/proc/{pid}/comm") as comm:
                    if comm.read().strip() == "holdfastd" and proc_state(pid) not in "ZX":
                        return pid
            except OSError:
                continue
        return 0

    def kill_worker(self, number=signal.SIGKILL):
        """Signals the worker, waiting for there to be one that was not killed yet; gives its pid."""
        while True:
            pid = until(lambda: self.worker() not in (0, self.killed) and self.worker(), "a worker")
            try:
                os.kill(pid, number)
                self.killed = pid if number == signal.SIGKILL else 0
                return pid
            except ProcessLookupError:
                continue  # it has just died by itself

    def restarts(self):
        return self.status()["worker_restarts"]

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def pipes(self):
        """How many pooled pipes are open; after a second or two without large data none is."""
        folder = f"/proc/{self.process.pid}/fd"
        count = 0
        for name in os.listdir(folder):
            try:
                count += os.readlink(f"{folder}/{name}").startswith("pipe:")
            except OSError:
                continue
        return max(0, count // 2 - 1)  # libevent has one of its own

    def settled_files(self, services):
        """The number of open files once no client is left and what is kept ready is there."""
        def settled():
            for service in services:
                status = self.status(service)
                if status["clients"] or status["held"] or not (status["warm"] or status["resting"]):
                    return False
            return self.pipes() == 0
        until(settled, "rest")
        return self.files()

    def stop(self, number=signal.SIGINT):
        """Ends it, without a word to the service manager that it might keep something; gives the exit code."""
        self.process.send_signal(number)
        return wait_exit(self.process, BOUND * 2)

    def end(self):
        """Whatever is left, at the end of a test."""
        if self.process and self.process.poll() is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait(BOUND)
        if self.notify:
            self.notify.close()


class Generator:
    """A program that makes load; it says "running" when it does so, and at its end what it has measured."""

    name = None  # the program's
    process = None

    def __init__(self, folder):
        self.errors = os.path.join(folder, f"{self.name}.{id(self)}.err")

    def command(self):
        return [os.environ.get(f"HOLDFAST_{self.name.upper()}") or
                os.path.join(BUILD, f"tests/integration/{self.name}")]

    def launch(self, *words, **files):
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen([*self.command(), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=errors, bufsize=0, env=environment(), **files)
        return self

    def readline(self, bound):
        if not select.select([self.process.stdout], [], [], bound)[0]:
            raise TookTooLong(f"{self.name} said nothing for {bound} s")
        return self.process.stdout.readline().decode().strip()

    def complaints(self):
        with open(self.errors, errors="replace") as file:
            return file.read()[-4000:]

    def wait_running(self, bound=BOUND):
        line = self.readline(bound)
        assert line == "running", f"{self.name}: {line}\n{self.complaints()}"
        return self

    def ended_within(self, seconds):
        """Lets so much time pass unless the load ends first."""
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def mark(self):
        """New measurements begin."""
        self.process.stdin.write(b"\n")

    def result(self, bound=60 + BOUND):
        """Waits for the end; fails unless every byte, every answer was right."""
        line = self.readline(bound)
        if line == "running":
            line = self.readline(bound)
        code = wait_exit(self.process)
        assert code == 0, f"{self.name}: exit {code}: {line}\n{self.complaints()}"
        return json.loads(line)

    def end(self):
        if self.process:
            self.process.kill()
            self.process.wait(BOUND)
            self.process.stdin.close()
            self.process.stdout.close()


class Load(Generator):
    """Clients of a service and, at its other end, the server."""

    name = "load"

    def __init__(self, folder):
        super().__init__(folder)
        self.listener = None
        self.port = self.listen()
        self.address = f"127.0.0.1:{self.port}"

    def listen(self):
        """Makes self.listener; gives its port."""
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = free_port()
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(4096)
        return port

    def command(self):
        """The program, with its listening socket."""
        return [*super().command(), "--listen-fd", str(self.listener.fileno())]

    def start(self, path, seconds, **counts):
        words = [word for name, value in counts.items() for word in ("--" + name.replace("_", "-"), str(value))]
        return self.launch("--socket", path, "--seconds", str(seconds), *words,
                           pass_fds=[self.listener.fileno()] if self.listener else [])

    def finish(self):
        """No further exchange begins; result() as usual."""
        self.process.stdin.close()

    def end(self):
        super().end()
        if self.listener:
            self.listener.close()


def come_and_go(one, seconds=0, enough=lambda: True, together=1):
    """Clients of the service "s" come and go, so many together, for so long, and until enough(): how many, and the
    longest that they took, in seconds."""
    count, worst, begin = 0, 0.0, time.monotonic()
    while time.monotonic() - begin < seconds or not enough():
        now = time.monotonic()
        assert now - begin < seconds + BOUND, f"{count} clients were not enough"
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(one.client("s")) for _ in range(together)]
            for client in clients:
                client.send(b"x\n")
            assert all(client.line() == b"x\n" for client in clients)
        worst = max(worst, time.monotonic() - now)
        count += together
    return count, worst


def each_ends(make, end=lambda one: one.end()):
    """What a fixture yields from: a function that makes one, of whom each ends with the test."""
    made = []

    def start(*arguments, **named):
        made.append(make(*arguments, **named))
        return made[-1]

    yield start
    for one in made:
        end(one)


def fixed(name, address, more=""):
    """A service with a fixed address; unless it says otherwise, one connection is kept ready for tests to see."""
    if not any(word in more for word in ("warm", "probe", "shared")):
        more += " warm = 1;"
    return f'{name}: {{ address = "{address}"; {more} }};\n'


def behind(generator):
    """The service "s" whose server is the load generator.  At its end it closes connections that were kept ready;
    the short delay has them replaced soon."""
    return fixed("s", generator.address, "retry: { delay = 0.1; };")


ALL_KINDS = dict(bulk=4, ping=8, ask=16, half=2, slow=2, server_reset=2, client_reset=2)
