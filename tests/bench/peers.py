"""peers - the proxies of the bench: each listens on a Unix socket and goes on to one TCP address."""
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../integration"))
import holdfast  # noqa: E402  the tests' way to start the daemon

CGROUPS = next((line.split()[1] for line in open("/proc/mounts") if line.split()[2] == "cgroup2"), None)
PROXYD = "/lib/systemd/systemd-socket-proxyd"
NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"

HAPROXY = """
global
    nbthread 1
    maxconn 9000
    maxpipes 500
defaults
    mode tcp
    retries 1000
    {more}
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen s
    bind unix@{path} mode 666 backlog 4096
    server one 127.0.0.1:{port}
"""
NGINX = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
load_module {module};
pid {folder}/pid;
error_log {folder}/log;
events {{ worker_connections 9000; }}
stream {{ server {{ listen unix:{path} backlog=4096; proxy_pass 127.0.0.1:{port}; }} }}
"""


def cgroup_cpu(cgroup):
    """Seconds, of all processes that ever were in it."""
    with open(os.path.join(cgroup, "cpu.stat")) as file:
        return int(file.readline().split()[1]) / 1e6


class Peer:
    """One proxy with all its processes in a cgroup, by which its CPU time is read to the microsecond."""
    more = ""  # of its configuration
    needs = {}  # packages, and a file of each

    def __init__(self, folder, port):
        self.folder = os.path.join(folder, self.name)
        self.path = os.path.join(self.folder, "s.sock")
        self.port = port
        self.process = None
        self.cgroup = os.path.join(CGROUPS, f"holdfast-bench-{os.getpid()}-{port}-{self.name}")
        os.makedirs(self.folder)
        os.mkdir(self.cgroup)

    @property
    def address(self):
        """As the load takes it."""
        return self.path

    def enter(self):
        with open(os.path.join(self.cgroup, "cgroup.procs"), "w") as file:
            file.write("0")

    def spawn(self, *command, **options):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=self.enter, start_new_session=True, **options)

    def start(self):
        self.launch()
        holdfast.until(self.listens, f"{self.name} listens")
        return self

    def listens(self):
        assert self.process.poll() is None, open(os.path.join(self.folder, "log")).read()
        return os.path.exists(self.path)

    def write(self, text, **named):
        name = os.path.join(self.folder, "conf")
        with open(name, "w") as file:
            file.write(text.format(path=self.path, port=self.port, folder=self.folder, module=NGINX_STREAM,
                                   more=self.more, **named))
        return name

    def pids(self):
        with open(os.path.join(self.cgroup, "cgroup.procs")) as file:
            return sorted({int(line) for line in file})

    def pin(self, cpu):
        for pid in self.pids():
            try:
                os.sched_setaffinity(pid, {cpu})
            except ProcessLookupError:
                continue  # of a proxy whose processes come and go

    def cpu(self):
        return cgroup_cpu(self.cgroup)

    def files(self):
        """Open files; processes that share one table count once."""
        tables = {}
        for pid in self.pids():
            names = frozenset((name, os.readlink(f"/proc/{pid}/fd/{name}"))
                              for name in os.listdir(f"/proc/{pid}/fd") if os.path.lexists(f"/proc/{pid}/fd/{name}"))
            tables[names] = len(names)
        return sum(tables.values())

    def memory(self):
        """PSS in bytes, of all processes."""
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
        return total

    def stop(self):
        with open(os.path.join(self.cgroup, "cgroup.kill"), "w") as file:
            file.write("1")
        if self.process:
            self.process.wait()
            self.process = None
        holdfast.until(lambda: not self.pids(), f"{self.name} is gone")
        if os.path.exists(self.path):
            os.unlink(self.path)

    def publish(self, there):
        """Tells where the server is, where a proxy is told."""

    def end(self):
        self.stop()
        os.rmdir(self.cgroup)


class Holdfast(Peer):
    name = "holdfast"
    build = holdfast.BUILD

    def launch(self):
        services = holdfast.fixed("s", f"127.0.0.1:{self.port}", f"max_clients = 9000; max_held = 9000; "
                                  f"hold_timeout = 3600; listen: {{ backlog = 4096; }}; ")
        self.daemon = holdfast.Daemon(self.folder, services, top='log: { level = "error"; target = "stderr"; };')
        self.spawn(os.path.join(self.build, "holdfastd"), "-c", self.daemon.config)

    @classmethod
    def version(cls):
        return holdfast.run(os.path.join(cls.build, "holdfastd"), "-V").stdout.split()[1]


class Before:
    """Another build of Holdfast, to be compared with: the one before a change."""
    name = "holdfast-before"
    build = os.environ.get("HOLDFAST_BEFORE", "")


class HoldfastBefore(Before, Holdfast):
    pass


class Haproxy(Peer):
    """With one thread, which is its best for one CPU."""
    name = "haproxy"
    needs = {"haproxy": "/usr/sbin/haproxy"}

    def launch(self):
        self.spawn("haproxy", "-q", "-db", "-f", self.write(HAPROXY))

    @staticmethod
    def version():
        return holdfast.run("haproxy", "-v").stdout.split()[2]


class HaproxySplice(Haproxy):
    """Told to splice always, which its manual leaves to the administrator."""
    name = "haproxy-splice"
    more = "option splice-request\n    option splice-response"


class Nginx(Peer):
    name = "nginx"
    needs = {"nginx": "/usr/sbin/nginx", "libnginx-mod-stream": NGINX_STREAM}

    def launch(self):
        self.spawn("nginx", "-c", self.write(NGINX), "-p", self.folder)

    @staticmethod
    def version():
        return holdfast.run("nginx", "-v").stderr.strip().rpartition("/")[2]


class Proxyd(Peer):
    name = "socket-proxyd"
    needs = {"systemd": PROXYD}

    def launch(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path)
            listener.listen(4096)
            number = listener.fileno()
            self.spawn("/bin/sh", "-c", f"exec 3<&{number}; LISTEN_FDS=1 LISTEN_PID=$$ exec {PROXYD} "
                       f"--connections-max=9000 127.0.0.1:{self.port}", pass_fds=[number])

    @staticmethod
    def version():
        return holdfast.run(PROXYD, "--version").stdout.split()[1]


class Socat(Peer):
    name = "socat"
    needs = {"socat": "/usr/bin/socat"}

    def launch(self):
        self.spawn("socat", f"UNIX-LISTEN:{self.path},fork,backlog=4096", f"TCP:127.0.0.1:{self.port},nodelay")

    @staticmethod
    def version():
        return holdfast.run("socat", "-V").stdout.split("socat version ")[1].split()[0]


class Direct(Peer):
    """No proxy: TCP from the client to the server."""
    name = "direct"

    def start(self):
        return self

    @property
    def address(self):
        return str(self.port)

    def pin(self, cpu):
        pass

    @staticmethod
    def version():
        return "-"


ALL = [Holdfast, Haproxy, HaproxySplice, Nginx, Proxyd, Socat, Direct] + [HoldfastBefore] * bool(Before.build)


def missing(kinds):
    """Packages that these, and the bench itself, need and this machine lacks."""
    needs = {"linux-perf": "/usr/bin/perf", "redis-server": "/usr/bin/redis-server",
             "redis-tools": "/usr/bin/redis-benchmark", "memcached": "/usr/bin/memcached"}
    for kind in kinds:
        needs.update(kind.needs)
    return [package for package, file in needs.items() if not os.path.exists(file)]
