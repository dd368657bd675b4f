"""Many clients of memcached over one connection: real programs, and answers as memcached itself gives them."""
import os
import random
import re
import signal
import socket
import threading

import pylibmc
import pymemcache
import pytest

import asking
import holdfast
from holdfast import BOUND, Client
from test_crash_points import crash, deaths

LOST = b"SERVER_ERROR holdfast: connection to the service was lost\r\n"
ROUNDS = 3000 if holdfast.LONG else 300
KILLS = 200 if holdfast.LONG else 20
OPERATIONS = 200 if holdfast.SANITIZED else 2000


def stop(server):
    """All of its threads; they go on for a moment."""
    server.process.send_signal(signal.SIGSTOP)
    holdfast.until(lambda: set(states(server.process.pid)) == {"T"}, "it is stopped")


def states(pid):
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/stat") as file:
            yield file.read().rsplit(")", 1)[1].split()[0]


@pytest.fixture
def server(memcached):
    return memcached()


@pytest.fixture
def cache(daemon, server):
    one = daemon(asking.shared("cache", server.address, "max_message = 4194304; ", framing="memcache"))
    one.wait_connected("cache")
    return one


def connect(one):
    return Client(one.socket("cache"))


def until_mark(file):
    """All that comes before the answer to a last "mn"."""
    lines = []
    while not lines or lines[-1] != b"MN\r\n":
        lines.append(file.readline())
        assert lines[-1], b"".join(lines)
    return b"".join(lines[:-1])


def said(client, *requests):
    """What comes for these, of whom the last but one asks for no MN."""
    client.send(b"".join(requests) + b"mn\r\n")
    return until_mark(client.file)


class Direct(Client):
    """A client of memcached itself."""

    def __init__(self, server):
        self.socket = server.connect()
        self.file = self.socket.makefile("rb")


@pytest.fixture
def mirror(memcached):
    """Another memcached, which is asked the same directly."""
    with Direct(memcached()) as one:
        yield one


def without_words(answer):
    """Why something is an error is said in words of its own."""
    return re.sub(rb"(CLIENT_ERROR)[^\r]*", rb"\1", answer)


