"""bench - Holdfast and its peers at the same work, in turn; writes RESULTS.md.

    make bench [BENCH="--only upload --windows 5"]

Each proxy listens on a Unix socket and goes on to a TCP server on loopback.  In each of the windows every proxy works
for the same time, one after the other, so that a machine that becomes slower does so for all; medians are compared.
HOLDFAST_BEFORE=FOLDER adds the build in that folder as the peer holdfast-before.
Runs as root in a network namespace of its own and installs the peers from the distribution.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import measure
import messages
import outage
import peers
import report
import tls
import workloads

PROGRAM = os.path.join(peers.holdfast.BUILD, "tests/bench/work")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=15, help="of each workload (15)")
    parser.add_argument("--milliseconds", type=int, default=250, help="of a window (250)")
    parser.add_argument("--only", default="", help="workloads whose name matches this; no RESULTS.md then")
    parser.add_argument("--peers", default="", help="their names, with commas; no RESULTS.md then")
    parser.add_argument("--output", help="the file to write instead of RESULTS.md")
    options = parser.parse_args()
    names = sorted({kind.name for kind in peers.ALL + messages.ALL + tls.ALL})
    options.peers = options.peers.split(",") if options.peers else names
    for name in options.peers:
        if name not in names:
            parser.error(f"no proxy {name!r}; there are {', '.join(names)}")
    loads = workloads.ALL + workloads.MESSAGES + tls.LOADS
    if not any(re.search(options.only, load.name) for load in loads):
        parser.error(f"no workload matches {options.only!r}; there are {', '.join(load.name for load in loads)}")
    options.part = bool(options.only) or options.peers != names
    return options


def wanted(loads, options):
    return [load for load in loads if re.search(options.only, load.name)]


def install(chosen):
    missing = peers.missing(chosen)
    if missing:
        print("installing", *missing, flush=True)
        policy = "/usr/sbin/policy-rc.d"  # Debian asks it whether a new package may start its service
        made = not os.path.exists(policy)
        if made:
            with open(policy, "w") as file:
                file.write("#!/bin/sh\nexit 101\n")
            os.chmod(policy, 0o755)
        try:
            subprocess.run(["apt-get", "-qq", "update"], check=True)
            subprocess.run(["apt-get", "-qq", "-y", "--no-install-recommends", "install", *missing], check=True,
                           env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, stdout=subprocess.DEVNULL)
        finally:
            if made:
                os.unlink(policy)


def enter_namespace():
    """Loopback of our own, without the thousands of TIME_WAITs that one proxy's windows would leave to the next."""
    if os.environ.get("HOLDFAST_BENCH") == "inside":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        with open("/proc/sys/net/ipv4/tcp_max_tw_buckets", "w") as file:
            file.write("64")
        return
    os.environ["HOLDFAST_BENCH"] = "inside"
    os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])


def at_work(work, running, load, options):
    """For each proxy its windows and system calls, or None if it did not get through."""
    work.pin(0 if load.one_cpu else 1)
    seen = {peer.name: [] for peer in running}
    calls = {}

    def attempt(peer, task):
        if seen[peer.name] is None:
            return
        try:
            task()
        except measure.LoadEnded:
            seen[peer.name] = None
            print(f"{peer.name} does not get through {load.name}", flush=True)
            peer.stop()
            peer.start()
            work.client.wait()
            work.begin()
            work.pin(0 if load.one_cpu else 1)

    def one_window(peer):
        seen[peer.name].append(measure.window(work, peer, load, options.milliseconds))

    def count_calls(peer):
        if isinstance(peer, peers.Direct):
            calls[peer.name] = None
        else:
            calls[peer.name] = measure.calls(work, peer, load, options.milliseconds)

    for _ in range(options.windows):
        for peer in running:
            attempt(peer, lambda: one_window(peer))
    for peer in running:
        attempt(peer, lambda: count_calls(peer))
    return {name: windows and {"windows": windows, "calls": calls[name]} for name, windows in seen.items()}


def all_work(work, loads, folder, options):
    running = [kind(folder, work.port) for kind in peers.ALL if loads and kind.name in options.peers]
    results = {}
    try:
        for peer in running:
            peer.start()
        for load in loads:
            results[load] = at_work(work, running, load, options)
            print(report.workload(load, results[load]), flush=True)
    finally:
        for peer in running:
            peer.end()
    return results


def one(kind, folder, port, task):
    """A fresh proxy for one task."""
    peer = kind(folder, port)
    try:
        return task(peer.start())
    finally:
        peer.end()


def all_idle(work, folder):
    work.pin(1)
    costs = {}
    for kind in (peers.Holdfast, peers.Haproxy, peers.Nginx, peers.Proxyd):
        costs[kind.name] = one(kind, f"{folder}/idle", work.port, lambda peer: measure.idle(work, peer, 2500))
    return costs


def all_outages(work, folder):
    waits = {}
    for kind in (peers.Holdfast, outage.HoldfastCatalog, peers.Haproxy, peers.Nginx):
        for seconds, count in ((0.3, 15), (5, 7)):
            waits[kind.name, seconds] = one(
                kind, f"{folder}/{seconds}", work.port,
                lambda peer: [outage.answered_after(work, peer, seconds) for _ in range(count)])
    crowd = one(peers.Holdfast, f"{folder}/crowd", work.port,
                lambda peer: outage.crowd_held(work, peer, 3000, 10))
    return waits, crowd


def all_messages(folder, options):
    loads = wanted(workloads.MESSAGES, options)
    if not loads:
        return {}
    return messages.all_work(folder, loads, options.peers, options,
                             lambda load, seen: print(report.messages(load, seen), flush=True))


def all_tls(work, folder, options):
    """None: nothing of it is wanted."""
    loads = wanted(tls.LOADS, options)
    if not loads or not any(kind.name in options.peers for kind in tls.ALL):
        return None
    os.makedirs(f"{folder}/tls", mode=0o755)
    return tls.all_work(work, loads, f"{folder}/tls", options)


def main():
    options = arguments()
    if os.geteuid() != 0 or os.cpu_count() < 2 or not peers.CGROUPS:
        sys.exit("bench: needs root, two CPUs and cgroup v2")
    chosen = [kind for kind in peers.ALL + messages.ALL if kind.name in options.peers]
    if wanted(tls.LOADS, options):
        chosen += [kind for kind in tls.ALL if kind.name in options.peers] + [peers.Haproxy]
    install(chosen)
    enter_namespace()
    with tempfile.TemporaryDirectory(prefix="hf-bench-") as folder:
        os.chmod(folder, 0o755)
        work = measure.Work(PROGRAM)
        try:
            results = all_work(work, wanted(workloads.ALL, options), folder, options)
            asked = all_messages(folder, options)
            secured = all_tls(work, folder, options)
            if options.part:
                return
            idle = all_idle(work, folder)
            waits, crowd = all_outages(work, folder)
        finally:
            work.end()
    text = report.whole(results, asked, idle, waits, crowd, options, [tls.Stunnel]) + "\n" + tls.section(*secured)
    with open(options.output or os.path.join(os.path.dirname(os.path.realpath(__file__)), "RESULTS.md"), "w") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()
