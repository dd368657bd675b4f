"""faults_world - a daemon with a service of each kind and clients that stay; what can be done with it, in parts, and
what must be true after each part whatever has failed in it."""
import collections
import contextlib
import os
import select
import shutil
import socket
import ssl
import subprocess
import threading
import time

import asking
import faults
import holdfast
import manager
import real_servers
import tls_program
import upstream

BLOCK = bytes(range(256)) * 4096  # 1 MiB
PATIENCE = 3.0    # seconds after which a client that has neither an answer nor an end hangs
RECOVERY = 6.0   # within which all must be as before
SERVICES = ("s", "tcp", "found", "listed", "named", "redis", "line", "cache", "log", "tls")
FIND = "#!/bin/sh\ncat {folder}/answer\n"


class Hang(Exception):
    pass


class Point(collections.namedtuple("Point", "part process function first error times")):
    """A call that fails: in this part, the first of so many in these processes."""

    def __str__(self):
        return f"{self.part} {self.process} {self.function}:{self.first}x{self.times} {self.error}"


# What came of it: how the part ended, how often the call failed, who made it, what is wrong now.
Result = collections.namedtuple("Result", "done fired callers wrong")


def chosen(count, most, dice):
    """So many of the numbers from 1 to count: the first, the last, some between."""
    if count <= most:
        return list(range(1, count + 1))
    return sorted({1, 2, count, *dice.sample(range(3, count), max(0, most - 3))})


def echo(connection):
    """Whatever comes."""
    while data := connection.recv(65536):
        connection.sendall(data)


def connect(place):
    one = socket.socket(socket.AF_INET if isinstance(place, tuple) else socket.AF_UNIX)
    one.settimeout(PATIENCE)
    one.connect(place)
    return one


def read_some(one, least):
    data = b""
    while len(data) < least:
        try:
            more = one.recv(1 << 16)
        except socket.timeout:
            raise Hang(f"no end and no answer after {len(data)} of {least} bytes") from None
        if not more:
            raise ConnectionError(f"end after {len(data)} of {least} bytes")
        data += more
    return data


def ask(one, request, answer):
    one.sendall(request)
    found = read_some(one, len(answer))
    if found != answer:
        raise AssertionError(f"{found[:80]} in place of {answer[:80]}")


