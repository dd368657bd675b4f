"""report - what a soak has measured, as text and as a picture."""
import collections
import os
import platform
import re
import statistics
import time

import blows

PARTS = ("keeper", "worker", "holdfast-tls")
COLOURS = dict(zip(PARTS, ("#1f5fa8", "#c2571a", "#2e8b57")))
LEVEL = 0.05    # of what the first quarter had, the last may have more
WARM_UP = 0.1   # of the samples, before the first quarter
WIDTH, HEIGHT, LEFT, TOP = 800, 200, 60, 30


def measure(pid):
    """Open files, and memory in KiB: what no file backs."""
    with open(f"/proc/{pid}/status") as file:
        sizes = dict(re.findall(r"^(RssAnon|RssShmem):\s+(\d+) kB", file.read(), re.M))
    return len(os.listdir(f"/proc/{pid}/fd")), sum(int(size) for size in sizes.values())


class Sample(collections.namedtuple("Sample", "minutes parts")):
    def text(self):
        return ", ".join(f"{name} {files} files {memory} KiB" for name, (files, memory) in self.parts.items())


def quarters(samples, value):
    """The medians of the first and of the last quarter, behind the warm-up."""
    rest = [value(sample) for sample in samples[int(len(samples) * WARM_UP):]]
    count = max(1, len(rest) // 4)
    return statistics.median(rest[:count]), statistics.median(rest[-count:])


def levels(samples):
    """(part, what, first, last, whether it is level) of each."""
    for part in PARTS:
        for index, what in enumerate(("files", "KiB")):
            first, last = quarters(samples, lambda sample: sample.parts[part][index])
            yield part, what, first, last, last <= first * (1 + LEVEL)


def panel(samples, index, title, top):
    """One diagram."""
    most = max(sample.parts[part][index] for sample in samples for part in PARTS) * 1.1
    end = max(samples[-1].minutes, 0.1)
    lines = [f'<text x="{LEFT}" y="{top - 8}">{title}</text>']
    for step in range(5):
        y = top + HEIGHT * (1 - step / 4)
        lines.append(f'<path d="M{LEFT} {y:.0f}h{WIDTH}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 5}" y="{y + 4:.0f}" text-anchor="end">{most * step / 4:.0f}</text>')
    for part in PARTS:
        points = " ".join(f"{LEFT + WIDTH * sample.minutes / end:.1f},"
                          f"{top + HEIGHT * (1 - sample.parts[part][index] / most):.1f}" for sample in samples)
        lines.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[part]}" stroke-width="1.5"/>')
    lines.append(f'<text x="{LEFT}" y="{top + HEIGHT + 15}">0</text><text x="{LEFT + WIDTH}" '
                 f'y="{top + HEIGHT + 15}" text-anchor="end">{end:.0f} min</text>')
    return lines


def picture(samples):
    second = TOP + HEIGHT + 50
    legend = [f'<text x="{LEFT + 400 + 130 * number}" y="15" fill="{COLOURS[part]}">{part}</text>'
              for number, part in enumerate(PARTS)]
    lines = panel(samples, 0, "open files at rest", TOP) + panel(samples, 1, "memory at rest, KiB", second)
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + LEFT + 20}" '
                      f'height="{second + HEIGHT + 30}" font-family="sans-serif" font-size="12">',
                      '<rect width="100%" height="100%" fill="white"/>', *legend, *lines, "</svg>", ""])


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head),
            *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows), ""]


def stayed(world):
    if world.replaced == 0:
        return "One session stayed from the start to the end"
    return f"The session that stays had to be replaced (times: {world.replaced})"


def standstills(soak):
    lengths = [length for _, length in soak.standstills.found]
    if not lengths:
        return ""
    beside = sum("the machine stood still" in line for line in soak.wrong)
    return (f" The machine itself stood still for more than 2 s (times: {len(lengths)}, at most {max(lengths):.1f} s)"
            f" and did not even run this program then; of what is wrong, {beside} came beside that.")


def text(options, soak, status, judged):
    minutes = (time.monotonic() - soak.begun) / 60
    counts = soak.blows.counts
    blown = sum(count for kind, count in counts.items() if kind in blows.KINDS)
    lines = ["# A soak", "",
             f"Written by `make soak MINUTES={options.minutes:g} SEED={options.seed}` ({time.strftime('%Y-%m-%d')}, "
             f"Linux {platform.release().split('-')[0]}, {os.cpu_count()} processors, which others used too): "
             f"{minutes:.0f} minutes, {soak.number} rounds of load, {blown} blows, one each "
             f"{minutes * 60 / max(1, blown):.1f} s.", "",
             f"**Lost or wrong: {len(soak.wrong)}.** The daemon was restarted {status.get('restarts', '?')} and "
             f"upgraded {status.get('upgrades', '?')} times; its worker was replaced after "
             f"{status.get('worker_restarts', '?')} deaths. {stayed(soak.world)} and was answered "
             f"{soak.world.answered} times.{standstills(soak)}", ""]
    if soak.wrong:
        lines += ["What was wrong:", "", *("* " + " ".join(text.splitlines()) for text in soak.wrong), ""]
    lines += ["## Blows", "", *table(("blow", "count"), [(blows.WHAT[kind], counts[kind]) for kind in blows.WHAT])]
    lines += ["## What was served and found right", "",
              *table(("service", "count"), [(name, f"{count:,}") for name, count in sorted(soak.done.items())]),
              "A request to `counters` that was under way when Redis was killed is told as lost to its client, who",
              "cannot know whether it was done; such are counted here, and are not lost in silence.", ""]
    lines += ["## What is held", "",
              "At rest after each round: open files, and memory that no file backs. A process that is replaced (the",
              "worker by a death, holdfast-tls by its upgrade) begins anew. Medians of the first and of the last",
              f"quarter, after a tenth as warm-up; level is at most {LEVEL:.0%} more.", "",
              *table(("process", "", "first quarter", "last quarter", "change", ""),
                     [(part, what, f"{first:g}", f"{last:g}", f"{(last / first - 1) * 100:+.1f} %",
                       "level" if level else "GROWS") for part, what, first, last, level in judged]),
              "![open files and memory over time](resources.svg)", ""]
    return "\n".join(lines)


def write(options, soak, status):
    """Whether all was well."""
    judged = list(levels(soak.samples)) if soak.samples else []
    os.makedirs(options.report, exist_ok=True)
    with open(os.path.join(options.report, "REPORT.md"), "w") as file:
        file.write(text(options, soak, status, judged))
    if soak.samples:
        with open(os.path.join(options.report, "resources.svg"), "w") as file:
            file.write(picture(soak.samples))
    print(f"{len(soak.wrong)} lost or wrong; " +
          ("level" if all(row[4] for row in judged) else "GROWS: " + str([row for row in judged if not row[4]])))
    return not soak.wrong and bool(judged) and all(row[4] for row in judged)
