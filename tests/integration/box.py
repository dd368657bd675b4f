"""box - the real systemd, booted in a throw-away box, with this build installed in it as a package would.

    def test_x(box):                       # one box a module
        box.configure(holdfast.fixed("s", "127.0.0.1:9"))
        box.start_anew()
        box.status()["worker_pid"]         # pids are the box's own

Commands run in the box as root or, with user=, as somebody; files and sockets of the box are reached from outside
through box.path().
"""
import json
import os
import shutil
import signal
import subprocess

import pytest

import asking
import holdfast

SCRIPT = os.path.join(os.path.dirname(__file__), "systemd-box.sh")
UNIT = "holdfast.service"
CLIENT = "client"              # in the box: a user without privileges
TOOLS = "/opt/holdfast-tests"  # in the box: the makers of load

# Runs the load generator with a listening socket of the box.
LISTEN = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
listener.set_inheritable(True)
os.execv(sys.argv[2], [*sys.argv[2:], "--listen-fd", str(listener.fileno())])
"""


def why_not():
    if os.geteuid() != 0:
        return "needs root: run tests/run as root"
    if not os.path.exists("/usr/lib/systemd/systemd"):
        return "needs systemd: apt-get install systemd"
    with open("/proc/filesystems") as file:
        if "overlay" not in file.read() and subprocess.call(["modprobe", "-q", "overlay"]) != 0:
            return "needs overlayfs: the kernel has none, and modprobe overlay fails"
    with open("/proc/mounts") as file:
        if not any(line.split()[2] == "cgroup2" for line in file):
            return "needs cgroup2: mount -t cgroup2 none /sys/fs/cgroup"
    return None


MARKS = [pytest.mark.plain, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]


class Box:
    def __init__(self, folder):
        self.folder = f"{folder}/box"
        self.ports = iter(range(20000, 30000))  # its network is its own
        self.made = []

    def start(self, stage=None, units=None, binds=()):
        """Boots; units: a folder of unit files; binds: texts "FROM:TO"; stage: what make_stage() gave."""
        words = ["--units", units] if units else []
        for bind in [*binds, *([f"{stage}:/stage"] if stage else [])]:
            words += ["--bind", bind]
        done = holdfast.run(SCRIPT, "start", self.folder, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        with open(f"{self.folder}/pid") as file:
            self.root = f"/proc/{int(file.read())}/root"
        self.do("useradd", "--user-group", CLIENT)
        if stage:
            self.install("/stage")
        return self

    def install(self, stage):
        """Puts what lies in this folder of the box in its place, as a package does."""
        self.do("cp", "-rT", "--remove-destination", stage, "/")
        self.do("systemd-sysusers")
        self.do("systemd-tmpfiles", "--create", "holdfast.conf")
        self.do("systemctl", "daemon-reload")

    def stop(self):
        for one in self.made:
            one.end()
        holdfast.run(SCRIPT, "stop", self.folder)

    # Commands.

    def command(self, *words, user=None):
        """How something is run in the box."""
        become = ["setpriv", "--reuid", user, "--regid", user, "--init-groups"] if user else []
        return [SCRIPT, "exec", self.folder, *become, *words]

    def run(self, *words, user=None):
        return holdfast.run(*self.command(*words, user=user))

    def do(self, *words, user=None):
        """What must succeed: its output."""
        done = self.run(*words, user=user)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}{self.journal()}"
        return done.stdout.strip()

    def begin(self, unit, *words, user=CLIENT, more=()):
        """Runs a program as a unit of its own."""
        self.do("systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--uid={user}", *more, "--", *words)

    # Files.

    def path(self, path):
        """The box's file as it is seen from outside."""
        return self.root + path

    def write(self, path, text, mode=0o644):
        path = self.path(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".aside", "w") as file:
            file.write(text)
        os.chmod(path + ".aside", mode)
        os.rename(path + ".aside", path)

    def configure(self, services, top="", name="holdfast"):
        self.write(f"/etc/holdfast/{name}.conf", f"{top}\nservices:\n{{\n{services}\n}};\n")

    def drop_in(self, *lines, unit=UNIT, section="Service"):
        """Sets something of the unit; drop_in() takes it back."""
        path = f"/etc/systemd/system/{unit}.d/test.conf"
        if lines:
            self.write(path, "\n".join([f"[{section}]", *lines, ""]))
        elif os.path.exists(self.path(path)):
            os.unlink(self.path(path))
        self.do("systemctl", "daemon-reload")

    # What the daemon and systemd say.

    def show(self, name, unit=UNIT):
        return self.do("systemctl", "show", "-P", name, unit)

    def main_pid(self, unit=UNIT):
        return int(self.show("MainPID", unit))

    def start_anew(self, *units):
        """Stops and starts: unlike a restart, nothing is handed over."""
        units = units or (UNIT,)
        self.do("systemctl", "stop", *units)
        self.do("systemctl", "start", *units)

    def wait_restart(self, pid, unit=UNIT):
        """Waits until another main process than this one is ready."""
        def is_ready():
            return self.show("ActiveState", unit) == "active" and self.main_pid(unit) not in (0, pid)
        holdfast.until(is_ready, "another main process")

    def journal(self, unit=UNIT, lines=60):
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit, "-n", str(lines)).stdout

    def control(self, line, runtime="holdfast"):
        """A command's answer."""
        with holdfast.Client(self.path(f"/run/{runtime}/control.sock")) as control:
            control.send(line.encode() + b"\n")
            return json.loads(control.line() or b"null")

    def status(self, runtime="holdfast"):
        """Asked again while nobody is there to answer."""
        def asked():
            try:
                return self.control("status", runtime)
            except OSError:
                return None
        answer = holdfast.until(asked, "an answer to status")
        assert answer["ok"], answer
        return answer

    def services(self, runtime="holdfast"):
        return {service["service"]: service for service in self.status(runtime)["services"]}

    def client(self, service, runtime="holdfast"):
        """A client from outside: its process and unit are unknown in the box."""
        return holdfast.Client(self.path(f"/run/{runtime}/{service}.sock"))

    def kill(self, pid, name="KILL"):
        self.do("kill", f"-{name}", str(pid))

    def load(self, user=CLIENT):
        """Clients that are this user's, and their server; all in the box.  As holdfast.Load."""
        one = Load(self, user)
        self.made.append(one)
        return one

    def ask(self, user=CLIENT):
        """Clients in shared mode, in the box.  As asking.Ask."""
        one = Ask(self, user)
        self.made.append(one)
        return one

    def echo(self):
        """A server that answers with what it is told: its address."""
        port = next(self.ports)
        self.begin(f"echo-{port}", "socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr", "EXEC:cat")
        return f"127.0.0.1:{port}"


