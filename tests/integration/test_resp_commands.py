"""What is done with each command of the real server's table: it is in one class, and that is known here."""
import json
import os
import subprocess

import holdfast

TRACK = os.path.join(holdfast.BUILD, "tests/integration/track")

# What is not simply forwarded, and may have a connection of its own.
OWN = set("""
acl|deluser acl|load asking auth blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin client|caching
client|capa client|id client|import-source client|kill client|no-evict client|no-touch client|pause client|reply
client|tracking client|unblock client|unpause cluster|failover cluster|replicate cluster|reset cluster|syncslots
debug discard exec failover function|kill monitor multi psubscribe psync punsubscribe readonly readwrite replconf
replicaof reset script|debug script|kill shutdown slaveof ssubscribe subscribe sunsubscribe sync unsubscribe unwatch
wait waitaof watch""".split())

# Where none may have its own, these go to the server; all others of OWN are refused.
PREFERS_OWN = {"client|id", "function|kill", "script|kill"}

ANSWERED = {"client|setname", "client|setinfo", "quit", "select"}

# Decided by their arguments: what passes, and what does not.
BY_ARGUMENTS = {
    "hello": (["HELLO"], ["HELLO", "2", "AUTH", "a", "b"]),
    "xread": (["XREAD", "STREAMS", "a", "0"], ["XREAD", "BLOCK", "1", "STREAMS", "a", "0"]),
    "xreadgroup": (["XREADGROUP", "GROUP", "a", "b", "STREAMS", "c", ">"],
                   ["XREADGROUP", "GROUP", "a", "b", "BLOCK", "1", "STREAMS", "c", ">"]),
}

# Whose flags look as if they needed a state, and need none: they are forwarded.
HARMLESS = set("""
publish spublish pubsub|channels pubsub|numpat pubsub|numsub pubsub|shardchannels pubsub|shardnumsub save
function|stats""".split())

SUSPICIOUS = {"blocking", "pubsub", "no_multi", "no_auth", "allow_busy"}

# Needs no order, or ends what keeps others waiting.
NO_ORDER = {"ping", "echo", "script|kill", "function|kill", "function|stats"}


class Judge:
    def __init__(self):
        self.process = subprocess.Popen([TRACK, "judge"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, *words):
        """What is done with it: if it may have a connection of its own, if not; and whether it needs order."""
        self.process.stdin.write("".join(f"{word}\n" for word in words) + "\n")
        self.process.stdin.flush()
        own, refuse, _, order = self.process.stdout.readline().split()
        return own, refuse, order

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert holdfast.wait_exit(self.process) == 0
        self.process.stdout.close()


def table(redis):
    """name, arity, flags of each command and subcommand."""
    rows = json.loads(redis.cli("-3", "--json", "COMMAND"))
    while rows:
        row = rows.pop()
        rows.extend(row[9])
        yield row[0], row[1], set(row[2]), bool(row[9])


def request(name, arity):
    words = name.split("|")
    return words + ["1"] * (abs(arity) - len(words))


def expected(name):
    if name in PREFERS_OWN:
        return "own", "forward"
    if name in OWN:
        return "own", "refuse"
    if name == "quit":
        return "quit", "quit"
    return ("answer", "answer") if name in ANSWERED else ("forward", "forward")


def what_is_wrong(judge, name, arity, flags, container=False):
    """Why the command is in no class, or in another than stands here; None: nothing."""
    if name in BY_ARGUMENTS:
        passes, keeps = BY_ARGUMENTS[name]
        return None if judge(*passes)[0] == "forward" and judge(*keeps)[:2] == ("own", "refuse") else "its arguments"
    words = ["SELECT", "0"] if name == "select" else request(name, arity)
    *done, order = judge(*words)
    if tuple(done) != expected(name):
        return f"it is {done}"
    if not container and flags & SUSPICIOUS and name not in OWN | ANSWERED | HARMLESS:
        return f"it has {flags} and is in no class"
    if order != "no_order" and (name in NO_ORDER or (name.startswith("client|") and done[0] != "own")):
        return "it needs no order"
    return None


def test_every_command_of_the_real_server_is_in_one_class(redis):
    rows = list(table(redis()))
    with Judge() as judge:
        wrong = {row[0]: what_is_wrong(judge, *row) for row in rows}
    assert {name: why for name, why in wrong.items() if why} == {}
    assert len(wrong) > 300
    assert set(wrong) >= {"get", "multi", "client|reply", "xread"}


def test_a_new_command_that_could_need_a_state_is_noticed():
    with Judge() as judge:
        assert what_is_wrong(judge, "getnew", -2, {"readonly", "fast"}) is None
        for flag in SUSPICIOUS:
            assert what_is_wrong(judge, "bgetnew", -2, {"write", flag}), flag
            assert what_is_wrong(judge, "client|new", 2, {flag}), flag


# By their documentation: Redis 7.2, 7.4, 8.0 to 8.10, Valkey 8 and 9.  Not what only adds a data type.
LATER_OWN = ["WAITAOF 0 0 1", "CLIENT NO-TOUCH ON", "BZMOVE a b MIN 0", "BLMOVEM a b LEFT LEFT 0",
             "CLIENT CAPA redirect", "CLIENT IMPORT-SOURCE ON", "CLUSTER SYNCSLOTS ACK"]
LATER_SHARED = ["CLUSTER MYSHARDID", "CLUSTER SLOT-STATS SLOTSRANGE 0 1", "HPEXPIRE a 1 FIELDS 1 b",
                "HGETEX a FIELDS 1 b", "HSETEX a FIELDS 1 b c", "HGETDEL a FIELDS 1 b", "XDELEX a IDS 1 1-1",
                "XACKDEL a b IDS 1 1-1", "VADD a VALUES 1 1 b", "VSIM a ELE b", "DELEX a", "DIGEST a",
                "MSETEX 1 a b", "XNACK a b FAIL IDS 1 1-1", "INCREX a", "CLUSTER MIGRATION STATUS",
                "SCRIPT SHOW x", "COMMANDLOG GET 1 slow", "DELIFEQ a b",
                "CLUSTER MIGRATESLOTS SLOTSRANGE 0 1 NODE x", "CLUSTER CANCELSLOTMIGRATIONS",
                "CLUSTER GETSLOTMIGRATIONS", "FT.SEARCH a b", "JSON.GET a", "BF.ADD a b", "TS.ADD a 1 1",
                "CLIENT LIST NOT-FLAGS N"]


def test_commands_of_later_servers_are_in_one_class():
    with Judge() as judge:
        for line in LATER_OWN:
            assert judge(*line.split())[:2] == ("own", "refuse"), line
        for line in LATER_SHARED:
            assert judge(*line.split())[:2] == ("forward", "forward"), line
        assert judge("CLIENT", "SETINFO", "LIB-NAME", "x")[:2] == ("answer", "answer")
