"""tls - TLS to the server: each proxy of the bench in front of the same terminator, which is HAProxy."""
import contextlib
import json
import os
import statistics
import subprocess

import measure
import peers
import report
import workloads
from peers import holdfast
import lookups  # of the integration tests: their certificates

STUNNEL = """
foreground = yes
pid =
syslog = no
debug = err
[s]
client = yes
accept = {path}
connect = 127.0.0.1:{port}
CAfile = {ca}
verifyChain = yes
checkHost = localhost
sslVersionMin = TLSv1.2
"""
NGINX = """
    proxy_ssl on;
    proxy_ssl_protocols TLSv1.2 TLSv1.3;
    proxy_ssl_trusted_certificate {ca};
    proxy_ssl_verify on;
    proxy_ssl_name localhost;
    proxy_ssl_session_reuse on;
"""
TERMINATOR = """
global
    nbthread 1
    maxconn 9000
    {cache}
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen s
    bind 127.0.0.1:{own} ssl crt {pem} {tickets} prefer-client-ciphers backlog 4096
    bind 127.0.0.1:{plain} backlog 4096
    server one 127.0.0.1:{port}
"""

def load(name, *words, **more):
    return workloads.Load("TLS " + name, *words, **more)


LOADS = [
    load("ping-pong 64 B, one client, one CPU", "ping", 1, one_cpu=True),
    load("ping-pong 64 B, 16 clients", "ping", 16), load("ping-pong 4096 B, 16 clients", "ping", 16, 4096),
    load("upload, one client", "up", 1, unit="MB"), load("upload, 8 clients", "up", 8, unit="MB"),
    load("download, one client", "down", 1, unit="MB"), load("download, 8 clients", "down", 8, unit="MB"),
    load("connect-ask-close, resumed", "ask", 1, unit="connection"),
    load("connect-ask-close, full handshake", "ask", 1, unit="connection"),
]
GOALS = [(one, 1.25) for one in LOADS if one.kind != "ask"]
FIRST_BYTE_GOAL = 1.2
IDLE = 500  # sessions


class Authority(lookups.Authority):
    """Of a certificate for localhost, with its key in one file as HAProxy takes it."""

    def pair(self):
        both = self.file("both.pem")
        with open(both, "w") as file:
            for path in self.issue("server"):
                with open(path) as part:
                    file.write(part.read())
        return both


class Terminator(peers.Peer):
    """Speaks TLS for the work's server, and resumes sessions or not.  It is part of the load: not measured."""

    def __init__(self, folder, port, pem, resumes):
        self.name = "terminator" if resumes else "terminator-full"
        self.pem, self.resumes, self.own, self.plain = pem, resumes, holdfast.free_port(), holdfast.free_port()
        super().__init__(folder, port)

    def launch(self):
        name = os.path.join(self.folder, "conf")
        with open(name, "w") as file:
            file.write(TERMINATOR.format(own=self.own, plain=self.plain, port=self.port, pem=self.pem,
                                         cache="" if self.resumes else "tune.ssl.cachesize 0",
                                         tickets="" if self.resumes else "no-tls-tickets"))
        self.spawn("haproxy", "-q", "-db", "-f", name)

    def listens(self):
        assert self.process.poll() is None
        return subprocess.run(["ss", "-Hltn", f"sport = :{self.own}"], capture_output=True, check=True).stdout


class Tls:
    """What a proxy of this table has in common: it verifies chain and name."""
    ca = None  # the same for all

    def write(self, text, **named):
        return super().write(text, ca=self.ca, **named)


class Holdfast(Tls, peers.Holdfast):
    """holdfastd and holdfast-tls, both in its cgroup."""

    def launch(self):
        tls = os.path.join(self.folder, "tls.sock")
        self.spawn(os.path.join(self.build, "holdfast-tls"), "-s", tls)
        self.tls = self.process
        holdfast.until(lambda: os.path.exists(tls), "holdfast-tls listens")
        services = holdfast.fixed("s", f"127.0.0.1:{self.port}", f"max_clients = 9000; max_held = 9000; "
                                  f"hold_timeout = 3600; listen: {{ backlog = 4096; }}; tls: {{ ca = \"{self.ca}\"; "
                                  f"name = \"localhost\"; socket = \"{tls}\"; }};")
        self.daemon = holdfast.Daemon(self.folder, services, top='log: { level = "error"; target = "stderr"; };')
        self.spawn(os.path.join(self.build, "holdfastd"), "-c", self.daemon.config)

    def stop(self):
        super().stop()
        self.tls.wait()

    def part(self):
        """The CPU seconds of holdfast-tls alone."""
        with open(f"/proc/{self.tls.pid}/schedstat") as file:
            return int(file.read().split()[0]) / 1e9


