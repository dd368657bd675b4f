"""Replies of Redis that are longer than max_message pass to their asker as they come: every byte is right, whoever
dies meanwhile, and nobody else is harmed."""
import hashlib
import os
import socket
import threading
import time

import pytest

import asking
import holdfast
import storm
from asking import LOST, Resp, command
from holdfast import until
from hostile import LIMIT, SMALL
from test_crash_points import crash, deaths, points

PROGRAM = os.path.join(holdfast.BUILD, "holdfastd")
KILLS = 500 if holdfast.LONG else 20
MEAN = 0.06  # seconds between two
MARK = "the next reply, behind the long one"
BEHIND = b"$%d\r\n%s\r\n" % (len(MARK), MARK.encode())

# No sixteen bytes of it are alike.
FILL_STRING = """
local parts = {}
for i = 1, tonumber(ARGV[1]) / 16 do parts[i] = string.format('%016d', i) end
redis.call('set', 'string', table.concat(parts))
"""
LONG = (4 if holdfast.SANITIZED else 20) << 20

# So many elements of each kind.
FILL = """
local count = tonumber(ARGV[1])
for i = 1, count do
    redis.call('rpush', 'list', i)
    redis.call('sadd', 'set', 'member' .. i)
    redis.call('hset', 'hash', 'field' .. i, string.rep('v', i % 50))
    redis.call('zadd', 'sorted', i / 4, 'member' .. i)
end
"""
NESTED = "local t = {} for i = 1, 20000 do t[i] = { i, { 'x', {}, { { i } } }, false } end return t"
TRUTHS = "redis.setresp(3) local t = {} for i = 1, 40000 do t[i] = i % 2 == 0 end return t"


def connect(place):
    """A socket to a port, or to a path."""
    if isinstance(place, int):
        return socket.create_connection(("127.0.0.1", place), holdfast.BOUND)
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(holdfast.BOUND)
    client.connect(place)
    return client


def fill_string(server):
    assert "ERR" not in server.cli("EVAL", FILL_STRING, "0", LONG)


def fill_zeros(server, length):
    assert server.cli("SETRANGE", "string", length - 1, "x") == str(length)