ASK = {"redis": (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"), "cache": (b"mn\r\n", b"MN\r\n")}


class World:
    def __init__(self, folder, tls=True):
        self.folder = folder
        self.faults = faults.Faults(f"{folder}/faults")
        self.stack = contextlib.ExitStack()
        self.one = self.tls = None
        self.tcp_port, self.metrics_port = holdfast.free_port(), holdfast.free_port()
        self.with_tls = tls and os.path.exists(tls_program.PROGRAM)
        self.services = [name for name in SERVICES if name != "tls" or self.with_tls]
        self.lasting = {}
        self.lines = []
        self.said = 0
        self.generation = 0
        self.begin_servers()

    def begin_servers(self):
        def started(server):
            self.stack.callback(server.stop)
            return server.start()
        self.echo = started(upstream.Upstream(echo))
        self.log = started(upstream.Upstream(upstream.collecting(self.lines)))
        self.redis = started(real_servers.Redis(self.folder))
        self.cache = started(real_servers.Memcached(self.folder))
        self.catalog = upstream.Catalog(f"{self.folder}/catalog")
        self.catalog.publish("listed", "a", self.echo.address)
        with open(f"{self.folder}/answer", "w") as file:
            file.write(self.echo.address + "\n")
        with open(f"{self.folder}/find", "w") as file:
            file.write(FIND.format(folder=self.folder))
        os.chmod(f"{self.folder}/find", 0o755)
        if self.with_tls:
            self.authority = tls_program.Authority(self.folder)
            context = tls_program.context(*self.authority.issue("good"))
            self.secret = started(upstream.Upstream(lambda connection: self.echo_tls(connection, context)))

    @staticmethod
    def echo_tls(connection, context):
        try:
            echo(context.wrap_socket(connection, server_side=True))
        except ssl.SSLError:
            pass

    def text(self, more=""):
        soon = "retry: { delay = 0.05; };"
        address = f'address = "{self.echo.address}"; {soon} warm = 1;'
        text = (
            f"s: {{ {address} }};\n"
            f'tcp: {{ {address} listen: {{ path = "127.0.0.1:{self.tcp_port}"; }}; }};\n'
            f'found: {{ lookup: {{ script = "{self.folder}/find"; min_interval = 0; }}; {soon} warm = 1; }};\n'
            f'listed: {{ lookup: {{ catalog = "{self.catalog.folder}"; }}; {soon} warm = 1; }};\n'
            f'named: {{ address = "localhost:{self.echo.port}"; {soon} warm = 1; }};\n' +
            asking.shared("redis", self.redis.address, "max_own = 4;").replace("delay = 0.1", "delay = 0.05") +
            asking.shared("line", self.echo.address, "", "line") +
            asking.shared("cache", self.cache.address, "", "memcache") +
            asking.shared("log", self.log.address, 'replies = "none"; '
                          f'spool: {{ path = "{self.folder}/spool"; fsync = "always"; }};', "line"))
        if self.with_tls:
            text += (f'tls: {{ address = "{self.secret.address}"; {soon} warm = 1; tls: {{ '
                     f'ca = "{self.authority.ca}"; socket = "{self.folder}/tls.sock"; }}; }};\n')
        return text + more

    def top(self):
        return f'metrics: {{ listen = "127.0.0.1:{self.metrics_port}"; }};'

    def begin(self):
        """Starts all that is under test, and takes its measure at rest."""
        place = f"{self.folder}/d{self.generation}"
        self.generation += 1
        os.makedirs(place)
        if self.with_tls:
            os.makedirs(f"{place}/tls")
            path = f"{self.folder}/tls.sock"
            self.tls_log = open(f"{place}/tls/log", "wb")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            self.tls = subprocess.Popen([tls_program.PROGRAM, "-s", path], stdin=subprocess.DEVNULL,
                                        stdout=self.tls_log, stderr=self.tls_log,
                                        env=holdfast.environment(**self.faults.environment()))
        shutil.rmtree(f"{self.folder}/spool", ignore_errors=True)
        self.one = manager.Managed(place, self.text(), self.top(), environment_more=self.faults.environment())
        self.one.install(os.path.join(holdfast.BUILD, "holdfastd"))
        self.one.start()
        for name in self.services:
            self.one.wait_connected(name)
        self.stay()
        self.measure()

    def end(self):
        self.faults.disarm()
        for client in self.lasting.values():
            client.close()
        self.lasting = {}
        if self.one:
            workers = []
            with contextlib.suppress(OSError):  # a keeper that has ended
                workers = [os.pidfd_open(pid) for pid in self.one.children()]
            self.one.end()
            for worker in workers:  # its sockets are open until then
                select.select([worker], [], [], PATIENCE)
                os.close(worker)
            self.one = None
        if self.tls:
            self.tls.kill()
            self.tls.wait()
            self.tls_log.close()
            self.tls = None

    def close(self):
        self.end()
        self.stack.close()

    def place(self, service):
        return ("127.0.0.1", self.tcp_port) if service == "tcp" else self.one.socket(service)

    def client(self, service):
        return contextlib.closing(connect(self.place(service)))

    def ask(self, service, client):
        if service == "log":
            self.said += 1
            client.sendall(b"%d\n" % self.said)
            client.shutdown(socket.SHUT_WR)
            if read_some(client, len(b"accepted\n")) == b"accepted\n":
                return self.said
            raise AssertionError("not accepted")
        self.said += 1
        text = b"x%d\n" % self.said
        return ask(client, *ASK.get(service, (text, text)))

    def stay(self):
        """Clients that stay over everything."""
        for service in self.services:
            if service not in self.lasting and service != "log":
                client = connect(self.place(service))
                self.ask(service, client)
                self.lasting[service] = client

    # What can be done; each part gets an answer, an error or an end, in time.

    def do_session(self):
        with self.client("s") as client:
            self.ask("s", client)

    def do_large(self):
        with self.client("s") as client:
            sender = threading.Thread(target=self.send_block, args=(client,), daemon=True)
            sender.start()
            try:
                if read_some(client, len(BLOCK)) != BLOCK:
                    raise AssertionError("other bytes came back")
            finally:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
                sender.join()

    @staticmethod
    def send_block(client):
        with contextlib.suppress(OSError):
            client.sendall(BLOCK)
            client.shutdown(socket.SHUT_WR)

    def do_tcp(self):
        with self.client("tcp") as client:
            self.ask("tcp", client)

    def do_redis(self):
        with self.client("redis") as client:
            ask(client, asking.command("SET", "k", "v"), b"+OK\r\n")
            ask(client, asking.command("GET", "k"), b"$1\r\nv\r\n")

    def do_own(self):
        with self.client("redis") as client:
            ask(client, asking.command("MULTI"), b"+OK\r\n")
            ask(client, asking.command("GET", "k"), b"+QUEUED\r\n")
            client.sendall(asking.command("EXEC"))
            read_some(client, 9)

    def do_line(self):
        with self.client("line") as client:
            self.ask("line", client)

    def do_cache(self):
        with self.client("cache") as client:
            ask(client, b"set k 0 0 1\r\nv\r\n", b"STORED\r\n")
            ask(client, b"get k\r\n", b"VALUE k 0 1\r\nv\r\nEND\r\n")

    def do_spool(self):
        with self.client("log") as client:
            number = self.ask("log", client)
        holdfast.until(lambda: b"%d\n" % number in self.lines, f"message {number} was accepted: it", RECOVERY)

    def do_spool_outage(self):
        """Messages go to the disk, and come from it."""
        self.log.stop()
        try:
            holdfast.until(lambda: b'"up":true' not in self.command("status log"), "the outage", PATIENCE)
            with self.client("log") as client:
                number = self.ask("log", client)
        finally:
            self.log.start()
        holdfast.until(lambda: b"%d\n" % number in self.lines, f"message {number} was accepted: it", RECOVERY)

    def do_tls(self):
        self.command("reconnect tls")
        with self.client("tls") as client:
            self.ask("tls", client)

    def do_outage(self):
        """Connections end, and are made again."""
        for service in ("s", "redis", "line", "cache", "named"):
            self.command(f"reconnect {service}")
        for service in ("s", "redis", "line", "named"):
            with self.client(service) as client:
                self.ask(service, client)

    def do_lookup(self):
        self.command("lookup found")
        self.command("reconnect found")
        with self.client("found") as client:
            self.ask("found", client)

    def do_catalog(self):
        self.said += 1
        self.catalog.publish("listed", "a", f"{self.echo.address} weight={self.said % 5 + 1}")
        self.command("lookup listed")
        with self.client("listed") as client:
            self.ask("listed", client)

    def do_metrics(self):
        with contextlib.closing(connect(("127.0.0.1", self.metrics_port))) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            text = b""
            with contextlib.suppress(ConnectionError):
                while True:
                    text += read_some(client, 1)
            if not text.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(f"{text[:40]}")

    def command(self, line):
        with contextlib.closing(connect(self.one.control)) as control:
            control.sendall(line.encode() + b"\n")
            text = b""
            while not text.endswith(b"\n"):
                text += read_some(control, 1)
        return text

    def do_control(self):
        for line in ("status", "endpoints", "clients", "explain s", "metrics", "config s", "help", "log"):
            self.command(line)

    def do_pause(self):
        self.command("pause line 1")
        self.command("resume line")
        self.command("fail tcp 0")
        self.command("close listed")
        self.command("open listed")

    def do_reload(self):
        more = (f'new: {{ address = "{self.echo.address}"; warm = 1; }};\n')
        self.one.configure(self.text(more).replace("max_own = 4", "max_own = 5"), self.top())
        try:
            self.command("reload")
        finally:
            self.one.configure(self.text(), self.top())
            self.command("reload")

    def do_removed(self):
        """Files of sockets that somebody removes."""
        for name in ("s", "line"):
            os.unlink(self.one.socket(name))
        holdfast.until(lambda: all(os.path.exists(self.one.socket(name)) for name in ("s", "line")), "sockets again",
                       PATIENCE)

    def do_death(self):
        self.one.kill_worker()
        self.do_control()

    def do_upgrade(self):
        before = self.one.worker()
        if not self.command("upgrade").startswith(b'{"ok":true'):
            return
        holdfast.until(lambda: self.one.worker() not in (0, before), "another worker", PATIENCE)

    def do_restart(self):
        """A start that fails is repeated, as systemd does."""
        one = self.one
        assert one.term() == 0, f"exit code {one.process.poll()}"
        one.spawn()
        while not self.is_ready():
            assert self.faults.disarm() > 0, "no start, and nothing has failed"
            one.spawn()

    def is_ready(self):
        """Whether it gets so far, or ends."""
        deadline = time.monotonic() + RECOVERY
        while self.one.process.poll() is None:
            with contextlib.suppress(holdfast.TookTooLong):
                self.one.wait_notice("READY=1", 0.05)
                return True
            if time.monotonic() > deadline:
                raise Hang("neither ready nor ended")
        return False

    # Points.

    def calls_since(self, before):
        return collections.Counter(self.faults.calls()) - before

    def do(self, part):
        """How it ends, in a word; what hangs is for wrong()."""
        try:
            getattr(self, "do_" + part)()
            return "done"
        except (OSError, EOFError) as error:
            return f"ended: {error!r}"[:100]
        except (Hang, AssertionError) as error:
            return f"wrong: {error}"[:300]

    def count(self, part):
        """The calls of a part, when nothing fails."""
        for _ in range(2):
            before = collections.Counter(self.faults.calls())
            done = self.do(part)
            assert done == "done", f"{part}: {done}"
            calls = self.calls_since(before)
            wrong = self.wrong()
            assert not wrong, f"{part}: {wrong}"
        return calls

    def settle(self):
        """A worker that dies young is replaced late."""
        with open("/proc/uptime") as file:
            now = float(file.read().split()[0])
        worker = holdfast.until(self.one.worker, "a worker")
        with open(f"/proc/{worker}/stat") as file:
            born = int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        time.sleep(max(0, born + 1.05 - now))

    def tidy(self):
        """Whatever failed, an operator asks for it again."""
        for line in ("resume line", "open listed", "reload"):
            with contextlib.suppress(OSError, Hang):
                self.command(line)

    def try_point(self, point):
        self.settle()
        self.faults.arm(point.function, point.error, point.first, point.times, point.process)
        done = self.do(point.part)
        fired = self.faults.disarm()
        self.tidy()
        wrong = [done] if done.startswith("wrong") else []
        wrong += self.wrong()
        callers = self.faults.callers(tls_program.PROGRAM if point.process == "tls" else
                                      os.path.join(holdfast.BUILD, "holdfastd")) if wrong else []
        return Result(done, fired, callers, wrong)

    # What must be true afterwards.

    def files(self, pid):
        """Open files but pipes for large data, which stay a while."""
        found = collections.Counter()
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                what = os.readlink(f"/proc/{pid}/fd/{name}")
                if not what.startswith("pipe:") and not what.endswith(".spool"):
                    found[what.partition(":")[0] if what.startswith("socket") else what] += 1
        return found

    def measure(self):
        """What is open when nothing has failed, at most."""
        self.normal, self.normal_tls = collections.Counter(), collections.Counter()
        for _ in range(3):
            self.do_own()
            self.check_services()
            self.rest("at rest")
            self.normal |= self.files(self.one.keeper)
            if self.tls:
                self.normal_tls |= self.files(self.tls.pid)

    def rest(self, what):
        def rests():
            found = self.one.status()["services"]
            return all(one["held"] == 0 and one["clients"] == (one["service"] in self.lasting) for one in found)
        holdfast.until(rests, what, RECOVERY)

    def wrong(self):
        """What is not as it should be, a text each."""
        found = []
        for check in (self.check_lives, self.check_lasting, self.check_listing, self.check_services,
                      self.check_files):
            try:
                check()
            except (OSError, AssertionError, Hang, EOFError) as error:
                found.append(f"{check.__name__[6:]}: {error}"[:300])
                if check == self.check_lives:
                    break
        for service in set(self.services) - set(self.lasting) - {"log"}:
            with contextlib.suppress(Exception):
                self.stay()
        return found

    def check_lives(self):
        assert self.one.process.poll() is None, f"the keeper has ended with {self.one.process.poll()}"
        assert not self.tls or self.tls.poll() is None, f"holdfast-tls has ended with {self.tls.poll()}"
        with contextlib.suppress(ConnectionError):
            self.one.status()

    def check_lasting(self):
        lost = []
        for service, client in list(self.lasting.items()):
            try:
                self.ask(service, client)
            except (OSError, Hang, AssertionError) as error:
                lost.append(f"{service} {error}")
                client.close()
                del self.lasting[service]
        assert not lost, ", ".join(lost)

    def check_listing(self):
        def is_right():
            names = {one["service"]: one for one in self.one.status()["services"]}
            return set(names) == set(self.services) and not any(
                one["paused"] or one["held"] or one["clients"] != (one["service"] in self.lasting)
                for one in names.values())
        try:
            holdfast.until(is_right, "listing", RECOVERY)
        except holdfast.TookTooLong:
            raise AssertionError(str([(one["service"], one["paused"], one["held"], one["clients"])
                                      for one in self.one.status()["services"]])) from None

    def check_services(self):
        for service in self.services:
            with self.client(service) as client:
                try:
                    self.ask(service, client)
                except (OSError, Hang, AssertionError) as error:
                    raise AssertionError(f"{service}: {error}") from None
        self.do_metrics()

    def check_files(self):
        def more():
            found = self.files(self.one.keeper) - self.normal
            return found + (self.files(self.tls.pid) - self.normal_tls if self.tls else found)
        with contextlib.suppress(holdfast.TookTooLong):
            holdfast.until(lambda: not more(), "files", RECOVERY)
        assert not more(), f"too many: {dict(more())}"


PARTS = [name[3:] for name in vars(World) if name.startswith("do_")]

MEMORY = ["ENOMEM"]
SOCKET = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]
OPEN = ["EMFILE", "ENFILE", "ENOMEM", "EACCES", "ENOENT"]
PATH = ["EACCES", "ENOENT", "EIO"]
DISK = ["ENOSPC", "EIO", "EINTR"]
# What the kernel could answer; of functions that are not here: EINVAL.  What a disk cannot read any more is lost, and
# told.
ERRORS = {
    "malloc": MEMORY, "calloc": MEMORY, "realloc": MEMORY, "mmap": MEMORY,
    "socket": SOCKET, "socketpair": SOCKET, "accept4": SOCKET + ["ECONNABORTED"],
    "connect": ["ECONNREFUSED", "EAGAIN", "EADDRNOTAVAIL", "ENETUNREACH", "EACCES"],
    "bind": ["EADDRINUSE", "EACCES", "ENOSPC"], "listen": ["EADDRINUSE"], "shutdown": ["ENOTCONN"],
    "getsockopt": ["ENOBUFS"], "setsockopt": ["ENOBUFS", "EPERM"], "getsockname": ["ENOBUFS"],
    "getpeername": ["ENOTCONN"], "splice": ["EINVAL", "EAGAIN", "ENOMEM"],
    **dict.fromkeys(("recv", "recvfrom", "recvmsg", "recvmmsg"),
                    ["ECONNRESET", "EAGAIN", "ENOMEM", "ETIMEDOUT"]),
    "readv": ["ECONNRESET", "ENOMEM"], "writev": ["EPIPE", "ENOBUFS", "ENOMEM"],
    **dict.fromkeys(("send", "sendto", "sendmsg", "sendmmsg"), ["ENOBUFS", "EAGAIN", "EPIPE",
                                                                            "ENOMEM"]),
    "read": ["EAGAIN", "EINTR", "EIO"], "write": ["EAGAIN", "ENOSPC", "EIO", "EINTR"], "pread": [],
    "pwrite": DISK, "pwritev2": ["ENOSPC", "EAGAIN", "EIO"], "pipe2": ["EMFILE", "ENFILE"],
    "epoll_create1": ["EMFILE", "ENOMEM"], "epoll_ctl": ["ENOMEM", "ENOSPC"], "epoll_wait": ["EINTR"],
    "eventfd": ["EMFILE", "ENOMEM"], "timerfd_create": ["EMFILE", "ENOMEM"], "timerfd_settime": ["EINTR"],
    **dict.fromkeys(("open", "openat", "fopen", "opendir"), OPEN), "fdopen": MEMORY, "fdopendir": MEMORY,
    "scandir": OPEN, "fcntl": ["EMFILE", "ENOMEM"], "ioctl": ["ENOMEM"], "dup2": ["EMFILE", "EINTR"],
    "fork": ["EAGAIN", "ENOMEM"], "vfork": ["EAGAIN", "ENOMEM"], "clone": ["EAGAIN", "ENOMEM"],
    "pidfd_open": ["EMFILE", "ENOMEM"], "pthread_create": ["EAGAIN"], "execve": ["ENOMEM", "EACCES", "ETXTBSY"],
    "fexecve": ["ENOMEM", "EACCES"], "waitpid": ["EINTR"], "waitid": ["EINTR"], "memfd_create": ["EMFILE", "ENOMEM"],
    "ftruncate": ["ENOSPC", "EINTR"], "fsync": DISK, "fdatasync": DISK, "flock": ["ENOLCK", "EINTR"],
    **dict.fromkeys(("fstat", "stat", "lstat", "fstatat", "statx", "access", "faccessat", "readlink", "realpath"),
                    PATH),
    **dict.fromkeys(("chmod", "lchown"), ["EPERM", "EIO"]), "mkdir": ["ENOSPC", "EACCES"],
    **dict.fromkeys(("rename", "renameat"), ["ENOSPC", "EIO"]),
    **dict.fromkeys(("unlink", "unlinkat"), ["EIO", "EACCES"]),
    "inotify_init1": ["EMFILE", "ENOMEM"], "inotify_add_watch": ["ENOSPC", "ENOMEM"], "getrandom": ["EINTR"],
    "poll": ["EINTR", "ENOMEM"], "sigtimedwait": ["EINTR"], "setpgid": ["EPERM"], "chdir": ["EACCES"],
    "getrlimit": ["EPERM"], "setrlimit": ["EPERM"],
}