class Haproxy(Tls, peers.Haproxy):
    def launch(self):
        text = peers.HAPROXY.replace("{port}", "{port} ssl verify required ca-file {ca} verifyhost localhost "
                                     "sni str(localhost)")
        self.spawn("haproxy", "-q", "-db", "-f", self.write(text))


class Nginx(Tls, peers.Nginx):
    def launch(self):
        text = peers.NGINX.replace("{port};", "{port};" + NGINX)
        self.spawn("nginx", "-c", self.write(text), "-p", self.folder)


class Stunnel(Tls, peers.Peer):
    name = "stunnel"
    needs = {"stunnel4": "/usr/bin/stunnel4"}

    def launch(self):
        self.spawn("stunnel4", self.write(STUNNEL))

    @staticmethod
    def version():
        return holdfast.run("stunnel4", "-version").stderr.split("stunnel ")[1].split()[0]


ALL = [Holdfast, Haproxy, Nginx, Stunnel]


def window(work, peer, one, milliseconds):
    """As measure's; with the part of holdfast-tls."""
    work.open(one.kind, one.count, one.size, peer.address)
    peer.pin(0)
    begin, part = peer.cpu(), peer.part() if isinstance(peer, Holdfast) else 0
    done = work.run(milliseconds)
    cpu = peer.cpu() - begin
    part = peer.part() - part if isinstance(peer, Holdfast) else 0
    work.close()
    units = one.units(done) or 1  # of a machine that has other things to do
    return {"rate": units / done["seconds"], "p50": done["p50_us"], "cpu": cpu * 1e6 / units,
            "tls": part * 1e6 / units}


def first_byte(work, peer, milliseconds):
    """Microseconds from a new client's connect to its first answer, if they come 5 ms after each other."""
    peer.pin(0)
    work.open("ask", 1, 64, peer.address)
    done = json.loads(work.tell(f"run {milliseconds} 5000"))
    work.close()
    return done["p50_us"]


@contextlib.contextmanager
def all_peers(work, folder, names):
    """For each of the two terminators, the one that resumes first, all proxies in front of it; and Holdfast without
    TLS in front of the first."""
    authority = Authority(folder)
    Tls.ca = authority.ca
    pem = authority.pair()
    running = []

    def begin(one):
        running.append(one)
        return one.start()

    try:
        ends = [begin(Terminator(folder, work.port, pem, resumes)) for resumes in (True, False)]
        for end in ends:
            end.pin(1)
        yield *([begin(kind(f"{folder}/{end.name}-peers", end.own)) for kind in ALL if kind.name in names]
                for end in ends), begin(peers.Holdfast(f"{folder}/plain", ends[0].plain))
    finally:
        for one in reversed(running):
            one.end()


def at_work(work, running, one, options):
    work.pin(0 if one.one_cpu else 1)
    seen = {peer.name: [] for peer in running}
    for _ in range(options.windows):
        for peer in running:
            seen[peer.name].append(window(work, peer, one, options.milliseconds))
    return {peer.name: {"windows": seen[peer.name], "calls": measure.calls(work, peer, one, options.milliseconds)}
            for peer in running}


def all_work(work, loads, folder, options):
    """What was seen of each load, of an idle session, and of a new client's first byte."""
    results, idle, waits = {}, {}, {}
    with all_peers(work, folder, options.peers) as (resuming, full, plain):
        if not options.part:
            idle = {peer.name: measure.idle(work, peer, IDLE) for peer in resuming}
        for one in loads:
            results[one] = at_work(work, full if "full" in one.name else resuming, one, options)
            print(report.workload(one, results[one]), flush=True)
        work.pin(1)
        if not options.part:
            waits = {f"{peer.name}, TLS": first_byte(work, peer, 1000) for peer in resuming}
            waits["holdfast"] = first_byte(work, plain, 1000)
    return results, idle, waits


def part(seen):
    """Microseconds a unit, of holdfast-tls alone."""
    return statistics.median(one["tls"] for one in seen["holdfast"]["windows"])


def section(results, idle, waits):
    """Of RESULTS.md; waits has plain TCP behind holdfast too."""
    lines = ["## TLS to the server", "", "| figure | at most | seen | reached |", "|---|---|---|---|"]
    lines += [report.goal(f"CPU to HAProxy, {one.name}", most, *report.noted(report.ratio(results[one], "holdfast")))
              for one, most in GOALS]
    first = waits["holdfast, TLS"] / waits["holdfast"]
    lines += [report.goal("a new client's first byte to that behind plain TCP", FIRST_BYTE_GOAL, first), ""]
    for one, seen in results.items():
        lines += [report.workload(one, seen), f"holdfast-tls alone: {report.number(part(seen))} us of it.", ""]
    lines += [f"### {IDLE} idle sessions, each", "", report.idle_table(idle), "### A new client's first byte", "",
              "| proxy | us: median |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {report.number(wait)} |" for name, wait in waits.items()]) + "\n"
