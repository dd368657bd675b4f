"""The bench runs: what it sees is for tests/bench/RESULTS.md, and judged nowhere here."""
import os
import sys

import pytest

import holdfast
import tls_program

FOLDER = os.path.join(holdfast.SOURCE, "tests/bench")
BENCH = os.path.join(FOLDER, "bench.py")
sys.path.insert(0, FOLDER)
import peers  # noqa: E402

pytestmark = [
    pytest.mark.plain,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: run tests/run as root"),
    pytest.mark.skipif(os.cpu_count() < 2, reason="needs two CPUs"),
    pytest.mark.skipif(not peers.CGROUPS, reason="needs cgroup2: mount -t cgroup2 none /sys/fs/cgroup"),
    pytest.mark.skipif(bool(peers.missing([])),
                       reason="needs packages: apt-get install linux-perf redis-server redis-tools memcached"),
]


def bench(*arguments):
    return holdfast.run(sys.executable, BENCH, *arguments, "--windows", "1", "--milliseconds", "50",
                        env=holdfast.environment(HOLDFAST_BUILD=holdfast.BUILD, PYTHONDONTWRITEBYTECODE="1"))


def test_each_kind_of_work_is_done_and_counted():
    done = bench("--peers", "holdfast,direct", "--only", "x 8|x 1$")
    assert done.returncode == 0, done.stderr
    for kind in ("ping-pong 64 B x 1", "upload x 8", "download x 8", "connect-ask-close x 1"):
        part = done.stdout.partition(f"### {kind}\n")[2]
        cells = next(line for line in part.splitlines() if line.startswith("| holdfast ")).split("|")
        assert float(cells[2].replace(",", "")) > 0, f"{kind}: rate"
        assert float(cells[4].split()[0].replace(",", "")) > 0, f"{kind}: CPU"
        assert float(cells[5].replace(",", "")) > 0, f"{kind}: system calls"


def test_each_peer_is_asked_by_redis_benchmark():
    done = bench("--peers", "holdfast,plain-mux,direct,direct-unix", "--only", "(GET|SET) x 50,")
    assert done.returncode == 0, done.stderr
    for load in ("GET x 50, pipeline 1", "SET x 50, pipeline 1", "GET x 50, pipeline 16", "SET x 50, pipeline 16"):
        part = done.stdout.partition(f"### {load}\n")[2].partition("###")[0]
        rows = {line.split(" ")[1]: line.split("|") for line in part.splitlines() if line.startswith("| ")}
        for name in ("holdfast", "plain-mux", "direct", "direct-unix"):
            assert float(rows[name][2].replace(",", "")) > 0, f"{load}, {name}: rate"
            assert float(rows[name][9].replace(",", "")) > 0, f"{load}, {name}: the server's CPU"
        for name in ("holdfast", "plain-mux"):
            assert float(rows[name][5].split()[0].replace(",", "")) > 0, f"{load}, {name}: CPU"
            assert float(rows[name][6].replace(",", "")) > 0, f"{load}, {name}: system calls"
        assert float(rows["holdfast"][8]) > 0, f"{load}: CPU to a plain multiplexer's"


@tls_program.MARK
@pytest.mark.skipif(not os.path.exists("/usr/sbin/haproxy"), reason="needs it: apt-get install haproxy")
def test_tls_to_the_server_is_done_and_counted():
    done = bench("--peers", "holdfast", "--only", "^TLS (ping-pong 64 B, 16|upload, 8|connect)")
    assert done.returncode == 0, done.stderr
    for kind in ("ping-pong 64 B, 16 clients", "upload, 8 clients", "connect-ask-close, resumed",
                 "connect-ask-close, full handshake"):
        part = done.stdout.partition(f"### TLS {kind}\n")[2]
        cells = next(line for line in part.splitlines() if line.startswith("| holdfast ")).split("|")
        assert float(cells[2].replace(",", "")) > 0, f"{kind}: rate"
        assert float(cells[4].split()[0].replace(",", "")) > 0, f"{kind}: CPU"


def test_memcached_is_asked_too():
    done = bench("--peers", "holdfast,direct", "--only", "memcache (get|set) x 50,")
    assert done.returncode == 0, done.stderr
    for load in ("memcache get x 50, pipeline 1", "memcache set x 50, pipeline 1"):
        part = done.stdout.partition(f"### {load}\n")[2].partition("###")[0]
        rows = {line.split(" ")[1]: line.split("|") for line in part.splitlines() if line.startswith("| ")}
        assert float(rows["holdfast"][2].replace(",", "")) > 0, f"{load}: rate"
        assert float(rows["holdfast"][5].split()[0].replace(",", "")) > 0, f"{load}: CPU"
        assert float(rows["direct"][9].replace(",", "")) > 0, f"{load}: the server's CPU"