K251 = b"k" * 251
ONES = [
    b"get a b\r\n", b"gets a\n", b"gat 0 a b\r\n", b"gats 0 a\r\n", b"gat x a\r\n", b"gat 0\r\n", b"get\r\n",
    b"  get a\r\n", b"get " + K251 + b"\r\n", b"get " + b" ".join([b"a"] * 2000) + b"\r\n",
    b"gets" + b" nothing" * 1000 + b"\r\n", b"set a 1 0 2\r\nhi\r\n", b"set a 1 0 2 noreply\r\nno\r\n",
    b"add a 0 0 1\r\nx\r\n", b"add b 0 0 1\r\nx\r\n", b"replace a 5 0 4\r\n\r\n\r\n\r\n",
    b"append a 0 0 3\r\nEND\r\n", b"prepend a 0 0 3\r\nEND\r\n", b"set a 0 0 0\r\n\r\n",
    b"append none 0 0 1 noreply\r\nx\r\n", b"cas a 0 0 1 1\r\nx\r\n", b"cas none 0 0 1 1\r\nx\r\n",
    b"cas a 0 0 1 1 noreply\r\nx\r\n", b"set n 0 0 1\r\n1\r\n", b"incr n 5\r\n", b"decr n 2\r\n",
    b"incr n 1 noreply\r\n", b"incr none 1\r\n", b"incr n x\r\n", b"incr n x noreply\r\n", b"incr a 1\r\n",
    b"incr n\r\n", b"incr n noreply\r\n", b"incr n 1 2 noreply\r\n", b"incr n 1 2\r\n", b"touch n 0\r\n",
    b"touch none 0\r\n", b"touch n 0 noreply\r\n", b"touch n noreply\r\n", b"touch n\r\n", b"delete b\r\n",
    b"delete b\r\n", b"delete b noreply\r\n", b"delete b 0\r\n", b"delete b x\r\n", b"delete b x noreply\r\n",
    b"delete b x y noreply\r\n", b"delete\r\n", b"delete noreply\r\n", b"delete " + K251 + b"\r\n",
    b"verbosity 0\r\n", b"verbosity noreply\r\n", b"verbosity 0 noreply\r\n", b"verbosity\r\n", b"version\r\n",
    b"version noreply\r\n", b"flush_all 100000\r\n", b"flush_all x\r\n", b"flush_all x noreply\r\n",
    b"stats reset\r\n", b"stats detail dump\r\n", b"stats nothing\r\n", b"\r\n", b"\n", b" \r\n",
    b"ms a 2\r\nhi\r\n", b"ms a 2 q\r\nhi\r\n", b"ms a 2 q ME\r\nhi\r\n", b"ms none 2 q MR\r\nhi\r\n",
    b"ms none 2 q C1\r\nhi\r\n", b"ms a 2 q x\r\nhi\r\n", b"ms a 2 q q\r\nhi\r\n", b"ms a 2 qfoo\r\nhi\r\n",
    b"ms a 2 b q\r\nhi\r\n", b"ms a 2 T0 F3 k O7\r\nhi\r\n", b"mg a q\r\n", b"mg a v q\r\n",
    b"mg a s v f k O123 q\r\n", b"mg none v q\r\n", b"mg none v\r\n", b"mg none v q k O1\r\n",
    b"mg none k O1\r\n", b"mg none q q\r\n", b"mg none N10 q\r\n", b"mg other N10 v q\r\n", b"mg\r\n",
    b"mg " + K251 + b" q\r\n", b"mg q q\r\n", b"md q\r\n", b"md a q\r\n", b"md a q\r\n", b"md a\r\n",
    b"ms a 2 q\r\nhi\r\n", b"md a q C1\r\n", b"md a q I T10\r\n", b"ma c q\r\n", b"ma c N0\r\n", b"ma c q v\r\n",
    b"ma c v\r\n", b"ma c q C1\r\n", b"ma a q\r\n", b"mn q\r\n", b"me none q\r\n", b"ma c q q\r\n",
    b"ma c 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l q\r\n", b"set a 0 0 2000000\r\n" + b"x" * 2000000 + b"\r\n",
    b"set a 0 0 2000000 noreply\r\n" + b"x" * 2000000 + b"\r\n", b"ms a 2000000 q\r\n" + b"x" * 2000000 + b"\r\n",
    b"set big 0 0 1000000\r\n" + b"\r\nEND\r\n" * 142857 + b"x\r\n", b"get big\r\n", b"mg big v q\r\n",
]


def test_each_request_is_answered_as_by_memcached_itself(cache, mirror):
    with connect(cache) as client:
        for one in ONES:
            assert without_words(said(client, one)) == without_words(said(mirror, one)), one[:100]


def test_a_pipeline_of_all_is_answered_as_by_memcached_itself(cache, mirror):
    small = [one for one in ONES if len(one) < 100000]
    with connect(cache) as client:
        for _ in range(10):
            assert without_words(said(client, *small)) == without_words(said(mirror, *small))


def drawn(roll):
    """A request of any kind, which may say that it wants no reply.  Counters only grow: what memcached makes of a
    shorter number depends on which replies it has sent."""
    count = b"n%d" % roll.randrange(3)
    key = b"k%d" % roll.randrange(6)
    data = bytes(roll.choices(b"\r\nEND VALUE0123456789q", k=roll.choice([0, 1, 5, 300])))
    quiet = roll.choice([b"", b" noreply"])
    q = roll.choice([b"", b" q"])
    return roll.choice([
        lambda: b"get %s k1 k2\r\n" % key, lambda: b"gets %s\r\n" % key, lambda: b"gat 0 %s\r\n" % key,
        lambda: b"%s %s %d 0 %d%s\r\n%s\r\n" % (roll.choice([b"set", b"add", b"replace", b"append", b"prepend"]),
                                               key, roll.randrange(99), len(data), quiet, data),
        lambda: b"cas %s 0 0 %d %d%s\r\n%s\r\n" % (key, len(data), roll.randrange(1, 200), quiet, data),
        lambda: b"set %s 0 0 1%s\r\n7\r\n" % (count, quiet), lambda: b"incr %s 1%s\r\n" % (count, quiet),
        lambda: b"touch %s 0%s\r\n" % (key, quiet), lambda: b"get %s\r\n" % count,
        lambda: b"delete %s%s\r\n" % (key, quiet), lambda: b"version\r\n",
        lambda: b"mg %s%s v f\r\n" % (key, q), lambda: b"mg %s k O9 s%s\r\n" % (key, q), lambda: b"mn\r\n",
        lambda: b"ms %s %d%s %s\r\n%s\r\n" % (key, len(data), q, roll.choice([b"T0", b"ME", b"MA", b"MR", b"C3"]),
                                             data),
        lambda: b"md %s%s\r\n" % (key, q), lambda: b"ma %s D2%s\r\n" % (count, q),
        lambda: b"ma %s v%s\r\n" % (count, q)])()


