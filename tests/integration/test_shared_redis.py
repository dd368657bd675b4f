"""Many clients of Redis over one connection: real programs, what libraries say first, answers that are one's own."""
import pytest
import redis as redis_py
from redis.backoff import NoBackoff
from redis.retry import Retry

import asking
import holdfast
from asking import ReplyError, Resp

MANY = 1000 if holdfast.SANITIZED else 200000 if holdfast.LONG else 5000
CHECKED = 20000 if holdfast.SANITIZED else 1000000 if holdfast.LONG else 50000


@pytest.fixture
def cache(daemon, redis):
    one = daemon(asking.shared("cache", redis().address))
    one.wait_connected("cache")
    return one


@pytest.fixture
def refusing(daemon, redis):
    one = daemon(asking.shared("cache", redis().address, 'on_state = "refuse"; '))
    one.wait_connected("cache")
    return one


def program(one, **more):
    """As programs have it, but for the seconds that newer libraries let pass before they try again."""
    return redis_py.Redis(unix_socket_path=one.socket("cache"), retry=Retry(NoBackoff(), 1), **more)


def cli(one, *words):
    done = holdfast.run("redis-cli", "-s", one.socket("cache"), *words, bound=holdfast.BOUND)
    return done.stdout.strip()


@pytest.mark.parametrize("depth", [1, 16])
@pytest.mark.parametrize("clients", [1, 50, 500])
def test_redis_benchmark(cache, clients, depth):
    done = holdfast.run("redis-benchmark", "-s", cache.socket("cache"), "-n", MANY, "-c", clients, "-P", depth, "-q",
                        "-t", "get,set,lpush,mset", bound=240)
    text = done.stdout + done.stderr
    assert done.returncode == 0 and "rror" not in text, text
    assert text.count("requests per second") == 4, text


def test_redis_cli(cache):
    assert cli(cache, "PING") == "PONG"
    assert cli(cache, "SET", "key", "two words") == "OK"
    assert cli(cache, "GET", "key") == "two words"
    assert cli(cache, "CLIENT", "SETNAME", "me") == "OK"
    assert cli(cache, "SELECT", "0") == "OK"
    assert cli(cache, "QUIT") == "OK"
    assert cli(cache, "SELECT", "1") == "OK"
    assert cli(cache, "MULTI") == "OK"
    assert cli(cache, "BLPOP", "none", "0.01") == ""


def test_redis_cli_is_refused_a_state(refusing):
    for words in (["SELECT", "1"], ["MULTI"], ["BLPOP", "key", "1"]):
        assert cli(refusing, *words).startswith("ERR ")


def test_redis_cli_reads_commands(cache):
    """It asks for COMMAND DOCS first, as at a terminal."""
    done = holdfast.run("redis-cli", "-s", cache.socket("cache"), stdin=None, input="SET a 1\nINCR a\nDEL a\n")
    assert done.stdout.split() == ["OK", "2", "1"]


REFUSED = ["SELECT 1", "AUTH secret", "HELLO 2 AUTH me secret", "RESET", "UNWATCH", "READONLY", "ASKING", "MULTI",
           "EXEC", "DISCARD", "WATCH key", "SUBSCRIBE news",
           "PSUBSCRIBE news*", "SSUBSCRIBE news", "MONITOR", "BLPOP key 0", "BRPOP key 0", "BRPOPLPUSH a b 0",
           "BLMOVE a b LEFT LEFT 0", "BLMPOP 0 1 key LEFT", "BZPOPMIN key 0", "BZPOPMAX key 0", "BZMPOP 0 1 key MIN",
           "XREAD BLOCK 0 STREAMS s $", "XREADGROUP GROUP g c BLOCK 0 STREAMS s >", "WAIT 1 0", "CLIENT REPLY OFF",
           "CLIENT TRACKING ON", "CLIENT KILL TYPE normal", "CLIENT PAUSE 100", "SHUTDOWN NOSAVE", "DEBUG SLEEP 0",
           "REPLICAOF 127.0.0.1 1", "SLAVEOF NO ONE", "SYNC", "PSYNC ? -1"]


@pytest.mark.parametrize("text", REFUSED)
def test_who_asks_for_what_others_would_notice_is_told_so_and_closed(refusing, text):
    forms = [asking.command(*text.split()), asking.command(*text.lower().split()), f"{text}\r\n".encode()]
    with Resp(refusing.socket("cache")) as other:
        for form in forms:
            with Resp(refusing.socket("cache")) as client:
                client.send(form + asking.command("SET", "key", "behind"))
                reply = client.reply()
                assert isinstance(reply, ReplyError) and "this service is shared: use " in reply
                assert client.at_end()
        assert other.ask("GET", "key") is None
        stats = {line.split(":")[0] for line in other.ask("INFO", "COMMANDSTATS").decode().split()}
    name = text.split()[0].lower()
    seen = f"cmdstat_client|{text.split()[1].lower()}" if name == "client" else f"cmdstat_{name}"
    assert "cmdstat_get" in stats and seen not in stats


