"""report - what the bench has seen, in words and tables."""
import os
import platform
import statistics
import time

import messages as message_peers
import peers

# Name in workloads.py, at most: the goals of session mode.
CALLS_GOALS = [("ping-pong 64 B x 1", 6.1), ("ping-pong 64 B x 16", 4.7), ("connect-ask-close x 1", 24),
               ("upload x 8", 45)]
CPU_GOALS = [("ping-pong 64 B x 1, one CPU", 0.90), ("ping-pong 64 B x 16", 1.00), ("upload x 8", 0.65),
             ("download x 8", 0.36), ("connect-ask-close x 1", 0.95)]
BASE = "haproxy"
# Of shared mode, with 50 clients: at a pipeline of 1 and of 16.
MESSAGE_BASE = "nutcracker"
MESSAGE_GOALS = {1: (0.80, 4.0), 16: (0.50, 0.35)}  # CPU to nutcracker's, system calls an operation
MEMCACHE_GOAL = 0.90  # the same, with 1 client and with 50, at a pipeline of 1
# With 500, at a pipeline of 16: CPU to what has no safety at all.
PLAIN = "plain-mux"
PLAIN_GOAL = 1.5


def median(seen, what):
    return statistics.median(window[what] for window in seen["windows"])


def ratio(results, name, base=BASE, what="cpu"):
    """CPU, or something else, of one to another's: of the medians, and the spread over the windows."""
    ours, theirs = results.get(name), results.get(base)
    if not ours or not theirs or not median(ours, what) or not median(theirs, what):
        return None
    pairs = [a[what] / b[what] for a, b in zip(ours["windows"], theirs["windows"])]
    return median(ours, what) / median(theirs, what), min(pairs), max(pairs)


def number(value, digits=None):
    if value is None:
        return "-"
    if digits is None:
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def spread(values):
    return f"{number(statistics.median(values))} ({number(min(values))} to {number(max(values))})"


def row(name, seen, results):
    if seen is None:
        return f"| {name} | a connection was refused or closed | | | | | |"
    cpu = [window["cpu"] for window in seen["windows"]]
    found, ours = ratio(results, name), ratio(results, "holdfast", name)
    return (f"| {name} | {number(median(seen, 'rate'))} | {number(median(seen, 'p50') or None)} "
            f"| {spread(cpu) if any(cpu) else '-'} | {number(seen['calls'])} "
            f"| {number(found and found[0], 2)} | {number(ours and ours[0], 2)} |")


def workload(load, results):
    units = "MB" if load.unit == "MB" else load.unit + "s"
    lines = [f"### {load.name}", "",
             f"| proxy | {units} a second | p50, us | CPU us a {load.unit}: median (spread) "
             f"| system calls a {load.unit} | its CPU to {BASE}'s | holdfast's CPU to its |",
             "|---|---|---|---|---|---|---|"]
    return "\n".join(lines + [row(name, seen, results) for name, seen in results.items()]) + "\n"


def messages_row(name, seen, results):
    if seen is None:
        return f"| {name} | a connection was refused or closed | | | | | | | | |"
    cpu = [window["cpu"] for window in seen["windows"]]
    found, plain = ratio(results, name, MESSAGE_BASE), ratio(results, name, PLAIN)
    server, rate = (ratio(results, name, "direct", what) for what in ("server_cpu", "rate"))
    return (f"| {name} | {number(median(seen, 'rate'))} | {number(median(seen, 'p50'))} "
            f"| {number(median(seen, 'p99'))} | {spread(cpu) if any(cpu) else '-'} | {number(seen['calls'], 2)} "
            f"| {number(found and found[0], 2)} | {number(plain and plain[0], 2)} "
            f"| {number(median(seen, 'server_cpu'))} | {number(server and server[0], 2)} "
            f"| {number(rate and rate[0], 2)} |")


def messages(load, results):
    lines = [f"### {load.name}", "",
             "| proxy | operations a second | p50, us | p99, us | CPU us an operation: median (spread) "
             f"| system calls an operation | its CPU to {MESSAGE_BASE}'s | its CPU to {PLAIN}'s "
             "| server's CPU us an operation | server's CPU to direct | rate to direct |",
             "|---|---|---|---|---|---|---|---|---|---|---|"]
    return "\n".join(lines + [messages_row(name, seen, results) for name, seen in results.items()]) + "\n"


def noted(found):
    """A ratio, and its spread as a note."""
    return (found[0], f" ({found[1]:.2f} to {found[2]:.2f})") if found else (None, "")