def string_hash():
    """Of the reply to GET string, and its length."""
    reply = b"$%d\r\n%s\r\n" % (LONG, b"".join(b"%016d" % number for number in range(1, LONG // 16 + 1)))
    return hashlib.sha1(reply).digest(), len(reply)


def take(client, length, pace=0):
    """The hash of the next bytes; taken at so many a second, or at once."""
    digest, begin, taken = hashlib.sha1(), time.monotonic(), 0
    pause = threading.Event()
    while taken < length:
        data = client.recv(min(1 << 16 if pace else 1 << 20, length - taken))
        if not data:
            raise EOFError(f"after {taken} bytes")
        digest.update(data)
        taken += len(data)
        if pace:
            pause.wait(max(0, begin + taken / pace - time.monotonic()))
    return digest.digest()


def answer(place, *words, hello=False):
    """All that the server says to this, up to the next reply."""
    with connect(place) as client:
        if hello:
            client.sendall(command("HELLO", 3) + command("ECHO", MARK))
            heard = b""
            while not heard.endswith(BEHIND):
                heard += client.recv(1 << 16)
        client.sendall(command(*words) + command("ECHO", MARK))
        parts, end = [], b""
        while not end.endswith(BEHIND):
            parts.append(client.recv(1 << 20))
            assert parts[-1], "the connection has ended"
            end = (end + parts[-1])[-len(BEHIND):]
    return b"".join(parts)[:-len(BEHIND)]


def assert_unharmed(one, losses=0):
    status = one.status("cache")
    assert (status["disconnects"], status["losses"], status["retries"]) == (0, losses, 0)


@pytest.fixture
def server(redis):
    return redis()


def cache(daemon, server, more="", **options):
    one = daemon(asking.shared("cache", server.address, more), **options)
    one.wait_connected("cache")
    return one


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_reply_of_any_kind_is_as_the_server_has_it(daemon, server, protocol):
    """In RESP3 over a connection that speaks it: maps, sets, nulls, doubles, booleans."""
    hello = r'hello = ({ send = "HELLO 3\r\n"; expect = "%"; }); ' if protocol == 3 else ""
    one = cache(daemon, server, SMALL + hello)
    assert "ERR" not in server.cli("EVAL", FILL, "0", 30000)
    first = set()
    for words in (("COMMAND",), ("COMMAND", "DOCS"), ("LRANGE", "list", 0, -1), ("SMEMBERS", "set"),
                  ("HGETALL", "hash"), ("ZRANGE", "sorted", 0, -1, "WITHSCORES"), ("EVAL", NESTED, 0),
                  ("EVAL", TRUTHS, 0), ("EVAL", "return redis.error_reply(string.rep('e', 100000))", 0),
                  ("EVAL", "return redis.status_reply(string.rep('s', 100000))", 0)):
        for _ in range(10):  # the server puts its tables in order meanwhile
            heard = answer(one.socket("cache"), *words, hello=protocol == 3)
            if heard == answer(server.port, *words, hello=protocol == 3):
                break
        else:
            raise AssertionError(words)
        assert len(heard) > LIMIT, words
        first.add(heard[:1])
    assert first == ({b"*", b"-", b"+"} if protocol == 2 else {b"*", b"-", b"+", b"%", b"~"})
    assert_unharmed(one)


def test_a_million_elements(daemon, server):
    one = cache(daemon, server)
    server.cli("EVAL", "for i = 1, 1000000 do redis.call('rpush', 'list', i) end", "0")
    heard = answer(one.socket("cache"), "LRANGE", "list", 0, -1)
    assert heard.startswith(b"*1000000\r\n$1\r\n1\r\n") and heard.endswith(b"$7\r\n1000000\r\n")
    assert heard == answer(server.port, "LRANGE", "list", 0, -1)
    assert_unharmed(one)


class Reads(storm.Again):
    """A client that reads the long string again and again, and knows what it is."""

    def __init__(self, place, mean=0.0):
        super().__init__(mean)
        self.client = connect(place)
        self.hash, self.length = string_hash()

    def once(self):
        self.client.sendall(command("GET", "string"))
        assert take(self.client, self.length) == self.hash

    def wait(self, count):
        until(lambda: self.count >= count or self.failure, f"{count} long replies", 60)

    def __exit__(self, *rest):
        try:
            super().__exit__(*rest)
        finally:
            self.client.close()


def beside(place, ask, count):
    """Ten clients count while another reads; the result."""
    counters = ask().start(place, "redis-incr", clients=10)
    counters.wait_running()
    with Reads(place) as reads:
        reads.wait(1)
        counters.mark()
        reads.wait(count)
        assert not counters.ended_within(0), counters.complaints()
        result = counters.finish().result()
    assert result["errors"] == 0 and result["right"] > 0
    return result


@pytest.mark.plain
def test_the_others_wait_as_long_as_its_transfer(daemon, server, ask, figure):
    fill_string(server)
    one = cache(daemon, server)
    count = 100 if holdfast.LONG else 10
    through = beside(one.socket("cache"), ask, count)
    with Resp(one.socket("cache")) as client:
        assert [int(client.ask("GET", f"ask:{number}")) for number in range(10)] == through["counts"]
    assert_unharmed(one)
    server.cli("DEL", *(f"ask:{number}" for number in range(10)))
    direct = beside(server.port, ask, count)
    figure(f"longest wait beside {count} replies of 20 MiB: {max(through['slowest_ms']):.0f} ms, of Redis itself "
           f"{max(direct['slowest_ms']):.0f} ms; answers {through['right']}, {direct['right']}")


def test_deaths_tear_nothing(daemon, server, ask, figure):
    fill_string(server)
    one = cache(daemon, server)
    counters = ask().start(one.socket("cache"), "redis-incr", clients=10)
    with Reads(one.socket("cache")) as reads:
        reads.wait(1)
        hit, _ = storm.strike(one, counters, KILLS, MEAN)
        assert not counters.ended_within(0), counters.complaints()
        reads.wait(reads.count + 1)
        result = counters.finish().result()
    figure(f"{hit} kills, {reads.count} replies of 20 MiB right, {result['right']} answers beside them")
    assert hit == KILLS and result["errors"] == 0
    with Resp(one.socket("cache")) as client:
        assert [int(client.ask("GET", f"ask:{number}")) for number in range(10)] == result["counts"]
    assert_unharmed(one)


OTHERS = ("redo.committed", "journal.received", "journal.sent", "ring.copied", "recover.redone")


@pytest.mark.parametrize("point", [point for point in points() if point.startswith("stream.") or point in OTHERS])
def test_a_death_at_any_place_tears_nothing(daemon, server, point):
    fill_string(server)
    wanted = 50 if holdfast.LONG else 8
    led_to_by = ",redo.committed:150" if point == "recover.redone" else ""
    count = 2 if point == "recover.redone" else 97
    one = cache(daemon, server, **crash(f"{point}:{count}{led_to_by}"))
    with Reads(one.socket("cache")) as reads, Resp(one.socket("cache")) as other:
        numbers = iter(range(1, 1 << 30))

        def struck():
            assert other.ask("INCR", "count") == next(numbers)
            return deaths(one, point) >= wanted or reads.failure
        until(struck, f"{wanted} deaths", 60)
        reads.wait(reads.count + 1)
    assert_unharmed(one)


@pytest.mark.plain
def test_reloads_and_upgrades_do_not_interrupt_it(daemon, server):
    fill_string(server)
    one = daemon(asking.shared("cache", server.address), start=False)
    one.install(PROGRAM)
    one.start()
    one.wait_connected("cache")
    with Reads(one.socket("cache")) as reads:
        reads.wait(1)
        for size in (100000, 2000000, 65536):
            one.configure(asking.shared("cache", server.address, f"max_message = {size}; "))
            one.command("reload")
            reads.wait(reads.count + 1)
            one.install(PROGRAM)
            done = one.ctl("upgrade")
            assert done.returncode == 0, done.stderr
            reads.wait(reads.count + 1)
        if holdfast.NEXT_BUILD:
            one.install(os.path.join(holdfast.NEXT_BUILD, "holdfastd"))
            assert one.ctl("upgrade").returncode == 0
            reads.wait(reads.count + 1)
    assert one.status()["upgrades"] == 3 + bool(holdfast.NEXT_BUILD)
    assert_unharmed(one)


def test_who_is_killed_in_its_midst_harms_nobody(daemon, server):
    fill_string(server)
    one = cache(daemon, server)
    with Resp(one.socket("cache")) as other:
        for number in range(1, 11):
            client = connect(one.socket("cache"))
            client.sendall(command("GET", "string"))
            take(client, 100000)
            other.send(command("INCR", "count"))
            client.close()
            assert other.reply() == number
        assert other.ask("ECHO", "right") == b"right"
    assert_unharmed(one)


@pytest.mark.plain
def test_who_takes_it_slowly_gets_all_of_it(daemon, server, figure):
    """And the others wait for it; pure Python parses so many bytes a second."""
    fill_string(server)
    one = cache(daemon, server)
    digest, length = string_hash()
    with connect(one.socket("cache")) as client, Resp(one.socket("cache")) as other:
        client.sendall(command("GET", "string"))
        begin = time.monotonic()
        heard = bytearray()

        def wait_for_count():
            heard.append(other.ask("INCR", "count"))
            heard.append(int((time.monotonic() - begin) * 10))
        waits = threading.Thread(target=wait_for_count)
        assert client.recv(1, socket.MSG_PEEK) == b"$"
        waits.start()
        assert take(client, length, pace=5000000) == digest
        waits.join()
        assert heard[0] == 1
    figure(f"4.2 s for 20 MiB at 5 MB/s, another's answer came after {heard[1] / 10} s")
    assert_unharmed(one)


def worker_memory(one):
    with open(f"/proc/{one.worker()}/status") as status:
        return sum(int(line.split()[1]) for line in status if line.startswith("RssShmem")) / 1024


@pytest.mark.plain
def test_what_waits_for_its_asker_is_bounded(daemon, server, figure):
    """Who takes nothing more is closed, and the rest is nobody's."""
    fill_zeros(server, 256 << 20)
    one = cache(daemon, server)
    before = worker_memory(one)
    with connect(one.socket("cache")) as client, Resp(one.socket("cache")) as other:
        client.sendall(command("GET", "string"))
        take(client, 30 << 20)
        until(lambda: worker_memory(one) > before + 2, "some waits for it")
        assert other.ask("INCR", "count") == 1
        grown = worker_memory(one) - before
        figure(f"{grown:.0f} MiB more memory, of 256 that came")
        assert grown < 64
        one.wait_log("code=B")
    assert_unharmed(one)


@pytest.mark.parametrize("on_loss", ["fail", "retry"])
def test_the_death_of_the_server_ends_its_asker_alone(daemon, redis, on_loss):
    server = redis()
    fill_zeros(server, 64 << 20)
    one = cache(daemon, server, f'on_loss = "{on_loss}"; ')
    with connect(one.socket("cache")) as client, Resp(one.socket("cache")) as other:
        client.sendall(command("GET", "string"))
        take(client, 1 << 20)
        other.send(command("INCR", "count"))
        one.wait_status("cache", in_flight=2)
        server.kill()
        with pytest.raises(EOFError):
            take(client, 64 << 20)
        if on_loss == "fail":
            assert other.reply() == LOST[1:]
            server.start()
        else:
            server.start()
            assert other.reply() == 1
        one.wait_connected("cache")
        assert other.ask("INCR", "count") == (1 if on_loss == "fail" else 2)
        assert "cmdstat_get" not in server.cli("INFO", "commandstats")
    status = one.status("cache")
    assert status["losses"] == (2 if on_loss == "fail" else 1)
    # Sent again more than once, where a connection of the dying server's backlog is lost, too.
    assert status["retries"] == 0 if on_loss == "fail" else status["retries"] >= 1
    one.wait_log("code=XQ")
    assert "bytes of a reply when the connection was lost: closed" in one.log()


def take_question(connection, question):
    heard = b""
    while len(heard) < len(question):
        heard += connection.recv(len(question) - len(heard))
    assert heard == question


GET, INCR = command("GET", "string"), command("INCR", "count")

# Of these a part is with the asker when it turns out that no end comes, or that it is nonsense.
ENDLESS = {
    "a line without end": b"+" + b"x" * (4 * LIMIT),
    "arrays in arrays without end": b"*1\r\n" * LIMIT,
    "a string that never ends": b"$999999999999\r\n" + b"x" * (4 * LIMIT),
    "a string that is longer than it says": b"$%d\r\n" % (2 * LIMIT) + b"x" * (4 * LIMIT),
    "nonsense within an array": b"*2\r\n$%d\r\n" % (2 * LIMIT) + b"x" * (2 * LIMIT) + b"\r\n?\r\n",
    "a push within an array": b"*2\r\n$%d\r\n" % (2 * LIMIT) + b"x" * (2 * LIMIT) + b"\r\n>1\r\n",
}


@pytest.mark.parametrize("on_loss", ["fail", "retry"])
@pytest.mark.parametrize("kind", ENDLESS)
def test_a_long_reply_that_is_none_ends_its_asker_alone(daemon, upstream, kind, on_loss):
    count = iter(range(1 << 30))

    def serve(connection):
        if next(count) == 0:
            take_question(connection, GET + INCR)
            connection.sendall(ENDLESS[kind])
            while connection.recv(1000):
                pass
            return
        while True:
            take_question(connection, INCR)
            connection.sendall(b":1\r\n")
    one = daemon(asking.shared("cache", upstream(serve).address, SMALL + "reply_timeout = 0.5; "
                               f'on_loss = "{on_loss}"; '))
    with connect(one.socket("cache")) as client, Resp(one.socket("cache")) as other:
        client.sendall(GET)
        one.wait_status("cache", queued=0, in_flight=1)
        other.send(INCR)
        heard = b""
        while data := client.recv(1 << 16):
            heard += data
        assert heard and ENDLESS[kind].startswith(heard)
        assert other.reply() == (LOST[1:] if on_loss == "fail" else 1)
        assert other.ask("INCR", "count") == 1
    one.wait_log("code=X")
    assert one.status("cache")["losses"] == (2 if on_loss == "fail" else 1)


HEAD = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$%d\r\n"


@pytest.mark.parametrize("length, sent", [(512 << 20, 0), (512 << 20, 8 << 20), (2 << 20, 2 << 20), (2 << 20, 10)])
def test_who_asks_too_much_reads_why(daemon, server, length, sent):
    """It reads after it has sent all, and no reset takes the error from it."""
    one = cache(daemon, server)
    for _ in range(10):
        with connect(one.socket("cache")) as client:
            client.sendall(HEAD % length + b"x" * sent + b"\r\n" * (sent == length))
            assert client.makefile("rb").read() == (
                b"-ERR Protocol error: holdfast: the request is longer than max_message\r\n")
    assert server.cli("EXISTS", "key") == "0"
    assert_unharmed(one)
