"""A client of a shared service whose commands need a connection of their own gets one, and goes back."""
import signal
import threading

import pytest

import asking
import holdfast
import storm
from asking import ReplyError, Resp, command
from holdfast import until
from test_crash_points import crash, deaths

CLIENTS = 50
UNKNOWN_SETINFO = "ERR unknown"
KILLS = 500 if holdfast.LONG else 20


def service(daemon, redis, more="", **options):
    server = redis(**options)
    one = daemon(asking.shared("cache", server.address, more))
    one.wait_connected("cache")
    return one, server


@pytest.fixture
def cache(daemon, redis):
    return service(daemon, redis)[0]


def test_a_transaction_is_carried_out_at_once_and_alone(cache):
    with Resp(cache.socket("cache")) as client, Resp(cache.socket("cache")) as other:
        assert client.ask("SET", "stock", 10) == "OK"
        assert client.ask("MULTI") == "OK"
        assert client.ask("DECR", "stock") == "QUEUED"
        assert other.ask("GET", "stock") == b"10"
        assert client.ask("EXEC") == [9]
        assert other.ask("GET", "stock") == b"9"


def test_what_was_asked_before_is_answered_first(cache):
    with Resp(cache.socket("cache")) as client:
        for _ in range(50):
            client.send(command("SET", "a", 1) + command("INCR", "a") * 20 + command("MULTI") + command("INCR", "a") +
                        command("EXEC") + command("GET", "a"))
            assert client.reply() == "OK"
            assert [client.reply() for _ in range(20)] == list(range(2, 22))
            assert [client.reply() for _ in range(4)] == ["OK", "QUEUED", [22], b"22"]


def test_a_watched_key_that_changes_ends_the_transaction(cache):
    with Resp(cache.socket("cache")) as client, Resp(cache.socket("cache")) as other:
        assert client.ask("WATCH", "stock") == "OK"
        assert other.ask("SET", "stock", 3) == "OK"
        assert client.ask("MULTI") == "OK"
        assert client.ask("INCR", "stock") == "QUEUED"
        assert client.ask("EXEC") is None
        assert client.ask("GET", "stock") == b"3"


def test_another_database_is_the_client_s_alone(cache):
    with Resp(cache.socket("cache")) as client, Resp(cache.socket("cache")) as other:
        assert client.ask("SELECT", 1) == "OK"
        assert client.ask("SET", "key", "of 1") == "OK"
        assert other.ask("GET", "key") is None
        assert client.ask("SELECT", 0) == "OK"
        assert client.ask("GET", "key") is None


def test_who_waits_for_an_element_makes_nobody_wait(cache):
    with Resp(cache.socket("cache")) as client, Resp(cache.socket("cache")) as other:
        client.send(command("BLPOP", "queue", 0))
        assert other.ask("PING") == "PONG"
        assert other.ask("LPUSH", "queue", "x") == 1
        assert client.reply() == [b"queue", b"x"]
        assert client.ask("ECHO", "back") == b"back"


