"""Load without a death, which would mask a lost wake-up: no operation takes long, in no way of asking."""
import pytest

import asking
import holdfast

SECONDS = 150 if holdfast.LONG else 2.5
MOST = 100  # milliseconds that an operation may take
pytestmark = pytest.mark.plain  # with sanitizers each takes long


@pytest.mark.parametrize("options", [
    dict(depth=1), dict(depth=16), dict(depth=4, rate=500),
    dict(depth=8, split=True, visit=100, leavers=5, rate=20000)],
    ids=["one by one", "pipelined", "seldom", "splits, comes and goes"])
def test_no_operation_takes_long(daemon, redis, ask, figure, options):
    """But for what the machine delays: a second load asks Redis directly, each notes when it was not run, and the
    kernel when the worker and Redis were not."""
    server = redis()
    one = daemon(asking.shared("cache", server.address))
    one.wait_connected("cache")
    processes = one.worker(), server.process.pid
    waited = sum(map(holdfast.kept_waiting, processes))
    direct = ask().start(server.port, "redis-own", clients=2, rate=500, prefix="direct")
    load = ask().start(one.socket("cache"), "redis-own", clients=50, seconds=SECONDS, **options)
    result = load.result(SECONDS + 60)
    machine = direct.finish().result()
    delays = result["own_pause_ms"] + machine["own_pause_ms"] + machine["max_ms"]
    delays += sum(map(holdfast.kept_waiting, processes)) - waited
    figure(f"{result['right']} right answers, p50 {result['p50_ms']} ms, p99 {result['p99_ms']} ms, worst "
           f"{result['max_ms']} ms, over {MOST} ms: {result['over_100ms']}; the machine's own delays {delays:.1f} ms")
    assert result["errors"] == 0
    assert result["max_ms"] - delays <= MOST
    assert one.restarts() == 0
