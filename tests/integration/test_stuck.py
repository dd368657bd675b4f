"""A script that does not end holds up the shared connection; what needs no order passes it by, and ends it."""
import pytest

import asking
from asking import ReplyError, Resp, command
from holdfast import until

BUSY_AFTER = 1500  # ms that Redis hears nobody for; longer than those after which others pass by
ENDLESS = ("EVAL", "while true do end", 0)
HELLOS = {"no hello": "", "PING": 'hello = ({ send = "PING\\r\\n"; expect = "+PONG"; }); '}


@pytest.fixture(params=HELLOS)
def cache(request, daemon, redis):
    server = redis()
    server.cli("CONFIG", "SET", "busy-reply-threshold", BUSY_AFTER)
    one = daemon(asking.shared("cache", server.address, HELLOS[request.param]))
    one.wait_connected("cache")
    return one, server


def busy(server):
    return server.cli("PING").startswith("BUSY")


def test_a_script_that_does_not_end_is_ended_by_another_client(cache):
    one, server = cache
    path = one.socket("cache")
    with Resp(path) as author, Resp(path) as waiting, Resp(path) as checking, Resp(path) as ending:
        assert checking.ask("PING") == "PONG"
        author.send(command(*ENDLESS))
        until(lambda: one.status("cache")["in_flight"] == 1, "the script at the server")
        waiting.send(command("SET", "a", 1))
        until(lambda: busy(server), "a server that is busy")
        assert checking.ask("PING").startswith("BUSY")
        assert checking.ask("CLIENT", "LIST").startswith("BUSY")
        assert ending.ask("SCRIPT", "KILL") == "OK"
        assert isinstance(author.reply(), ReplyError)
        assert waiting.reply() == "OK"
        for client in author, waiting, checking, ending:
            assert client.ask("INCR", "a") > 1
        until(lambda: one.status("cache")["own"] == 0, "all sharing again")
        assert waiting.ask("INCR", "a") == 6
        assert "connected_clients:1\r\n" in waiting.ask("INFO", "clients").decode()


def test_who_is_owed_a_reply_keeps_its_order(cache):
    one, server = cache
    with Resp(one.socket("cache")) as author, Resp(one.socket("cache")) as other, Resp(one.socket("cache")) as ending:
        author.send(command(*ENDLESS))
        until(lambda: one.status("cache")["in_flight"] == 1, "the script at the server")
        other.send(command("SET", "a", 1))
        until(lambda: busy(server), "a server that is busy")
        other.send(command("PING") + command("GET", "a"))
        assert ending.ask("SCRIPT", "KILL") == "OK"
        assert [other.reply() for _ in range(3)] == ["OK", "PONG", b"1"]