def message_goals(asked):
    lines = []
    for load, seen in asked.items():
        if load.framing == "memcache":
            lines.append(goal(f"CPU to nutcracker, {load.name}", MEMCACHE_GOAL,
                              *noted(ratio(seen, "holdfast", MESSAGE_BASE))))
            continue
        if load.clients == 500 and load.depth == 16:
            lines.append(goal(f"CPU to a plain multiplexer, {load.name}", PLAIN_GOAL,
                              *noted(ratio(seen, "holdfast", PLAIN))))
        if load.clients != 50:
            continue
        most_cpu, most_calls = MESSAGE_GOALS[load.depth]
        ours = seen["holdfast"]
        lines.append(goal(f"CPU to nutcracker, {load.name}", most_cpu,
                          *noted(ratio(seen, "holdfast", MESSAGE_BASE))))
        lines.append(goal(f"system calls, {load.name}", most_calls, ours and ours["calls"]))
        if load.depth == 1:
            lines.append(goal(f"the server's CPU to direct TCP, {load.name}", 0.70,
                              *noted(ratio(seen, "holdfast", "direct", "server_cpu"))))
        else:
            lines.append(goal(f"direct TCP's rate to holdfast's, {load.name}", 1 / 0.9,
                              *noted(ratio(seen, "direct", "holdfast", "rate"))))
    return "\n".join(lines) + "\n"


def goal(figure, most, seen, note=""):
    reached = "yes" if seen is not None and seen <= most else "**no**"
    return f"| {figure} | {number(most, 2)} | {number(seen, 2)}{note} | {reached} |"


def goals(results, idle, waits, crowd):
    named = {load.name: seen for load, seen in results.items()}
    lines = ["| figure | at most | seen | reached |", "|---|---|---|---|"]
    for name, most in CALLS_GOALS:
        seen = named[name]["holdfast"]
        lines.append(goal(f"system calls, {name}", most, seen and seen["calls"]))
    for name, most in CPU_GOALS:
        found, least, greatest = ratio(named[name], "holdfast") or (None, 0, 0)
        lines.append(goal(f"CPU to HAProxy, {name}", most, found, f" ({least:.2f} to {greatest:.2f})"))
    lines.append(goal("PSS of an idle connection, KiB", 1.5, idle["holdfast"][0] / 1024))
    lines.append(goal("files of an idle connection", 2, idle["holdfast"][1]))
    for (name, seconds), most in {("holdfast", 0.3): 20, ("holdfast", 5): 260, ("holdfast-catalog", 0.3): 20,
                                  ("holdfast-catalog", 5): 20}.items():
        seen = [30000 if wait is None else wait for wait in waits[name, seconds]]
        where = "catalog" if name.endswith("catalog") else "fixed address"
        lines.append(goal(f"held client answered after an outage of {seconds} s, {where}, ms (median)", most,
                          statistics.median(seen), f" ({min(seen):.1f} to {max(seen):.1f})"))
    lines.append(goal("PSS of each of 3,000 clients held for 10 s, all of whom were served, KiB", 1, crowd / 1024))
    return "\n".join(lines) + "\n"


def idle_table(idle):
    lines = ["| proxy | PSS, KiB | files |", "|---|---|---|"]
    lines += [f"| {name} | {number(memory / 1024, 2)} | {number(files, 2)} |"
              for name, (memory, files) in idle.items()]
    return "\n".join(lines) + "\n"


def outage_table(waits):
    lines = ["| proxy | outage, s | answered after, ms: median (spread) |", "|---|---|---|"]
    for (name, seconds), seen in waits.items():
        lost = sum(wait is None for wait in seen)
        found = [wait for wait in seen if wait is not None]
        text = (spread(found) if found else "") + (f" {lost} of {len(seen)} clients closed" if lost else "")
        lines.append(f"| {name} | {seconds} | {text.strip()} |")
    return "\n".join(lines) + "\n"


def machine():
    with open("/proc/cpuinfo") as file:
        model = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    return f"{os.cpu_count()} CPUs ({model}), Linux {platform.release().split('-')[0]}"


def whole(results, asked, idle, waits, crowd, options, more=()):
    here = os.path.dirname(os.path.realpath(__file__))
    with open(os.path.join(here, "NOTES.md")) as file:
        notes = file.read()
    kinds = [*peers.ALL, message_peers.Nutcracker, *more]
    versions = ", ".join(f"{kind.name} {kind.version()}" for kind in kinds
                         if kind not in (peers.Direct, peers.HaproxySplice))
    return "\n".join([
        "# What the bench has seen", "",
        f"Written by `make bench` on {time.strftime('%Y-%m-%d')}: {machine()}.  {versions}.", "",
        f"Medians of {options.windows} windows of {options.milliseconds} ms, in each of which every proxy has its "
        "turn.", "",
        "## Goals", "", goals(results, idle, waits, crowd) + message_goals(asked),
        notes,
        "## At work", "", "\n".join(workload(load, seen) for load, seen in results.items()),
        "## Redis and memcached for many clients", "",
        "\n".join(messages(load, seen) for load, seen in asked.items()),
        "## 2,500 idle connections, each", "", idle_table(idle),
        "## A client that came during an outage", "", outage_table(waits)])
