"""What is known of a connection's state is true of a real Redis: whenever it is said to be free, the server has no
state for it, and owes it nothing."""
import os
import random
import socket
import subprocess

import pytest
import redis as redis_py

import holdfast
import real_servers

TRACK = os.path.join(holdfast.BUILD, "tests/integration/track")
CONNECTIONS = 10000 if holdfast.LONG else 150
BURSTS = 40

USER, LASTING = 0x20, 0x40

# Commands, and how often each is sent.
COMMON = """GET k|SET k v|LPUSH l message|LRANGE l 0 2|INCR k|NONE|MULTI|MULTI|EXEC|EXEC|EXEC|DISCARD|WATCH k
WATCH k l|UNWATCH|SELECT 0|SELECT 0|SELECT 3|SELECT 3|SELECT 99|SELECT x|SUBSCRIBE a|SUBSCRIBE a b a
UNSUBSCRIBE|UNSUBSCRIBE|UNSUBSCRIBE a|UNSUBSCRIBE zz b|PSUBSCRIBE a* b
PUNSUBSCRIBE|PUNSUBSCRIBE|PUNSUBSCRIBE b|HELLO|HELLO 2|HELLO 3|HELLO 4
PING|PING x|RESET|EVAL return{'message','a','x'} 0|EVAL return{'subscribe','a',1} 0|ECHO EXECABORT|BLPOP l 0.01
WAIT 0 1|PUBLISH a x|PUBLISH b x|CLIENT ID|CLIENT GETNAME|GET big|SET big2 @|MULTI x|EXEC x|SUBSCRIBE|WATCH|EVAL x y z
SELECT 1 2|@line GET k|@line SUBSCRIBE "a"|@line MULTI|@line EXEC|@line|@empty|CLIENT KILL ADDR 1.2.3.4:5
AUTH x|AUTH bob bad|UNSUBSCRIBE a b c d
XREAD BLOCK 5 STREAMS s $|LMOVE l l LEFT RIGHT|DEBUG HELP|READONLY|ASKING|SCRIPT KILL|PFCOUNT k
EVAL redis.call('select',3) 0|EVAL redis.call('multi') 0|EVAL redis.setresp(3);return{map={a=1}} 0|DEBUG SLEEP 0"""
RARE = """AUTH bob pw|HELLO 3 AUTH bob pw|HELLO 2 SETNAME x|CLIENT SETNAME x|CLIENT TRACKING ON|CLIENT TRACKING OFF
CLIENT NO-EVICT ON|CLIENT NO-EVICT OFF|CLIENT REPLY SKIP|CLIENT REPLY ON|SSUBSCRIBE a|MONITOR
HELLO 2 AUTH bob pw SETNAME \xe9|EVAL return{ok='QUEUED'} 0|CLIENT CACHING YES|QUIT"""

# Of those in one group, all is known: no connection is given up.
SURE = [
    """SUBSCRIBE a|SUBSCRIBE a b a|UNSUBSCRIBE|UNSUBSCRIBE|UNSUBSCRIBE a|UNSUBSCRIBE zz b|PSUBSCRIBE a* b
PUNSUBSCRIBE|PUNSUBSCRIBE b|PING|PING x|GET k|PUBLISH a x|LRANGE l 0 2|EVAL return{'subscribe','a',1} 0|RESET
HELLO|HELLO 2|HELLO 3|SUBSCRIBE""",
    """MULTI|EXEC|EXEC|DISCARD|WATCH k|UNWATCH|GET k|SET k v|NONE|MULTI x|EXEC x|LRANGE l 0 2|BLPOP l 0.01|WAIT 0 1
RESET|EVAL return{'message','a','x'} 0|PING""",
    """SELECT 0|SELECT 3|SELECT 99|SELECT x|SELECT 1 2|GET k|GET big|RESET|AUTH x|HELLO|HELLO 2|HELLO 3|HELLO 4
XREAD BLOCK 5 STREAMS s $|EVAL redis.call('select',3) 0|@line GET k|@empty|UNWATCH""",
]


def words(text):
    return [line.strip() for line in text.replace("\n", "|").split("|") if line.strip()]


COMMON, RARE, SURE = words(COMMON), words(RARE), [words(group) for group in SURE]


