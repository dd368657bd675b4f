"""real_servers - Redis, memcached, PostgreSQL, MariaDB, gunicorn, rsyslog, each in a temporary folder."""
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess

import pytest

import holdfast


def node_environment(package):
    """Where node finds a package: what npm has put into HOLDFAST_NPM, a node_modules, or the distribution's."""
    folder = os.environ.get("HOLDFAST_NPM", "/usr/share/nodejs")
    if not shutil.which("node") or not os.path.isdir(f"{folder}/{package}"):
        pytest.skip(f"needs node, and {package}: from the distribution, or of npm in HOLDFAST_NPM")
    return holdfast.environment(NODE_PATH=folder)


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


class Memcached:
    """What it holds is gone with it."""

    def __init__(self, folder, arguments=()):
        self.port = holdfast.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = folder
        self.arguments = arguments
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            ["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-u", "nobody", *self.arguments],
            stdin=subprocess.DEVNULL, cwd=self.folder, env=holdfast.environment())
        holdfast.until(self.listens, "memcached listens")
        return self

    def listens(self):
        try:
            self.connect().close()
            return True
        except ConnectionRefusedError:
            return False

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.port))
        client.settimeout(holdfast.BOUND)
        return client

    def end(self, number):
        if self.process:
            self.process.send_signal(number)
            holdfast.wait_exit(self.process)
            self.process = None

    def stop(self):
        self.end(signal.SIGTERM)

    def kill(self):
        self.end(signal.SIGKILL)


def postgres_programs():
    """The newest version's folder; the programs are not in PATH on Debian."""
    root = "/usr/lib/postgresql"
    versions = sorted(os.listdir(root), key=int) if os.path.isdir(root) else []
    return os.path.join(root, versions[-1], "bin") if versions else os.path.dirname(shutil.which("initdb") or "")


class Postgres:
    """PostgreSQL refuses to run as root, so there it runs as its own user."""

    STARTUP = b"\0\0\0\x29\0\3\0\0user\0postgres\0database\0postgres\0\0"  # what a client says first

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

    def end(self, number, bound=holdfast.BOUND):
        self.process.send_signal(number)
        holdfast.wait_exit(self.process, bound)
        os.unlink(f"{self.folder}/notify")

    def move(self):
        """The same data at another port."""
        self.end(signal.SIGINT)
        self.port = holdfast.free_port()
        self.address = f"127.0.0.1:{self.port}"
        return self.run()

    def run(self, ready=True):
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
            while ready and b"READY=1" not in notify.recv(4096):
                pass
        return self

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            holdfast.wait_exit(self.process)


class MariaDB:
    """With a user "app" that has no password; as root it runs as its own user."""

    def __init__(self, folder, *arguments):
        self.port = holdfast.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = os.path.join(folder, "mariadb")
        self.socket = os.path.join(self.folder, "s")
        self.arguments = arguments
        self.as_user = []
        self.process = None
        os.mkdir(self.folder)
        if os.geteuid() == 0:
            user = pwd.getpwnam("mysql")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.as_user = ["--user=mysql"]
        done = holdfast.run("mariadb-install-db", "--no-defaults", *self.as_user, f"--datadir={self.folder}/data",
                            "--auth-root-authentication-method=normal", "--skip-test-db")
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self):
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(
                [shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin"), "--no-defaults", *self.as_user,
                 f"--datadir={self.folder}/data", f"--socket={self.socket}", f"--port={self.port}",
                 "--bind-address=127.0.0.1", f"--pid-file={self.folder}/pid", "--skip-log-bin",
                 "--innodb-flush-log-at-trx-commit=0", *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=holdfast.environment())
        holdfast.until(lambda: self.process.poll() is not None or self.ask("select 1").returncode == 0, "MariaDB")
        self.ask("create user if not exists app@'%'")
        return self

    def ask(self, statement, path=None, user="root"):
        """Asked directly, or over a socket of ours."""
        return holdfast.run("mariadb", "--no-defaults", "--skip-ssl", "-u", user, "-S", path or self.socket, "-Ne",
                            statement)

    def aborted(self):
        return int(self.ask("show global status like 'Aborted_connects'").stdout.split()[1])

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            holdfast.wait_exit(self.process)
            self.process = None


class Gunicorn:
    """One worker, which serves one connection at a time."""

    APPLICATION = "def serve(environ, start):\n    start('200 OK', [])\n    return [b'hello']\n"

    def __init__(self, folder):
        self.port = holdfast.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = folder
        self.process = None

    def start(self):
        with open(os.path.join(self.folder, "application.py"), "w") as file:
            file.write(self.APPLICATION)
        with open(os.path.join(self.folder, "gunicorn.err"), "wb") as errors:
            self.process = subprocess.Popen(
                ["gunicorn", "--workers", "1", "--bind", self.address, "--chdir", self.folder, "application:serve"],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=holdfast.environment())
        holdfast.until(lambda: b"Booting worker" in open(errors.name, "rb").read(), "gunicorn")
        return self

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGINT)
            holdfast.wait_exit(self.process)


class Rsyslog:
    """Takes syslog over TCP and writes each message into a file, on a line with newlines as #012."""

    def __init__(self, folder):
        self.port = holdfast.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = os.path.join(folder, "rsyslog")
        self.process = None
        os.mkdir(self.folder)

    def start(self):
        with open(f"{self.folder}/conf", "w") as file:
            file.write(f'''
global(workDirectory="{self.folder}")
module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="{self.port}")
template(name="message" type="string" string="%msg%\\n")
action(type="omfile" file="{self.folder}/messages" template="message")
''')
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(
                [shutil.which("rsyslogd", path=os.environ["PATH"] + ":/usr/sbin"), "-n", "-i", f"{self.folder}/pid",
                 "-f", f"{self.folder}/conf"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=holdfast.environment())
        holdfast.until(self.listens, "rsyslogd listens")
        return self

    def listens(self):
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def messages(self):
        """Without the space before each."""
        if not os.path.exists(f"{self.folder}/messages"):
            return []
        with open(f"{self.folder}/messages") as file:
            return [line.strip() for line in file if line.endswith("\n")]

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            holdfast.wait_exit(self.process)
            self.process = None