@pytest.mark.parametrize("split", [False, True])
def test_drawn_pipelines_are_answered_as_by_memcached_itself(cache, mirror, split):
    roll = random.Random(8)
    with connect(cache) as client:
        for _ in range(ROUNDS // 10 if split else ROUNDS):
            requests = [drawn(roll) for _ in range(roll.choice([1, 3, 50, 400]))] + [b"version\r\n", b"mn\r\n"]
            data = b"".join(requests)
            mirror.send(data)
            while data:
                length = roll.choice([1, 2, 3, 30, 3000]) if split else len(data)
                client.send(data[:length])
                data = data[length:]
            for one in requests:  # each MN of theirs, too
                if one == b"mn\r\n":
                    assert until_mark(client.file) == until_mark(mirror.file)


def test_pymemcache(cache, server):
    with Direct(server) as direct:
        clients = [pymemcache.Client(cache.socket("cache"), default_noreply=noreply)
                   for noreply in [False, True] * 20]
        for number, client in enumerate(clients):
            key = f"key{number}"
            client.set(key, "value")
            assert client.get(key) == b"value"
            assert client.add(key, "x", noreply=False) is False
            client.append(key, "s")
            client.prepend(key, "a ")
            value, cas = client.gets(key)
            assert value == b"a values"
            assert client.cas(key, "new", cas, noreply=False) is True
            assert client.cas(key, "newer", cas, noreply=False) is False
            assert client.cas("none", "new", cas, noreply=False) is None
            client.set_many({f"{key}-{i}": str(i) for i in range(100)})
            assert len(client.get_many([f"{key}-{i}" for i in range(200)])) == 100
            assert client.incr(f"{key}-7", 3, noreply=False) == 10
            client.touch(key, 100)
            client.delete(key)
            assert client.get(key) is None
            assert client.version().startswith(b"1.")
            assert b"pid" in client.stats()
        connections = [line for line in said(direct, b"stats\r\n").split(b"\r\n") if b"STAT curr_connections" in line]
        assert connections == [b"STAT curr_connections 2"], "the service's, and this one"
        for client in clients:
            client.quit()


@pytest.mark.parametrize("behaviors", [{}, {"tcp_nodelay": True, "cas": True}, {"_noreply": 1},
                                       {"no_block": True}])
def test_libmemcached(cache, behaviors):
    client = pylibmc.Client([cache.socket("cache")], behaviors=behaviors)
    for number in range(200):
        client.set(f"key{number}", "v" * number)
    assert client.get_multi([f"key{number}" for number in range(300)]) == {f"key{n}": "v" * n for n in range(200)}
    client.set("count", 1)
    if "_noreply" not in behaviors:
        assert client.incr("count", 5) == 6
        assert client.decr("count") == 5
        assert client.add("count", 1) is False
        assert client.replace("none", 1) is False
        assert client.append("key3", "x") and client.get("key3") == "vvvx"
    big = "x" * 1000000
    client.set("big", big)
    assert client.get("big") == big
    client.delete("big")
    assert client.get("big") is None
    assert client.get_stats()
    client.disconnect_all()


PHP = r"""
function check($right, $what) { if (!$right) { echo "wrong: $what\n"; exit(1); } }
foreach ([[], [Memcached::OPT_NO_BLOCK => true], [Memcached::OPT_BUFFER_WRITES => true],
    [Memcached::OPT_COMPRESSION => false]] as $options) {
    $m = new Memcached();
    $m->setOptions($options);
    $m->addServer($argv[1], 0);
    check($m->set("a", ["x" => 1, "y" => [2, 3]], 100), "set");
    check($m->get("a") === ["x" => 1, "y" => [2, 3]], "get");
    check($m->setMulti(array_combine(range(100, 299), range(100, 299))), "setMulti");
    check(array_sum($m->getMulti(range(0, 299))) == 39900, "getMulti");
    $m->set("n", 5);
    if (!isset($options[Memcached::OPT_BUFFER_WRITES])) {
        check($m->increment("n", 2) === 7, "increment");
        check($m->add("n", 1) === false && $m->getResultCode() === Memcached::RES_NOTSTORED, "add");
        $found = $m->get("n", null, Memcached::GET_EXTENDED);
        check($m->cas($found["cas"], "n", 8) === true, "cas");
        check($m->cas($found["cas"], "n", 9) === false, "cas again");
        check($m->getResultCode() === Memcached::RES_DATA_EXISTS, "what it says");
    }
    check($m->touch("n", 100), "touch");
    check($m->delete("n"), "delete");
    check($m->get("n") === false && $m->getResultCode() === Memcached::RES_NOTFOUND, "get of none");
    check($m->set("big", str_repeat("z", 900000)) && strlen($m->get("big")) == 900000, "big");
    check(count($m->getStats()) == 1 && count($m->getVersion()) == 1, "stats");
    $m->quit();
}
echo "right\n";
"""


def test_php_memcached(cache, folder):
    path = f"{folder}/ask.php"
    with open(path, "w") as file:
        file.write("<?php" + PHP)
    done = holdfast.run("php", path, cache.socket("cache"), bound=BOUND)
    assert (done.stdout, done.returncode) == ("right\n", 0), done.stdout + done.stderr


def test_php_keeps_its_sessions_there(cache, folder):
    """Locks and all; each start of PHP is another client."""
    path = f"{folder}/visit.php"
    with open(path, "w") as file:
        file.write("<?php session_id('abc'); session_start(); echo ++$_SESSION['visits']; ?>")
    for visit in range(1, 6):
        done = holdfast.run("php", "-d", "session.save_handler=memcached", "-d", "memcached.sess_binary_protocol=0",
                            "-d", f"session.save_path={cache.socket('cache')}:0", path, bound=BOUND)
        assert done.stdout == str(visit), done.stdout + done.stderr


BINARY_VERSION = b"\x80\x0b" + b"\0" * 22


def test_the_binary_protocol_is_refused_clearly(cache):
    with connect(cache) as other:
        with connect(cache) as client:
            client.send(BINARY_VERSION)
            assert client.line() == (b"CLIENT_ERROR holdfast: the binary protocol is not for a connection that "
                                     b"others share\r\n")
            assert client.at_end()
        cache.wait_log("closed (holdfast: the binary protocol is not for a connection that others share)")
        binary = pylibmc.Client([cache.socket("cache")], binary=True)
        with pytest.raises(pylibmc.Error):
            binary.set("key", "value")
        assert said(other, b"get key\r\n") == b"END\r\n"
    assert cache.status("cache")["disconnects"] == 0


@pytest.mark.parametrize("request_, answer", [
    (b"set a 0 0\r\n", b"CLIENT_ERROR bad command line format\r\n"),
    (b"set a 0 0 -1\r\n", b"CLIENT_ERROR bad command line format\r\n"),
    (b"set a 0 0 2\r\nhixx", b"CLIENT_ERROR bad data chunk\r\n"),
    (b"ms a S2\r\nhi\r\n", b"CLIENT_ERROR bad command line format\r\n"),
    (b"get a\0b\r\n", b"CLIENT_ERROR bad command line format\r\n"),
    (b"set a 0 0 4194304\r\n", b"CLIENT_ERROR holdfast: the request is longer than max_message\r\n"),
    (b"delete " + b"k" * 2048, b"CLIENT_ERROR holdfast: the request is longer than max_message\r\n"),
    (b"GET a\r\n", b"ERROR holdfast: unknown command GET\r\n")])
def test_who_sends_what_could_be_several_requests_is_told_so_and_closed(cache, request_, answer):
    """Nothing of it reaches memcached, and what came before it is answered."""
    with connect(cache) as other:
        with connect(cache) as client:
            client.send(b"set before 0 0 1 noreply\r\nx\r\nget before\r\n" + request_ + b"set behind 0 0 1\r\nx\r\n")
            assert [client.line() for _ in range(3)] == [b"VALUE before 0 1\r\n", b"x\r\n", b"END\r\n"]
            assert client.line() == answer
            assert client.at_end()
        assert said(other, b"get behind a\r\n") == b"END\r\n"
    assert cache.status("cache")["disconnects"] == 0


@pytest.mark.parametrize("command", ["watch fetchers", "cache_memlimit 100", "lru mode flat", "slabs automove 0",
                                     "lru_crawler metadump all", "shutdown", "misbehave", "refresh_certs",
                                     "extstore x 1"])
def test_what_is_for_the_operator_is_refused_and_the_client_goes_on(cache, command):
    name = command.split()[0].encode()
    with connect(cache) as client:
        assert said(client, command.encode() + b"\r\n") == (
            b"CLIENT_ERROR holdfast: " + name + b" is not for a connection that others share\r\n")
        assert said(client, b"get a\r\n") == b"END\r\n"


def test_quit_ends_the_client_alone(cache):
    with connect(cache) as other, connect(cache) as client:
        client.send(b"get a\r\nquit\r\nset behind 0 0 1\r\nx\r\n")
        assert client.line() == b"END\r\n" and client.at_end()
        assert said(other, b"get behind\r\n") == b"END\r\n"


def test_a_multi_get_of_many_megabytes_in_all(daemon, memcached):
    server = memcached("-m", "200")
    one = daemon(asking.shared("cache", server.address, "max_message = 16777216; ", framing="memcache"))
    client = pymemcache.Client(one.socket("cache"))
    values = {f"big{i}": bytes([65 + i]) * 1000000 for i in range(14)}
    client.set_many(values, noreply=False)
    assert client.get_many(list(values)) == values


def test_a_reply_of_more_than_max_message_passes_as_it_comes(daemon, memcached, figure):
    """Whatever dies meanwhile; others get theirs behind it."""
    server = memcached("-m", "200")
    one = daemon(asking.shared("cache", server.address, "max_message = 4096; ", framing="memcache"))
    values = {f"big{i}": bytes([65 + i]) * 1000000 for i in range(14)}
    pymemcache.Client(server.address).set_many(values, noreply=False)
    got, kills = [], 0

    def fetch():
        client = pymemcache.Client(one.socket("cache"))
        for _ in range(5):
            got.append(client.get_many(list(values)) == values)
            got.append(client.incr("n", 1) is None)
    fetching = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in fetching:
        thread.start()
    while any(thread.is_alive() for thread in fetching) and kills < KILLS:
        one.kill_worker()
        kills += 1
    for thread in fetching:
        thread.join()
    figure(f"{kills} kills")
    assert got == [True] * 20
    one.wait_status("cache", in_flight=0, disconnects=0, losses=0)


def test_memcached_restarts(cache, server):
    with connect(cache) as client:
        stop(server)
        client.send(b"get a\r\nset a 0 0 1 noreply\r\nx\r\nms b 1 q\r\nx\r\nmg b q\r\nmd b\r\n")
        cache.wait_status("cache", in_flight=5)
        server.kill()
        assert [client.line() for _ in range(4)] == [LOST] * 4, "noreply asks for no word of it"
        server.start()
        assert said(client, b"get a\r\n") == b"END\r\n"
    assert cache.status("cache")["losses"] == 5


def test_who_waits_in_vain_is_told_unless_it_asked_not_to_be(daemon):
    nowhere = f"127.0.0.1:{holdfast.free_port()}"
    one = daemon(asking.shared("cache", nowhere, "hold_timeout = 0.5; ", framing="memcache"))
    with connect(one) as client:
        client.send(b"get a\r\nset a 0 0 1 noreply\r\nx\r\nmg b q\r\n")
        assert [client.line() for _ in range(2)] == [LOST] * 2
        one.ctl("close", "cache")
        client.send(b"incr a 1 noreply\r\nmn\r\n")
        assert client.line() == LOST
        client.shutdown()
        assert client.at_end()


def test_replies_of_who_has_gone_are_nobodys(cache, server):
    with connect(cache) as other:
        stop(server)
        for number in range(20):
            client = connect(cache)
            client.send(b"set a 0 0 1 noreply\r\n%d\r\nget a b\r\nmg none q\r\nms a 1 q\r\nx\r\n" % (number % 10) +
                        b"version\r\n")
            cache.wait_status("cache", in_flight=(number + 1) * 5)
            client.close()
        other.send(b"set b 0 0 4\r\nmine\r\nget b\r\nmn\r\n")
        cache.wait_status("cache", clients=1)
        server.process.send_signal(signal.SIGCONT)
        assert until_mark(other.file) == b"STORED\r\nVALUE b 0 4\r\nmine\r\nEND\r\n"
    cache.wait_status("cache", in_flight=0, disconnects=0)


def test_a_heartbeat(daemon, server):
    one = daemon(asking.shared("cache", server.address, framing="memcache", more=(
        'heartbeat: { send = "version\\r\\n"; expect = "VERSION"; interval = 0.1; timeout = 0.3; }; ')))
    one.wait_connected("cache")
    stop(server)
    one.wait_log("no answer to the heartbeat")
    server.process.send_signal(signal.SIGCONT)
    with connect(one) as client:
        assert said(client, b"get a\r\n") == b"END\r\n"


def test_a_password(daemon, memcached, folder):
    path = f"{folder}/passwords"
    with open(path, "w") as file:
        file.write("me:secret\n")
    server = memcached("-Y", path)
    one = daemon(asking.shared("cache", server.address, framing="memcache", more=(
        'hello = ( { send = "set auth 0 0 9\\r\\nme secret\\r\\n"; expect = "STORED"; } ); ')))
    with connect(one) as client:
        assert said(client, b"set a 0 0 1\r\nx\r\n") == b"STORED\r\n"


class Counter(threading.Thread):
    """Counts up by each way, loudly and quietly, and knows how often."""

    WAYS = [(b"incr loud 1\r\n", b"loud"), (b"incr quiet 1 noreply\r\n", b"quiet"), (b"ma meta q\r\n", b"meta"),
            (b"ma asked v\r\n", b"asked")]

    def __init__(self, path, number):
        super().__init__()
        self.client = Client(path)
        self.roll = random.Random(number)
        self.key = b"own%d" % number
        self.counts = {name: 0 for _, name in self.WAYS}
        self.failure = None

    def run(self):
        try:
            for done in range(OPERATIONS // 20):
                self.some(done)
        except Exception as failure:
            self.failure = failure
        self.client.close()

    def some(self, done):
        value = b"%d" % done * self.roll.randrange(1, 500)
        ways = [self.roll.choice(self.WAYS) for _ in range(20)]
        for _, name in ways:
            self.counts[name] += 1
        data = b"set %s 0 0 %d noreply\r\n%s\r\n" % (self.key, len(value), value)
        data += b"".join(request for request, _ in ways) + b"mg none q\r\nget %s\r\nmn\r\n" % self.key
        self.client.send(data)
        answer = until_mark(self.client.file)
        mine = b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (self.key, len(value), value)
        assert answer.endswith(mine), answer[-1000:]
        loud = answer[:-len(mine)].replace(b"VA ", b"").split()
        told = sum(1 + (name == b"asked") for _, name in ways if name in (b"loud", b"asked"))
        assert len(loud) == told and all(word.isdigit() for word in loud), answer


def count_all(one, strike):
    """All counted at once, while strike() happens again and again; each counter is exact."""
    with connect(one) as first:
        for _, name in Counter.WAYS:
            assert said(first, b"set %s 0 0 1\r\n0\r\n" % name) == b"STORED\r\n"
        counters = [Counter(one.socket("cache"), number) for number in range(20)]
        for counter in counters:
            counter.start()
        strike(lambda: any(counter.is_alive() for counter in counters))
        for counter in counters:
            counter.join()
            assert counter.failure is None, counter.failure
        for _, name in Counter.WAYS:
            value = b"%d" % sum(counter.counts[name] for counter in counters)
            assert said(first, b"get %s\r\n" % name).split(b"\r\n")[1].strip() == value
    one.wait_status("cache", in_flight=0, disconnects=0, losses=0, retries=0)


def test_counters_are_exact_while_workers_die(cache, figure):
    kills = 0

    def strike(running):
        nonlocal kills
        while running() and kills < KILLS:
            cache.kill_worker()
            kills += 1

    count_all(cache, strike)
    figure(f"{kills} kills")
    assert kills > 0


@pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="needs a build with crash points")
@pytest.mark.parametrize("point", ["shared.copied", "shared.asked", "shared.answered", "redo.committed"])
def test_counters_are_exact_whatever_a_death_interrupts(daemon, server, point):
    one = daemon(asking.shared("cache", server.address, framing="memcache"), **crash(f"{point}:97"))
    one.wait_connected("cache")
    count_all(one, lambda running: None)
    assert deaths(one, point) > 0
