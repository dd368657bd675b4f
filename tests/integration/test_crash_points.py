"""The worker dies at every named place, again and again, under load: nothing lost, nothing wrong."""
import collections
import os
import random

import pytest

import holdfast

KINDS = dict(bulk=2, ping=8, ask=8, half=1, slow=1, server_reset=1, client_reset=1, bulk_bytes=1 << 20)
WANTED = 50 if holdfast.LONG else 8

# Each COUNT-th pass kills; seldom enough that work is done in between.
COUNTS = {"journal": 400, "buffer": 200, "shutdown": 20, "accept": 20, "open": 20, "close": 20, "conn": 20,
          "dial": 20, "upstream": 40, "pipe": 40, "recover": 2}
# Places that only another death leads to: it is provoked by a second point.
LED_TO_BY = {
    "recover.journal": "journal.received:200",
    "recover.closing": "close.marked:20",
    "recover.closed": "close.client:20",
    "recover.adopted": "accept.accepted:20",
}
# Places that this load does not pass; each has a test of its own below, or later.
ELSEWHERE = {"return.closed", "return.held", "listener.opened", "listener.named", "listener.given",
             "listener.unlinked", "listener.shut", "listener.unnamed", "listener.placed", "control.opened",
             "control.unnamed", "control.placed", "control.named", "reload.committed", "reload.applying",
             "metrics.opened",
             "metrics.unnamed", "metrics.placed", "metrics.named", "switch.ordered", "pipe.opened",
             "pipe.named", "pipe.unnamed", "redo.committed", "recover.redone", "hello.said", "hello.heard",
             "journal.header-marked", "journal.header-sent", "journal.header-stored", "tls.said", "tls.heard",
             "journal.decline-marked", "journal.decline-sent", "journal.decline-stored",
             "journal.copy-marked", "journal.copied", "journal.copy-stored",
             "takeover.given", "takeover.told", "lock.opened", "lock.replaced", "linger.marked", "linger.prepared",
             "linger.said", "endpoint.listed", "endpoint.beside", "endpoint.told", "endpoint.health", "endpoint.cut"}
# Shared mode's, which have a file of their own.
SHARED = ("shared.", "own.", "ring.", "spool.", "stream.", "journal.packet", "journal.give", "journal.given")


# What a server says that speaks without end: no two pages alike.
POURED = b"".join(number.to_bytes(8, "big") * 512 for number in range(256))


def pour(connection):
    while True:
        connection.sendall(POURED)


def points():
    if not holdfast.CRASH_BUILD:
        return []
    done = holdfast.run(os.path.join(holdfast.CRASH_BUILD, "holdfastd"), "--crash-points")
    return done.stdout.split()


def crash(text):
    return dict(build=holdfast.CRASH_BUILD, environment_more={"HOLDFAST_CRASH": text})


def deaths(one, point):
    return one.log().count(f"crash point {point}\n")


pytestmark = pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")


@pytest.mark.parametrize("point", [point for point in points()
                                   if point not in ELSEWHERE and not point.startswith(SHARED)])
def test_under_load(daemon, load, point):
    text = f"{point}:{COUNTS[point.split('.')[0]]}"
    if point in LED_TO_BY:
        text += "," + LED_TO_BY[point]
    generator = load()
    one = daemon(holdfast.behind(generator), **crash(text))
    generator.start(one.socket("s"), 60, **KINDS)
    generator.wait_running()
    while deaths(one, point) < WANTED:
        assert not generator.ended_within(random.uniform(0, 0.06)), generator.complaints()
        if point.startswith("recover."):
            one.kill_worker()
    generator.finish()
    generator.result()


@pytest.mark.parametrize("point", ["return.closed", "return.held", "conn.marked", "conn.closed", "conn.unnamed",
                                   "conn.freed"])
def test_on_the_way_back_to_the_held(daemon, upstream, point):
    """Clients that are not attached lose their upstream, again and again; each dial that fails ends one too."""
    server = upstream()
    every = 12 if point.startswith("conn.") else 3
    one = daemon(holdfast.fixed("s", server.address, "retry: { delay = 0.05; };"), **crash(f"{point}:{every}"))
    clients = [one.client("s") for _ in range(10)]
    one.wait_status("s", clients=10)
    while deaths(one, point) < WANTED:
        server.stop()
        one.wait_status("s", held=10)
        server.start()
        one.wait_status("s", held=0, clients=10)
    for number, client in enumerate(clients):
        assert client.ask(str(number)) == f"{number}\n".encode()
        client.close()


def ask_ready(connection):
    """Answers hello before it serves."""
    with connection.makefile("rb") as lines:
        for line in lines:
            connection.sendall(b"yes\n" if line == b"ready?\n" else line)


