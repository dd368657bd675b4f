"""A connection to the other copy is kept ready: at a loss operations are answered again without a connect."""
import json
import statistics

import asking
import holdfast

KILLS = 50 if holdfast.LONG else 10
LOOSE = 1000  # milliseconds; the goals, 5 and 50, are for a machine of one's own


def test_the_standby_takes_over(daemon, redis, ask, figure):
    servers = {server.address: server for server in (redis(), redis())}
    more = r'standby = 1; hello = ( { send = "PING\r\n"; expect = "+PONG"; } ); on_loss = "fail"; '
    one = daemon(asking.shared("cache", list(servers), more))
    one.wait_status("cache", up=True, standby=1)
    load = ask().start(one.socket("cache"), "redis-own", clients=20, mix="echo", rate=20000, error=asking.LOST)
    load.wait_running()
    for _ in range(KILLS):
        used = one.status("cache")["address"]
        before = one.status("cache")["connects"]
        load.mark()
        servers[used].kill()
        holdfast.until(lambda: one.status("cache")["connects"] > before, "the other copy takes over")
        other = one.wait_status("cache", up=True)["address"]
        assert other != used
        servers[used].start()
        one.wait_status("cache", standby=1)
        assert not load.ended_within(0), load.complaints()
    gaps = load.finish().result()["gaps_ms"]
    figure(f"answered again after {statistics.median(gaps):.2f} ms (median; goal 5), {max(gaps):.2f} ms (worst of "
           f"{len(gaps)}; goal 50)")
    assert len(gaps) == KILLS and max(gaps) < LOOSE


def test_the_events_tell_of_it(daemon, redis):
    """P7: disconnected, then the attempt, the address, and connected, though it took no connect."""
    servers = {server.address: server for server in (redis(), redis())}
    one = daemon(asking.shared("cache", list(servers), "standby = 1; "))
    used = one.wait_status("cache", up=True, standby=1)["address"]
    with holdfast.Client(one.control) as control:
        control.send(b"events cache\n")
        while json.loads(control.line()).get("event") != "connected":
            pass
        servers[used].kill()
        for name in ("disconnected", "attempting_to_connect", "obtained_address", "connected"):
            assert json.loads(control.line())["event"] == name