def last(pid):
    """The last in a line of parents and children: what was run in the box by these."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = file.read().split()
    return last(int(children[0])) if children else pid


class Load(holdfast.Load):
    def __init__(self, box, user):
        self.box, self.user = box, user
        super().__init__(box.folder)

    def listen(self):
        return next(self.box.ports)

    def command(self):
        return self.box.command("python3", "-c", LISTEN, str(self.port), f"{TOOLS}/load", user=self.user)


class Ask(asking.Ask):
    def __init__(self, box, user):
        self.box, self.user = box, user
        super().__init__(box.folder)

    def command(self):
        return self.box.command(f"{TOOLS}/ask", user=self.user)

    def finish(self):
        os.kill(last(self.process.pid), signal.SIGTERM)
        return self


def make_stage(folder):
    """What "make install" installs, and the tests' own tools."""
    done = holdfast.run("make", "-C", holdfast.BUILD, "install", f"DESTDIR={folder}", bound=120)
    assert done.returncode == 0, done.stderr
    os.makedirs(folder + TOOLS)
    for name in ("load", "ask"):
        program = os.environ.get(f"HOLDFAST_{name.upper()}") or f"{holdfast.BUILD}/tests/integration/{name}"
        shutil.copy(program, folder + TOOLS)
    return folder
