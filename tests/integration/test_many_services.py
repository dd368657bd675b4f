"""Many services that are looked up by scripts and in a catalog use little, as it is printed with -s."""
import os
import time

import pytest

import holdfast
from upstream import named

LONG = bool(os.environ.get("HOLDFAST_LONG"))
SECONDS = 60 if LONG else 3
LIST = "#!/bin/sh\necho {address}\n"
WATCH = "#!/bin/sh\nwhile echo {address} && echo; do sleep 10; done\n"


def program(folder, text, address):
    path = os.path.join(folder, "find")
    with open(path, "w") as file:
        file.write(text.format(address=address))
    os.chmod(path, 0o755)
    return path


def catalog(folder, names, address):
    for name in names:
        os.makedirs(os.path.join(folder, "catalog", name))
        with open(os.path.join(folder, "catalog", name, "one"), "w") as file:
            file.write(address + "\n")
    return os.path.join(folder, "catalog")


def processes(one):
    return [one.process.pid, one.worker()]


def used(one):
    """Seconds of the processor that the daemon's own processes have used, without their children."""
    total = 0
    for pid in processes(one):
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def resident(one):
    """KiB of both, what they share once."""
    total = 0
    for pid in processes(one):
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total


def look(one, services, began):
    started = time.monotonic() - began
    holdfast.until(lambda: all(s["address"] and s["up"] for s in one.status()["services"]), "all up", 60)
    connected = time.monotonic() - began
    before, since = used(one), time.monotonic()
    time.sleep(SECONDS)  # no event is awaited: what is used while none comes is what is measured
    cpu = (used(one) - before) / (time.monotonic() - since)
    print(f"\n{services} services: ready after {started:.2f} s, all up after {connected:.2f} s; "
          f"idle {100 * cpu:.2f} % of a core; {resident(one) / 1024:.1f} MiB resident")
    return cpu


@pytest.mark.plain
def test_two_hundred_half_by_script_half_by_catalog(daemon, folder, upstream):
    address = upstream(named("a")).address
    path = catalog(folder, [f"c{i}" for i in range(100)], address)
    find = program(folder, LIST, address)
    began = time.monotonic()
    one = daemon("".join(f'c{i}: {{ lookup: {{ catalog = "{path}"; }}; }};\n'
                         f's{i}: {{ lookup: {{ script = "{find}"; }}; }};\n' for i in range(100)))
    cpu = look(one, 200, began)
    assert resident(one) < 20 * 1024
    assert cpu < 0.2


@pytest.mark.skipif(not LONG, reason="HOLDFAST_LONG is not set")
def test_a_thousand_watched(daemon, folder, upstream):
    address = upstream(named("a")).address
    find = program(folder, WATCH, address)
    began = time.monotonic()
    one = daemon("".join(f's{i}: {{ lookup: {{ script = "{find}"; watch = true; }}; }};\n' for i in range(1000)))
    cpu = look(one, 1000, began)
    assert cpu < 0.2
