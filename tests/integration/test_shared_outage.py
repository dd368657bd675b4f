"""The server is killed and comes back, again and again, under load: clients stay, answers are right or the error."""
import random
import signal

import pytest

import asking
import holdfast
from asking import LOST, Resp

KILLS = 50 if holdfast.LONG else 5
HELLO = r'hello = ( { send = "PING\r\n"; expect = "+PONG"; } ); '


def storm(one, server, load, kills):
    """Kills the server, when it has stopped in the midst of requests or just so, and starts it when the service has
    noticed or at once."""
    load.wait_running()
    for number in range(kills):
        before = one.status("cache")["disconnects"]
        assert not load.ended_within(random.uniform(0, 0.2)), load.complaints()
        if number % 3 == 0:
            server.process.send_signal(signal.SIGSTOP)
            holdfast.until(lambda: one.status("cache")["in_flight"] > 0, "requests are in flight")
        server.kill()
        if number % 2:
            holdfast.until(lambda: one.status("cache")["disconnects"] > before, "the loss is noticed")
        server.start()
        one.wait_connected("cache")
    return load.finish().result()


@pytest.mark.parametrize("persistent", [True, False], ids=["persistent", "forgetful"])
def test_fail_answers_each_or_says_that_it_was_lost(daemon, redis, ask, figure, persistent):
    server = redis(persistent)
    one = daemon(asking.shared("cache", server.address, HELLO))
    load = ask().start(one.socket("cache"), "redis-own", clients=50, depth=4, rate=20000, error=LOST,
                       **({} if persistent else {"forgets": True}))
    result = storm(one, server, load, KILLS)
    status = one.status("cache")
    figure(f"{KILLS} kills, {result['right']} right, {result['errors']} told that they were lost")
    assert result["errors"] > 0 and status["losses"] == result["errors"]
    assert result["right"] + result["errors"] == result["operations"]
    assert status["retries"] == 0


def test_counters_never_go_back(daemon, redis, ask):
    """What was in flight may have been counted or not; what was answered was."""
    server = redis(persistent=True)
    one = daemon(asking.shared("cache", server.address, HELLO))
    load = ask().start(one.socket("cache"), "redis-incr", clients=50, depth=4, rate=20000, error=LOST)
    result = storm(one, server, load, KILLS)
    with Resp(one.socket("cache")) as client:
        counted = sum(int(client.ask("GET", f"ask:{number}")) for number in range(50))
    assert result["right"] <= counted <= result["right"] + result["errors"]


def test_retry_shows_no_error(daemon, redis, ask, figure):
    server = redis(persistent=True)
    one = daemon(asking.shared("cache", server.address, HELLO + 'on_loss = "retry"; '))
    load = ask().start(one.socket("cache"), "redis-own", clients=50, depth=4, rate=20000, mix=asking.IDEMPOTENT,
                       again=True)
    result = storm(one, server, load, KILLS)
    status = one.status("cache")
    figure(f"{KILLS} kills, {result['right']} right, {status['retries']} sent again")
    assert result["right"] == result["operations"]
    assert status["retries"] > 0 and status["losses"] == 0


def test_a_request_during_an_outage_waits(daemon, redis):
    """It was not in flight, so that it is neither lost nor sent twice, even with on_loss fail."""
    server = redis()
    one = daemon(asking.shared("cache", server.address, HELLO))
    one.wait_connected("cache")
    server.kill()
    holdfast.until(lambda: one.status("cache")["state"] != "connected", "the loss is noticed")
    with Resp(one.socket("cache")) as first, Resp(one.socket("cache")) as second:
        first.send(asking.command("INCR", "count"))
        one.wait_status("cache", queued=1)
        second.send(asking.command("INCR", "count") * 3)
        one.wait_status("cache", queued=4)
        server.start()
        assert first.reply() == 1
        assert [second.reply() for _ in range(3)] == [2, 3, 4]
    assert one.status("cache")["losses"] == 0


def test_loss_reply_of_a_line_service(daemon, upstream):
    """Without one such a client is closed."""
    server = upstream(lambda connection: connection.recv(65536))
    text = 'loss_reply = "sorry\\n"; '
    one = daemon(asking.shared("told", server.address, text, "line") +
                 asking.shared("closed", server.address, "", "line"))
    with one.client("told") as told, one.client("closed") as closed:
        closed.send(b"question\n")
        assert closed.at_end()
        assert told.ask("question") == b"sorry\n"
        assert told.ask("question") == b"sorry\n"