def encode(line):
    if line == "@empty":
        return b"*0\r\n"
    if line.startswith("@line"):
        return line[6:].encode() + b"\r\n"
    parts = [b"y" * 70000 if word == "@" else word.encode() for word in line.split(" ")]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class Follower:
    def __init__(self, database, protocol):
        self.process = subprocess.Popen([TRACK, "follow", str(database), str(protocol)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.said = "free"

    def tell(self, side, data):
        self.process.stdin.write(b"%c %d\n%s" % (ord(side), len(data), data))
        self.process.stdin.flush()
        self.said = self.process.stdout.readline().decode().strip()
        assert self.said

    @property
    def states(self):
        return 0 if self.said == "free" else int(self.said.split()[0], 16)

    def end(self):
        self.process.stdin.close()
        holdfast.wait_exit(self.process)
        self.process.stdout.close()


class Tracked:
    """A connection whose bytes are followed, and someone else who asks the server about it."""

    def __init__(self, path, observer, database, protocol, roll):
        self.observer, self.database, self.protocol, self.roll = observer, database, protocol, roll
        self.socket = socket.socket(socket.AF_UNIX)  # what one end has sent, the other can read at once
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")
        self.socket.settimeout(holdfast.BOUND)
        self.socket.sendall(b"CLIENT ID\r\n")
        self.id = int(self.file.readline()[1:])
        self.socket.sendall(b"SELECT %d\r\n" % database)
        assert self.file.readline() == b"+OK\r\n"
        if protocol == 3:
            self.socket.sendall(b"HELLO 3\r\nECHO end\r\n")
            while self.file.readline() != b"end\r\n":
                pass
        self.socket.setblocking(False)
        self.follower = Follower(database, protocol)
        self.log = []
        self.is_sure = roll.random() < 0.4
        self.common = roll.choice(SURE) if self.is_sure else roll.sample(COMMON, roll.choice([4, 8, 16, len(COMMON)]))
        self.checked = self.useless = 0

    def send(self, data):
        self.log.append((">", data[:200]))
        at = 0
        while at < len(data):
            piece = data[at:at + self.roll.choice([1, 7, 50, 100000])]
            at += len(piece)
            self.follower.tell(">", piece)
            self.socket.settimeout(holdfast.BOUND)
            self.socket.sendall(piece)
            self.socket.setblocking(False)

    def receive(self):
        """One piece, if there is one; None at the end."""
        try:
            data = self.socket.recv(self.roll.choice([1, 5, 30, 1000, 100000]))
        except BlockingIOError:
            return b""
        except ConnectionError:
            return None
        if not data:
            return None
        self.log.append(("<", data[:200]))
        self.follower.tell("<", data)
        return data

    def info(self):
        """The server's view, which knows all that was sent to it: between two questions, it reads everything."""
        for _ in range(2):
            write = self.observer.pipeline(transaction=False)
            for database in (0, 3):  # what is watched is changed, which shows
                write.execute_command("SELECT", database).set("k", 1).lpush("l", "x", "a", "message").ltrim("l", 0, 3)
            write.execute()
            told = self.observer.client_list(client_id=[str(self.id)])
        if told:
            told[0]["flags"] = told[0]["flags"].replace("U", "") or "N"  # a Unix socket
        return told[0] if told else None

    def is_plain(self, info):
        return (info["flags"] == "N" and info["multi"] == "-1" and info["sub"] == info["psub"] == "0" and
                info["db"] == str(self.database) and info["resp"] == str(self.protocol) and
                info["user"] == "default" and info["name"] == "" and info.get("ssub", "0") == "0")

    def check_free(self):
        """Said to be free: no reply is on its way, and no state is there."""
        info = self.info()
        if info is None:
            return
        late = self.receive()
        assert not late and self.follower.said == "free", f"a reply to come: {late} {self.log[-30:]}"
        assert self.is_plain(info) and info["qbuf"] == "0" and info["obl"] == "0" and info["oll"] == "0", \
            f"{info} {self.log[-30:]}"
        self.checked += 1

    def check_quiet(self):
        """All has been answered: what is not free has a state, or was given up."""
        info = self.info()
        while self.receive():
            pass
        if info is None or "b" in info["flags"] or self.follower.said == "free":
            return
        states = self.follower.states
        if not states & (USER | LASTING) and self.is_plain(info):
            assert "busy" not in self.follower.said, f"{states:#x} {info} {self.log[-30:]}"
            self.useless += 1

    def burst(self, rare):
        commands = [self.roll.choice(RARE if self.roll.random() < rare else self.common)
                    for _ in range(self.roll.choice([1, 1, 2, 3, 8, 30]))]
        data = b"".join(encode(command) for command in commands)
        half = self.roll.randrange(len(data))
        self.send(data[:half])
        if self.roll.random() < 0.5:
            self.receive()
        self.send(data[half:])
        was_free = False
        for _ in range(400):
            if self.roll.random() < 0.1:
                self.observer.publish("a", "from another")
            data = self.receive()
            if data is None:
                return False
            if not data and self.settled():
                break
            if self.follower.said == "free" and (not was_free or self.roll.random() < 0.05):
                self.check_free()
            was_free = self.follower.said == "free"
        self.check_quiet()
        return True

    def settled(self):
        info = self.info()
        return info is None or ("b" not in info["flags"] and info["qbuf"] == info["obl"] == info["oll"] == "0" and
                                not self.receive())

    def end(self):
        self.follower.end()
        self.file.close()
        self.socket.close()


@pytest.fixture
def path(folder):
    path = os.path.join(folder, "s")
    one = real_servers.Redis(folder, arguments=["--unixsocket", path]).start()
    yield path
    one.kill()


@pytest.mark.plain
def test_a_connection_that_is_said_to_be_free_has_no_state(path, figure):
    observer = redis_py.Redis(unix_socket_path=path, single_connection_client=True)
    observer.execute_command("ACL", "SETUSER", "bob", "on", ">pw", "~*", "&a", "+@all", "-exec", "-select")
    observer.set("big", "x" * 100000)
    checked = useless = bursts = 0
    for number in range(CONNECTIONS):
        roll = random.Random(number)
        tracked = Tracked(path, observer, roll.choice([0, 3]), roll.choice([2, 3]), roll)
        try:
            for _ in range(BURSTS):
                bursts += 1
                if not tracked.burst(0.01 if number % 2 and not tracked.is_sure else 0):
                    break
                if tracked.follower.states & LASTING:
                    assert not tracked.is_sure, tracked.log[-30:]
                    break
        except ConnectionError:
            pass  # it asked for its end
        except AssertionError as error:
            raise AssertionError(f"seed {number}: {error}") from error
        finally:
            tracked.end()
        checked += tracked.checked
        useless += tracked.useless
    figure(f"{CONNECTIONS} connections, {bursts} bursts: free {checked} times, "
           f"{useless} times not free without a reason")
    assert checked > CONNECTIONS
    assert useless == 0
