"""redis-benchmark and redis-cli over the socket, without an error."""
import pytest

import holdfast
from real_servers import Redis

MANY = 100000 if holdfast.LONG else 20000


@pytest.fixture
def cache(folder, daemon):
    redis = Redis(folder)
    try:
        redis.start()
        yield daemon(holdfast.fixed("cache", redis.address))
    finally:
        redis.stop()


def benchmark(one, *arguments):
    done = holdfast.run("redis-benchmark", "-s", one.socket("cache"), "-n", MANY, "-q", *arguments, bound=120)
    text = done.stdout + done.stderr
    assert done.returncode == 0 and "rror" not in text, text
    assert "requests per second" in text, text
    return text.replace("\r", "\n").strip().splitlines()[-1].strip()


def test_redis_cli(cache):
    done = holdfast.run("redis-cli", "-s", cache.socket("cache"), "set", "key", "value")
    assert done.stdout == "OK\n", done.stderr
    assert holdfast.run("redis-cli", "-s", cache.socket("cache"), "get", "key").stdout == "value\n"


def test_redis_benchmark_with_50_clients(cache, figure):
    figure(benchmark(cache, "-c", "50", "-t", "get,set"))


def test_redis_benchmark_with_pipelining(cache, figure):
    figure(benchmark(cache, "-P", "16", "-t", "get,set"))