TRANSACTION = b"".join(asking.command(*words) for words in [["MULTI"], ["DECR", "stock"], ["RPUSH", "sold", "1"],
                                                            ["EXEC"]])


@pytest.mark.parametrize("split", [None, 20, 40, 1])
def test_a_refused_transaction_changes_nothing(refusing, split):
    """In one write, or in two anywhere; what came before it is done, and answered first."""
    before = asking.command("SET", "stock", 10) + asking.command("INCR", "visits")
    with Resp(refusing.socket("cache")) as client:
        data = before + TRANSACTION
        parts = [data] if split is None else [data[:len(before) + split], data[len(before) + split:]]
        client.send(parts[0])
        assert [client.reply(), client.reply()] == ["OK", 1]
        for part in parts[1:]:
            try:
                client.send(part)
            except BrokenPipeError:
                pass  # the refusal has come already
        assert client.reply() == ("ERR MULTI needs a connection of its own; this service is shared: "
                                  'use a service with mode = "session"')
        assert client.at_end()
    with Resp(refusing.socket("cache")) as other:
        assert other.ask("MGET", "stock", "visits") == [b"10", b"1"]
        assert other.ask("EXISTS", "sold") == 0
    assert "needs a connection of its own" in refusing.log()


def test_a_pipeline_of_redis_py_is_a_transaction_and_changes_nothing(refusing):
    """As it is by default; and a program tries again."""
    client = program(refusing)
    client.set("stock", 10)
    for _ in range(2):
        with pytest.raises(redis_py.RedisError):
            client.pipeline().decr("stock").rpush("sold", 1).execute()
        assert client.get("stock") == b"10" and client.exists("sold") == 0
    assert client.pipeline(transaction=False).decr("stock").rpush("sold", 1).execute() == [9, 1]
    client.close()
    client.connection_pool.disconnect()


def test_who_selects_another_database_writes_nothing_anywhere(refusing, redis):
    address = refusing.status("cache")["address"]
    done = holdfast.run("redis-cli", "-s", refusing.socket("cache"), "-n", "1", stdin=None,
                        input="SET key other\n" * 3)
    assert "needs a connection of its own" in done.stdout + done.stderr
    client = program(refusing, db=1)
    with pytest.raises(redis_py.RedisError):
        client.set("key", "other")
    client.close()
    server = redis_py.Redis(port=int(address.rpartition(":")[2]))
    assert server.info("keyspace") == {}
    server.close()


def test_redis_cli_reads_the_error_to_a_request_too_long(cache):
    """It reads nothing before it has sent all of it; by default a message has 1 MiB."""
    done = holdfast.run("redis-cli", "-s", cache.socket("cache"), "-x", "SET", "key", stdin=None,
                        input="x" * (2 << 20))
    assert done.stdout.strip() == "ERR Protocol error: holdfast: the request is longer than max_message", done


def test_who_asks_for_too_much_reads_the_error_whatever_it_sends_on(refusing):
    """Its write does not fail: the end is that of the reply, not a broken pipe."""
    with refusing.client("cache") as client:
        client.send(asking.command("PING") + b"MULTI\r\n" + asking.command("SET", "key", "x" * 1000000) * 8)
        text = client.read_all()
        assert text.startswith(b"+PONG\r\n-ERR MULTI needs a connection of its own") and text.endswith(b"\r\n")


@pytest.fixture
def three(daemon, redis):
    one = daemon(asking.shared("cache", redis().address,
                               'on_state = "refuse"; hello = ({ send = "HELLO 3\\r\\n"; expect = "%"; }); '))
    one.wait_connected("cache")
    return one


def test_over_resp3_who_has_not_said_hello_3_gets_no_reply_in_it(three):
    with Resp(three.socket("cache")) as old:
        assert old.ask("HELLO", 2).startswith("NOPROTO")
        old.send(asking.command("SET", "key", 1))
        assert old.reply().startswith("ERR this service is shared and speaks RESP3: say HELLO 3 first")
        assert old.at_end()
    done = holdfast.run("redis-cli", "-s", three.socket("cache"), "-3", "HSET", "key", "field", "value")
    assert done.stdout == "1\n"
    done = holdfast.run("redis-cli", "-s", three.socket("cache"), "-3", "--no-raw", "HGETALL", "key")
    assert done.stdout == '1# "field" => "value"\n'
    done = holdfast.run("redis-cli", "-s", three.socket("cache"), "HGETALL", "key")
    assert "say HELLO 3 first" in done.stdout