@pytest.mark.parametrize("point", ["hello.said", "hello.heard"])
def test_in_the_midst_of_hello(daemon, upstream, point):
    """Each client needs a connection of its own, and each connection a hello."""
    server = upstream(ask_ready)
    one = daemon(holdfast.fixed("s", server.address, 'hello = ( { send = "ready?\\n"; expect = "yes"; } );'),
                 **crash(f"{point}:3"))
    while deaths(one, point) < WANTED:
        with one.client("s") as client:
            assert client.ask("x") == b"x\n"


@pytest.mark.parametrize("point", ["linger.marked", "linger.prepared", "linger.said"])
def test_in_the_midst_of_a_refusal(daemon, point):
    """Each client hears the reply, once, and no error, whatever it says."""
    settings = 'on_down = "refuse"; down_reply = "sorry\\n";'
    one = daemon(holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}", settings), **crash(f"{point}:2"))
    one.wait_log("Connection refused")
    while deaths(one, point) < WANTED:
        with one.client("s") as client:
            assert client.line() == b"sorry\n"
            client.send(b"but why?\n")
            assert client.at_end()


@pytest.mark.parametrize("point", ["pipe.opened", "pipe.named"])
def test_pipes_being_made(daemon, upstream, point):
    """Clients that stop reading hold a pipe each, so that further ones need new pipes."""
    server = upstream(pour)
    one = daemon(holdfast.fixed("s", server.address), **crash(f"{point}:2"))
    clients = collections.deque()
    while deaths(one, point) < WANTED:
        clients.append(one.client("s"))
        assert clients[-1].file.read(1 << 18) == POURED[:1 << 18]
        if len(clients) > 20:
            clients.popleft().close()
    for client in clients:
        assert client.file.read(1 << 20) == POURED[1 << 18:] + POURED[:1 << 18]
        client.close()


def test_pipes_that_are_left_with_bytes_in_them(daemon, upstream):
    """Clients go in the midst of a download; those who stay hear every byte."""
    server = upstream(pour)
    one = daemon(holdfast.fixed("s", server.address), **crash("pipe.unnamed:2"))
    with one.client("s") as stays:
        heard = 0
        while deaths(one, "pipe.unnamed") < WANTED:
            with one.client("s") as leaves:
                assert leaves.file.read(1 << 20) == POURED
            part = stays.file.read(65536)
            assert part == POURED[heard:heard + 65536]
            heard = (heard + 65536) % len(POURED)


def test_listeners_being_made(daemon, upstream):
    server = upstream()
    services = "".join(holdfast.fixed(f"s{number}", server.address) for number in range(20))
    one = daemon(services, **crash("listener.named:2"))
    assert deaths(one, "listener.named") >= WANTED
    for number in range(20):
        with one.client(f"s{number}") as client:
            assert client.ask("x") == b"x\n"


def test_a_build_without_them_refuses():
    done = holdfast.run(os.path.join(holdfast.BUILD, "holdfastd"), "--crash-points")
    assert done.returncode in ((0,) if holdfast.BUILD == holdfast.CRASH_BUILD else (2,))


def mute(connection):
    """Accepts, and never answers hello."""
    while connection.recv(4096):
        pass


@pytest.mark.parametrize("point", [point for point in points() if point.startswith("endpoint.")])
def test_while_endpoints_fail_hang_and_are_withdrawn(upstream, catalog, daemon, point):
    """One hangs in hello, two take turns at being listed: who comes is served by one that is; who is attached to one
    that is withdrawn is ended, and nobody else."""
    # Whoever takes over dials both at once, and shall see one dial end: it tells of each twice.
    passes = {"endpoint.told": 9, "endpoint.health": 3}
    servers = {"hangs": upstream(mute), "a": upstream(ask_ready), "b": upstream(ask_ready)}
    catalog.publish("s", "hangs", servers["hangs"].address + " priority=0")
    catalog.publish("s", "a", servers["a"].address + " priority=1")
    one = daemon(f's: {{ lookup: {{ catalog = "{catalog.folder}"; }}; on_withdrawn = "drop"; connect_stagger = 0.05; '
                 'hello = ( { send = "ready?\\n"; expect = "yes"; timeout = 0.2; } ); retry: { delay = 0.2; }; };\n',
                 **crash(f"{point}:{passes.get(point, 2)}"))
    listed, other, attached, rounds = "a", "b", None, 0
    while deaths(one, point) < WANTED // 2 or rounds < 2:
        if attached is None:
            attached = one.client("s")
            assert attached.ask("first") == b"first\n"
        with one.client("s") as client:
            assert client.ask("x") == b"x\n"
        catalog.publish("s", other, servers[other].address + " priority=1")
        catalog.withdraw("s", listed)
        listed, other = other, listed
        assert attached.read_all() == b""
        attached.close()
        attached, rounds = None, rounds + 1
