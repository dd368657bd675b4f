"""messages - Redis and memcached for many clients: Holdfast's shared mode and its peers, asked by redis-benchmark and
work memcache.

As in use, clients and proxy are on one side, on CPU 0, and the server is on the other, on CPU 1.
"""
import csv
import io
import json
import os
import subprocess

import measure
import peers
from peers import holdfast
import real_servers

NUTCRACKER = """
s:
  listen: {path} 0666
  redis: {redis}
  hash: fnv1a_64
  distribution: ketama
  backlog: 1024
  preconnect: true
  servers:
    - 127.0.0.1:{port}:1
"""


class Holdfast(peers.Holdfast):
    """All clients over one connection, whose loss would be noticed."""
    framing = "resp"

    def launch(self):
        services = (f's: {{ mode = "shared"; framing = "{self.framing}"; address = "127.0.0.1:{self.port}"; '
                    "listen: { backlog = 1024; }; };\n")
        self.daemon = holdfast.Daemon(self.folder, services, top='log: { level = "error"; target = "stderr"; };')
        self.spawn(os.path.join(self.build, "holdfastd"), "-c", self.daemon.config)


class HoldfastBefore(peers.Before, Holdfast):
    pass


class Nutcracker(peers.Peer):
    """The same: one connection to the server for all clients, which is its default."""
    name = "nutcracker"
    framing = "resp"
    needs = {"nutcracker": "/usr/sbin/nutcracker"}

    def launch(self):
        text = NUTCRACKER.format(path=self.path, port=self.port, redis=str(self.framing == "resp").lower())
        self.spawn("nutcracker", "-c", self.write(text), "-s", str(holdfast.free_port()), "-a", "127.0.0.1")

    @staticmethod
    def version():
        done = holdfast.run("nutcracker", "-V")
        return (done.stdout + done.stderr).split("nutcracker-")[1].split()[0]


class PlainMux(peers.Peer):
    """The least that does the same, without any safety: work_mux.c.  For Redis alone."""
    name = "plain-mux"

    def launch(self):
        self.spawn(os.path.join(holdfast.BUILD, "tests/bench/work"), "mux", self.path, str(self.port))

    @staticmethod
    def version():
        return "-"


class DirectUnix(peers.Direct):
    """No proxy, and no TCP."""
    name = "direct-unix"


ALL = [Holdfast, PlainMux, Nutcracker, peers.Haproxy, peers.Direct, DirectUnix]
ALL += [HoldfastBefore] * bool(peers.Before.build)


class Server:
    """Redis or memcached, alone in a cgroup, by which its CPU time is read."""

    def __init__(self, folder, framing):
        self.framing = framing
        self.path = os.path.join(folder, "redis.sock")
        self.one = (real_servers.Redis(folder, arguments=["--unixsocket", self.path, "--tcp-backlog", "4096"])
                    if framing == "resp" else real_servers.Memcached(folder, arguments=["-t", "1"]))
        self.cgroup = os.path.join(peers.CGROUPS, f"holdfast-bench-{os.getpid()}-{framing}")
        os.mkdir(self.cgroup)
        try:
            self.one.start()
            with open(os.path.join(self.cgroup, "cgroup.procs"), "w") as file:
                file.write(str(self.one.process.pid))
            for task in os.listdir(f"/proc/{self.one.process.pid}/task"):
                os.sched_setaffinity(int(task), {1})
        except BaseException:
            self.end()
            raise

    def cpu(self):
        return peers.cgroup_cpu(self.cgroup)

    def serves(self, kind):
        """Whether it can stand behind such a peer, or be asked in its way."""
        return self.framing == "resp" or kind not in (PlainMux, DirectUnix)

    def end(self):
        self.one.stop()
        os.rmdir(self.cgroup)


def words(peer, server):
    """Where redis-benchmark finds it."""
    if isinstance(peer, DirectUnix):
        return ["-s", server.path]
    return ["-p", peer.address] if isinstance(peer, peers.Direct) else ["-s", peer.path]


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          preexec_fn=lambda: os.sched_setaffinity(0, {0}))
    if done.returncode != 0:
        raise measure.LoadEnded
    return done.stdout


def ask(peer, server, load, count):
    """So many operations: operations a second, p50 and p99 in microseconds."""
    if load.framing == "memcache":
        said = json.loads(run(os.path.join(holdfast.BUILD, "tests/bench/work"), "memcache", peer.address,
                              load.command, str(load.clients), str(load.depth), str(count)))
        return said["rate"], said["p50"], said["p99"]
    text = run("redis-benchmark", *words(peer, server), "-n", str(count), "-c", str(load.clients), "-P",
               str(load.depth), "-t", load.command, "--csv")
    rows = [row for row in csv.reader(io.StringIO(text)) if row and row[0].upper().startswith(load.command)]
    if not rows:
        raise measure.LoadEnded
    return float(rows[0][1]), float(rows[0][4]) * 1e3, float(rows[0][6]) * 1e3


def enough(peer, server, load, milliseconds):
    """Operations that take about so long: what comes once, as connecting, is then little of it."""
    count = max(load.clients * load.depth * 20, 2000)
    rate, _, _ = ask(peer, server, load, count)
    return max(count, int(rate * milliseconds / 1e3))


def window(peer, server, load, count):
    """One window: rate, p50, p99, CPU microseconds of the proxy and of the server an operation."""
    peer.pin(0)
    before, server_before = peer.cpu(), server.cpu()
    rate, p50, p99 = ask(peer, server, load, count)
    return {"rate": rate, "p50": p50, "p99": p99, "cpu": (peer.cpu() - before) * 1e6 / count,
            "server_cpu": (server.cpu() - server_before) * 1e6 / count}


def calls(peer, server, load, count):
    """System calls of the proxy an operation."""
    if isinstance(peer, peers.Direct):
        return None
    with measure.SystemCalls(peer.pids()) as counted:
        ask(peer, server, load, count)
    return counted.count and counted.count / count


def at_work(server, running, load, options):
    """For each peer its windows and system calls, or None if it did not get through."""
    seen, counts = {}, {}
    for peer in running:
        try:
            counts[peer.name] = enough(peer, server, load, options.milliseconds * 2)
            seen[peer.name] = {"windows": [], "calls": None}
        except measure.LoadEnded:
            seen[peer.name] = None
    for turn in range((options.windows + 2) // 3 + 1):
        for peer in running:
            if seen[peer.name] is None:
                continue
            try:
                if turn > 0:
                    seen[peer.name]["windows"].append(window(peer, server, load, counts[peer.name]))
                else:
                    seen[peer.name]["calls"] = calls(peer, server, load, counts[peer.name])
            except measure.LoadEnded:
                seen[peer.name] = None
                print(f"{peer.name} does not get through {load.name}", flush=True)
    return seen


def all_of_framing(folder, loads, framing, chosen, options, show):
    os.makedirs(folder)
    server = Server(folder, framing)
    running = [kind(folder, server.one.port) for kind in ALL if kind.name in chosen and server.serves(kind)]
    results = {}
    try:
        for peer in running:
            peer.framing = framing
            peer.start()
        for load in loads:
            results[load] = at_work(server, running, load, options)
            show(load, results[load])
    finally:
        for peer in running:
            peer.end()
        server.end()
    return results


def all_work(folder, loads, chosen, options, show):
    """The results of all these loads; each is shown as it comes."""
    results = {}
    for framing in ("resp", "memcache"):
        some = [load for load in loads if load.framing == framing]
        if some:
            results.update(all_of_framing(f"{folder}/messages/{framing}", some, framing, chosen, options, show))
    return results
