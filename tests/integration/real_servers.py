"""real_servers - Redis and PostgreSQL of the distribution, each with data of its own in a temporary folder."""
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess

import holdfast


class Redis:
    """One that is persistent has, after a kill, all that it has answered for."""

    def __init__(self, folder, persistent=False, arguments=()):
        self.port = holdfast.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = os.path.join(folder, f"redis-{self.port}")
        self.persistent = persistent
        self.arguments = arguments
        self.process = None
        os.mkdir(self.folder)

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "yes" if self.persistent else "no", "--appendfsync", "no",
             "--dir", self.folder, "--daemonize", "no", *self.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0, env=holdfast.environment())
        line = b""
        while b"Ready to accept connections" not in line:
            assert select.select([self.process.stdout], [], [], holdfast.BOUND)[0], "redis-server is not ready"
            line = self.process.stdout.readline()
            assert line, f"redis-server has ended with {self.process.wait(5)}"
        return self

    def end(self, number):
        if self.process:
            self.process.send_signal(number)
            holdfast.wait_exit(self.process)
            self.process.stdout.close()
            self.process = None

    def stop(self):
        self.end(signal.SIGTERM)

    def kill(self):
        self.end(signal.SIGKILL)

    def cli(self, *words):
        """What redis-cli prints, asked directly."""
        return holdfast.run("redis-cli", "-p", self.port, *words).stdout.strip()


def postgres_programs():
    """The newest version's folder; the programs are not in PATH on Debian."""
    root = "/usr/lib/postgresql"
    versions = sorted(os.listdir(root), key=int) if os.path.isdir(root) else []
    return os.path.join(root, versions[-1], "bin") if versions else os.path.dirname(shutil.which("initdb") or "")


class Postgres:
    """PostgreSQL refuses to run as root, so there it runs as its own user."""

    def __init__(self, folder):
        self.port = holdfast.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = os.path.join(folder, "pg")
        self.data = os.path.join(self.folder, "data")
        self.as_user = []
        self.process = None
        os.mkdir(self.folder)
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]

    def program(self, name, *arguments):
        done = holdfast.run(*self.as_user, os.path.join(postgres_programs(), name), *arguments, cwd=self.folder,
                            env=holdfast.environment(LC_ALL="C.UTF-8"))
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    def start(self):
        self.program("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
        return self.run()

    def move(self):
        """The same data at another port."""
        self.process.send_signal(signal.SIGINT)
        holdfast.wait_exit(self.process)
        os.unlink(f"{self.folder}/notify")
        self.port = holdfast.free_port()
        self.address = f"127.0.0.1:{self.port}"
        return self.run()

    def run(self):
        """Our own child, so that its end is seen; it tells the notify socket when it is ready."""
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(f"{self.folder}/notify")
        os.chmod(f"{self.folder}/notify", 0o666)
        notify.settimeout(holdfast.BOUND)
        with notify, open(f"{self.folder}/log", "wb") as log:
            self.process = subprocess.Popen(
                [*self.as_user, os.path.join(postgres_programs(), "postgres"), "-D", self.data, "-p", str(self.port),
                 "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=holdfast.environment(LC_ALL="C.UTF-8", NOTIFY_SOCKET=f"{self.folder}/notify"))
            while b"READY=1" not in notify.recv(4096):
                pass
        return self

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            holdfast.wait_exit(self.process)