def test_messages_of_a_channel(cache):
    with Resp(cache.socket("cache")) as client, Resp(cache.socket("cache")) as other:
        assert client.ask("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        assert other.ask("PUBLISH", "news", "hello") == 1
        assert client.reply() == [b"message", b"news", b"hello"]
        assert client.ask("UNSUBSCRIBE", "news") == [b"unsubscribe", b"news", 0]
        assert client.ask("ECHO", "back") == b"back"


class Visitor(threading.Thread):
    """Goes back and forth between the shared connection and its own, and checks each answer."""

    def __init__(self, path, number, over):
        super().__init__()
        self.path, self.number, self.over = path, number, over
        self.counted, self.failure = 0, None

    def run(self):
        try:
            with Resp(self.path) as client:
                while not self.over.is_set():
                    self.round(client)
        except Exception as failure:  # told by the test
            self.failure = failure

    def round(self, client):
        mine, queue, channel = (f"{name}:{self.number}" for name in ["count", "queue", "channel"])
        client.send(command("INCR", mine) + command("MULTI") + command("INCR", mine) + command("INCR", mine) +
                    command("EXEC"))
        self.counted += 3
        last = self.counted
        assert [client.reply() for _ in range(5)] == [last - 2, "OK", "QUEUED", "QUEUED", [last - 1, last]]
        assert client.ask("GET", mine) == b"%d" % last
        assert client.ask("RPUSH", queue, last) == 1
        assert client.ask("BLPOP", queue, 0) == [queue.encode(), b"%d" % last]
        assert client.ask("SUBSCRIBE", channel) == [b"subscribe", channel.encode(), 1]
        assert client.ask("UNSUBSCRIBE", channel) == [b"unsubscribe", channel.encode(), 0]
        assert client.ask("INCR", mine) == last + 1
        self.counted += 1


def visit(one, struck):
    """All go back and forth until that is so."""
    over = threading.Event()
    visitors = [Visitor(one.socket("cache"), number, over) for number in range(CLIENTS)]
    for visitor in visitors:
        visitor.start()
    until(lambda: struck() or any(visitor.failure for visitor in visitors), "deaths", bound=300)
    over.set()
    for visitor in visitors:
        visitor.join()
    assert [visitor.failure for visitor in visitors if visitor.failure] == []
    with Resp(one.socket("cache")) as client:
        for visitor in visitors:
            assert client.ask("GET", f"count:{visitor.number}") == b"%d" % visitor.counted
        until(lambda: connections(client) == 1, "one connection at Redis")
    return sum(visitor.counted for visitor in visitors)


def connections(client):
    return int(client.ask("INFO", "clients").decode().split("connected_clients:")[1].split()[0])


@pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")
@pytest.mark.parametrize("point", ["own.before:20", "own.tracked:20", "own.followed:200", "open.before:20",
                                   "open.committed:20", "return.held:20", "return.closed:20", "dial.connected:120"])
def test_a_death_on_the_way_there_or_back(daemon, redis, point):
    one = daemon(asking.shared("cache", redis(persistent=False).address, "own_linger = 0; "), **crash(point))
    one.wait_connected("cache")
    visit(one, lambda: deaths(one, point.partition(":")[0]) >= 5)


def test_deaths_of_the_worker_while_clients_go_back_and_forth(daemon, redis, figure):
    one = service(daemon, redis, "own_linger = 0; ", persistent=False)[0]
    with storm.Deaths(one, 0.06) as killer:
        counted = visit(one, lambda: killer.count >= KILLS)
    figure(f"{killer.count} deaths, {counted} counted")


def test_what_a_client_said_of_itself_is_said_on_its_own_connection_too(cache):
    with Resp(cache.socket("cache")) as client:
        assert client.ask("CLIENT", "SETNAME", "first") == "OK"
        assert client.ask("CLIENT", "SETINFO", "LIB-NAME", "mine") in ("OK", UNKNOWN_SETINFO)
        assert client.ask("CLIENT", "SETNAME", "worker-7") == "OK"
        assert client.ask("SELECT", 3) == "OK"
        assert client.ask("CLIENT", "GETNAME") == b"worker-7"


def test_each_client_is_told_its_own_name(cache):
    with Resp(cache.socket("cache")) as client, Resp(cache.socket("cache")) as other:
        client.send(command("SET", "a", 1) + command("CLIENT", "SETNAME", "worker-7") + command("CLIENT", "GETNAME"))
        assert [client.reply() for _ in range(3)] == ["OK", "OK", b"worker-7"]
        assert other.ask("CLIENT", "GETNAME") is None
        assert other.ask("HELLO", 2, "SETNAME", "worker-8")[5] == 2
        assert other.ask("CLIENT", "GETNAME") == b"worker-8"
        assert client.ask("CLIENT", "GETNAME") == b"worker-7"
        assert isinstance(client.ask("CLIENT", "GETNAME", "x"), ReplyError)
        assert client.ask("CLIENT", "SETNAME", "") == "OK"
        assert client.ask("CLIENT", "GETNAME") is None
        cache.kill_worker()
        assert other.ask("CLIENT", "GETNAME") == b"worker-8"


def test_hello_is_answered_by_the_server_itself(cache):
    with Resp(cache.socket("cache")) as client, Resp(cache.socket("cache")) as other:
        number = int(other.ask("CLIENT", "LIST").split()[0].partition(b"=")[2])
        client.send(command("HELLO", 2, "SETNAME", "me") + command("SET", "a", 1))
        said = client.reply()
        assert dict(zip(said[::2], said[1::2]))[b"id"] == number and client.reply() == "OK"
        assert client.ask("SELECT", 3) == "OK"
        assert client.ask("CLIENT", "GETNAME") == b"me"


def test_the_number_of_a_client_is_its_own(cache):
    """So that others can unblock it, and nobody ends the connection of all."""
    with Resp(cache.socket("cache")) as client, Resp(cache.socket("cache")) as other:
        number = client.ask("CLIENT", "ID")
        client.send(command("BLPOP", "queue", 0))
        until(lambda: b" flags=b " in other.ask("CLIENT", "LIST", "ID", number), "who waits")
        assert other.ask("CLIENT", "UNBLOCK", number, "ERROR") == 1
        assert client.reply().startswith("UNBLOCKED ")
        assert other.ask("CLIENT", "KILL", "ID", number) == 1
        assert client.at_end()
        assert other.ask("PING") == "PONG"
    assert cache.status("cache")["disconnects"] == 0


def test_who_speaks_the_other_protocol_has_its_own_connection(cache):
    with Resp(cache.socket("cache")) as client, Resp(cache.socket("cache")) as other:
        assert client.ask("HELLO", 3)[b"proto"] == 3
        assert other.ask("HELLO", 2)[5] == 2
        assert client.ask("HSET", "key", "field", "value") == 1
        assert client.ask("HGETALL", "key") == {b"field": b"value"}
        assert other.ask("HGETALL", "key") == [b"field", b"value"]


def test_over_resp3_who_has_not_said_hello_3_gets_no_reply_in_it(daemon, redis):
    one = service(daemon, redis, 'hello = ({ send = "HELLO 3\\r\\n"; expect = "%"; }); ')[0]
    with Resp(one.socket("cache")) as old, Resp(one.socket("cache")) as new:
        assert new.ask("HELLO", 3)[b"proto"] == 3
        assert old.ask("HSET", "key", "field", "value") == 1
        assert new.ask("HGETALL", "key") == {b"field": b"value"}
        assert old.ask("HGETALL", "key") == [b"field", b"value"]
        one.wait_status("cache", own=1)
        assert old.ask("HELLO", 3)[b"proto"] == 3
        one.wait_status("cache", own=0)
        for client in old, new:  # on a connection of its own, too
            assert client.ask("HGETALL", "key") == {b"field": b"value"}
            assert client.ask("SELECT", 1) == "OK"
            assert client.ask("HGETALL", "key") == {}
            assert client.ask("SELECT", 0) == "OK"
        one.wait_status("cache", own=0)
        assert old.ask("HELLO", 2)[5] == 2
        assert old.ask("HGETALL", "key") == [b"field", b"value"]


STATES = {
    "a transaction": [("MULTI",), ("INCR", "a"), ("EXEC",)],
    "a transaction that is given up": [("MULTI",), ("INCR", "a"), ("DISCARD",)],
    "a watched key": [("WATCH", "a"), ("UNWATCH",)],
    "another database": [("SELECT", 5), ("SELECT", 0)],
    "a wait": [("RPUSH", "q", "x"), ("BLPOP", "q", 0)],
    "a subscription": [("SUBSCRIBE", "a"), ("PSUBSCRIBE", "b*"), ("UNSUBSCRIBE", "a"), ("PUNSUBSCRIBE", "b*")],
}


@pytest.mark.parametrize("state", STATES)
def test_who_needs_it_no_more_goes_back(cache, state):
    """With its last command; nothing of its own connection is left."""
    with Resp(cache.socket("cache")) as client, Resp(cache.socket("cache")) as other:
        for words in STATES[state][:-1]:
            assert not isinstance(client.ask(*words), ReplyError)
        if state != "a wait":
            assert connections(other) == 2
            assert cache.status("cache")["own"] == 1
            assert sorted(one["state"] for one in cache.command("clients cache")["clients"]) == ["attached", "own"]
        assert not isinstance(client.ask(*STATES[state][-1]), ReplyError)
        until(lambda: connections(other) == 1, "one connection at Redis")
        assert client.ask("ECHO", "back") == b"back"
        assert connections(client) == 1


def test_a_state_that_lasts_is_kept(cache):
    with Resp(cache.socket("cache")) as client, Resp(cache.socket("cache")) as other:
        assert client.ask("CLIENT", "NO-EVICT", "ON") == "OK"
        assert client.ask("ECHO", "on") == b"on"
        cache.kill_worker()
        assert connections(other) == 2
        assert " flags=e " in client.ask("CLIENT", "LIST", "ID", client.ask("CLIENT", "ID")).decode()


def test_wait_is_for_what_the_client_has_written_while_it_shared(daemon, redis):
    one, server = service(daemon, redis)
    replica = redis()
    replica.cli("REPLICAOF", "127.0.0.1", server.port)
    until(lambda: "master_link_status:up" in replica.cli("INFO", "replication"), "a replica")
    with Resp(one.socket("cache")) as client:
        assert client.ask("SET", "a", 1) == "OK"
        assert client.ask("WAIT", 1, 10000) == 1
        until(lambda: one.status("cache")["own"] == 0, "one that shares again")
        replica.process.send_signal(signal.SIGSTOP)
        assert client.ask("SET", "a", 2) == "OK"
        assert client.ask("WAIT", 1, 100) == 0


GREETINGS = {
    "redis-py, protocol 3": [("HELLO", 3), ("CLIENT", "SETINFO", "LIB-NAME", "redis-py")],
    "go-redis": [("HELLO", 3, "SETNAME", "app"), ("CLIENT", "SETINFO", "LIB-VER", "9.5.1")],
    "jedis": [("HELLO", 2, "SETNAME", "app"), ("CLIENT", "SETINFO", "LIB-NAME", "jedis"), ("SELECT", 0)],
    "ioredis, database 2": [("INFO",), ("SELECT", 2), ("CLIENT", "SETNAME", "app")],
}


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one write"])
@pytest.mark.parametrize("name", GREETINGS)
def test_what_libraries_say_first_succeeds(cache, name, together):
    with Resp(cache.socket("cache")) as client:
        if together:
            client.send(b"".join(command(*words) for words in GREETINGS[name]))
        for words in GREETINGS[name]:
            reply = client.reply() if together else client.ask(*words)
            assert not isinstance(reply, ReplyError) or words[1] == "SETINFO"
        assert client.ask("SET", "key", name) == "OK"
        assert client.ask("GET", "key") == name.encode()


def waiting(one):
    return one.status("cache")["own_waiting"]


def test_who_needs_it_no_more_makes_way_for_who_waits(daemon, redis):
    """At once: both when it needs it no more before the other waits, and after."""
    one = service(daemon, redis, "max_own = 1; own_linger = 3600; ")[0]
    with Resp(one.socket("cache")) as client, Resp(one.socket("cache")) as other:
        assert client.ask("SELECT", 1) == "OK"
        assert client.ask("SELECT", 0) == "OK"
        assert one.status("cache")["own"] == 1
        assert other.ask("SELECT", 1) == "OK"
        client.send(command("SELECT", 1))
        until(lambda: waiting(one) == 1, "one that waits")
        assert other.ask("SELECT", 0) == "OK"
        assert client.reply() == "OK"
        assert one.status("cache")["own"] == 1
        assert other.ask("HELLO")[7] < client.ask("HELLO")[7]  # their connections' numbers


def test_who_leaves_while_it_waits_is_noticed(daemon, redis):
    one = service(daemon, redis, "max_own = 1; hold_timeout = 0; ")[0]
    with Resp(one.socket("cache")) as client:
        assert client.ask("MULTI") == "OK"
        for words in [("BLPOP", "q", 0), ("SELECT", 1)]:
            other = Resp(one.socket("cache"))
            other.send(command(*words) + command("GET", "a"))
            until(lambda: waiting(one) == 1, "one that waits")
            other.close()
            until(lambda: waiting(one) == 0, "none that waits")


def test_a_reload_to_another_database_moves_nobody_who_has_chosen_one(daemon, redis):
    """Neither who comes to it later, nor who rests there already."""
    one, server = service(daemon, redis, "own_linger = 1; ")
    with Resp(one.socket("cache")) as late, Resp(one.socket("cache")) as resting, Resp(one.socket("cache")) as other:
        assert late.ask("SELECT", 1) == "OK"
        assert resting.ask("SELECT", 1) == "OK"
        assert resting.ask("SELECT", 0) == "OK"
        assert other.ask("WATCH", "key") == "OK"
        one.configure(asking.shared("cache", server.address, 'own_linger = 0; hello = ({ send = "SELECT 2\\r\\n"; '
                                    'expect = "+OK"; }); '))
        one.command("reload")
        one.wait_connected("cache")
        assert late.ask("SELECT", 0) == "OK"
        assert other.ask("UNWATCH") == "OK"
        one.wait_status("cache", own=2)
        for client, database in (late, 0), (resting, 0), (other, 2):
            assert f" db={database} " in client.ask("CLIENT", "LIST", "ID", client.ask("CLIENT", "ID")).decode()
        assert late.ask("SELECT", 1) == "OK"
        one.kill_worker()
        assert late.ask("SELECT", 0) == "OK"
        assert " db=0 " in late.ask("CLIENT", "LIST", "ID", late.ask("CLIENT", "ID")).decode()