def test_what_a_client_speaks_outlives_the_worker_and_a_reload_does_not_change_it(three):
    address = three.status("cache")["address"]
    with three.client("cache") as client:
        client.send(asking.command("HELLO", 3))
        while client.file.readline() != b"*0\r\n":
            pass
        assert client.ask("GET none") == b"_\r\n"
        three.kill_worker()
        assert client.ask("GET none") == b"_\r\n"
        three.configure(asking.shared("cache", address, 'on_state = "refuse"; '))
        assert three.ctl("reload").returncode == 0
        client.send(b"GET none\r\n")
        assert client.read_all() == b"-ERR this service is shared and speaks RESP2 now: connect again\r\n"


def test_quit_closes_the_client_alone(cache):
    with Resp(cache.socket("cache")) as stays, Resp(cache.socket("cache")) as leaves:
        assert leaves.ask("QUIT") == "OK"
        assert leaves.at_end()
        assert stays.ask("PING") == "PONG"
    assert cache.status("cache")["disconnects"] == 0


# What client libraries say on connecting; an error to a name in brackets is expected, and they go on.
LIBRARIES = {
    "redis-py": ["CLIENT SETNAME app", "CLIENT SETINFO LIB-NAME redis-py", "CLIENT SETINFO LIB-VER 5.0.1"],
    "redis-py, protocol 3": ["(HELLO 3)"],
    "go-redis": ["(HELLO 3)", "CLIENT SETNAME app", "CLIENT SETINFO LIB-NAME go-redis(,go1.22)",
                 "CLIENT SETINFO LIB-VER 9.5.1"],
    "jedis": ["HELLO 2", "CLIENT SETNAME app", "CLIENT SETINFO LIB-NAME jedis", "CLIENT SETINFO LIB-VER 5.1.0",
              "SELECT 0"],
    "lettuce": ["(HELLO 3)", "PING", "CLIENT SETNAME app", "CLIENT SETINFO lib-name Lettuce",
                "CLIENT SETINFO lib-ver 6.3"],
    "ioredis": ["INFO", "CLIENT SETINFO LIB-NAME ioredis", "SELECT 0"],
    "redis-cli": ["COMMAND DOCS", "COMMAND"],
    "redisson": ["PING", "CLIENT SETNAME app", "CLIENT ID"],
}


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one write"])
@pytest.mark.parametrize("name", LIBRARIES)
def test_client_libraries_connect(refusing, name, together):
    """Some send all of it at once, and read then."""
    greetings = LIBRARIES[name]
    with Resp(refusing.socket("cache")) as client:
        if together:
            client.send(b"".join(asking.command(*text.strip("()").split()) for text in greetings))
        for text in greetings:
            reply = client.reply() if together else client.ask(*text.strip("()").split())
            assert isinstance(reply, ReplyError) == text.startswith("("), f"{text}: {reply}"
            if text == "(HELLO 3)":  # which lettuce takes for "speak protocol 2 then"
                assert reply.startswith("NOPROTO") or "unknown command" in reply
        assert client.ask("SET", "key", name) == "OK"
        assert client.ask("GET", "key") == name.encode()


def test_every_answer_is_the_askers_own(cache, ask, figure):
    one = ask().start(cache.socket("cache"), "redis-own", clients=50, depth=4, ops=CHECKED, value_bytes=2000)
    result = one.result(240)
    figure(f"{result['right']} right answers in {result['seconds']} s, p50 {result['p50_ms']} ms, "
           f"p99 {result['p99_ms']} ms, worst {result['max_ms']} ms")
    assert result["right"] == CHECKED


def test_clients_come_and_go_in_the_midst(cache, ask):
    """Requests end anywhere in a write; some clients leave with requests in flight."""
    one = ask().start(cache.socket("cache"), "redis-own", clients=50, depth=8, ops=CHECKED // 2, visit=50, leavers=10,
                      split=True)
    result = one.result(240)
    assert result["visits"] > 100
    cache.wait_status("cache", clients=0, in_flight=0)
    assert cache.status("cache")["disconnects"] == 0


def test_half_close_still_brings_every_answer(cache, ask):
    one = ask().start(cache.socket("cache"), "redis-own", clients=20, depth=64, ops=20 * 64 * 4, half_close=True)
    assert one.result()["right"] == 20 * 64 * 4


def test_the_server_sees_one_connection(cache):
    clients = [Resp(cache.socket("cache")) for _ in range(20)]
    numbers = {client.ask("HELLO")[7] for client in clients}
    listed = clients[0].ask("CLIENT", "LIST").decode().splitlines()
    for client in clients:
        client.close()
    assert len(numbers) == 1 and len(listed) == 1


def test_big_values(cache):
    value = bytes(range(256)) * 3000
    with Resp(cache.socket("cache")) as client:
        assert client.ask("SET", "big", value) == "OK"
        client.send(asking.command("GET", "big") * 20)
        assert all(client.reply() == value for _ in range(20))
