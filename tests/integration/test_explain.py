"""explain tells an outage's story: repeats once, and what a loss has cost."""
import holdfast
from upstream import stall


def story(one):
    return [(entry["event"], entry["text"]) for entry in one.command("explain s")["entries"]]


def test_repeats_stand_once(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, "retry: { delay = 0.02; jitter = 0; };"))
    one.wait_connected("s")
    server.stop()
    holdfast.until(lambda: one.status("s")["failures"] >= 10, "ten failures")
    kinds = [kind for kind, _ in story(one)]
    assert kinds.count("failed_to_connect") == 1 and kinds.count("disconnected") == 1
    server.start()
    one.wait_connected("s")
    assert story(one)[-1][0] == "connected"


def test_what_a_loss_costs_is_told_and_outlives_the_worker(daemon, upstream):
    server = upstream(stall)
    one = daemon(holdfast.fixed("s", server.address, 'mode = "shared"; framing = "line"; loss_reply = "lost";'))
    one.wait_connected("s")
    with one.client("s") as client:
        client.send(b"1\n2\n3\n")
        one.wait_status("s", in_flight=3)
        server.stop()
        assert [client.line() for _ in range(3)] == [b"lost\n"] * 3
    told = ("note", "3 requests were in flight: 3 end as lost, 0 are sent again")
    assert story(one).count(told) == 1
    one.wait_log(f"info s: {told[1]}")
    one.kill_worker()
    assert story(one).count(told) == 1
