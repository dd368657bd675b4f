"""In a control group with little memory buffers stay below max_memory, nothing is lost, nobody starves another."""
import threading

import pytest

import cgroups
import holdfast
import upstream

pytestmark = pytest.mark.plain  # the sanitizers' own memory would be measured
CLIENTS = 400
LIMIT = 64 << 20


@pytest.fixture
def group():
    one = cgroups.memory(LIMIT)
    yield one
    one.remove()


@pytest.fixture
def connect():
    """connect(daemon, service, number): so many clients, which leave at the end."""
    made = []

    def come(one, service, number):
        made.extend(holdfast.Client(one.socket(service)) for _ in range(number))
        return made[-number:]

    yield come
    for client in made:
        client.close()


@pytest.fixture
def start(group, daemon):
    """start(services, **options): a daemon in the group, which ends before the group goes."""
    return lambda services, **options: daemon(services, wrapper=group.wrapper(), **options)


class Deaf(upstream.Upstream):
    """Reads nothing until it is told to; then everything, and counts it."""

    def __init__(self):
        self.hears = threading.Event()
        self.heard = 0
        self.lock = threading.Lock()
        super().__init__(self.serve_one)

    def serve_one(self, connection):
        self.hears.wait(60)
        total = 0
        while True:
            piece = connection.recv(1 << 20)
            if not piece:
                break
            total += len(piece)
        with self.lock:
            self.heard += total


def stuff(clients):
    """Writes to each until nothing goes any more, for two rounds that take nothing; bytes."""
    sent, idle = 0, 0
    block = b"x" * 65536
    for client in clients:
        client.socket.setblocking(False)
    while idle < 20:
        taken = 0
        for client in clients:
            try:
                taken += client.socket.send(block)
            except BlockingIOError:
                pass
        sent += taken
        idle = 0 if taken else idle + 1
        if not taken:
            threading.Event().wait(0.02)
    for client in clients:
        client.socket.settimeout(holdfast.BOUND)
    return sent


def check_daemon(one, group):
    status = one.status()
    peak = int(group.read("memory.peak", "memory.max_usage_in_bytes"))
    assert status["worker_restarts"] == 0
    assert status["max_memory"] <= LIMIT // 4
    assert status["memory_used"] <= status["max_memory"]
    assert peak < LIMIT, f"{peak} bytes"
    return status, peak


def test_clients_of_a_server_that_does_not_read_take_no_memory_from_others(start, connect, group, figure):
    deaf, well = Deaf().start(), upstream.Upstream().start()
    one = start(f'deaf: {{ address = "{deaf.address}"; }}; well: {{ address = "{well.address}"; }};')
    clients = connect(one, "deaf", CLIENTS)
    with holdfast.Client(one.socket("well")) as bystander:
        sent = stuff(clients)
        status, peak = check_daemon(one, group)
        assert status["short_of_memory"] > 0
        for i in range(100):
            assert bystander.ask(f"{i}") == f"{i}\n".encode()
        one.wait_log("connections are slowed down: buffers use ")
        deaf.hears.set()
        for client in clients:
            client.shutdown()
        for client in clients:
            assert client.at_end()
    holdfast.until(lambda: deaf.heard == sent, f"all {sent} bytes")
    assert one.status()["short_of_memory"] == 0
    figure(f"{sent >> 20} MiB on the way, peak of the group {peak / (1 << 20):.1f} MiB")


def test_clients_that_do_not_read_take_no_memory_from_others(start, connect, group, figure):
    wanted = b"".join(i.to_bytes(4, "big") * 256 for i in range(512))  # 512 KiB

    def pour(connection):
        connection.sendall(wanted)

    source, well = upstream.Upstream(pour).start(), upstream.Upstream().start()
    one = start(f'source: {{ address = "{source.address}"; warm = 0; }}; '
                f'well: {{ address = "{well.address}"; }};')
    clients = connect(one, "source", CLIENTS)
    with holdfast.Client(one.socket("well")) as bystander:
        holdfast.until(lambda: one.status()["short_of_memory"] > 0, "the bound")
        for i in range(100):
            assert bystander.ask(f"{i}") == f"{i}\n".encode()
        _, peak = check_daemon(one, group)
        for client in clients:
            assert client.read_all() == wanted
    check_daemon(one, group)
    figure(f"peak of the group {peak / (1 << 20):.1f} MiB")


def test_a_worker_s_death_at_the_bound_loses_nothing(start, connect):
    deaf = Deaf().start()
    one = start(f'deaf: {{ address = "{deaf.address}"; }};')
    clients = connect(one, "deaf", CLIENTS)
    sent = stuff(clients)
    for _ in range(3):
        one.kill_worker()
    sent += stuff(clients)
    status = one.status()
    assert status["short_of_memory"] > 0
    assert status["memory_used"] <= status["max_memory"]
    deaf.hears.set()
    for client in clients:
        client.shutdown()
        assert client.at_end()
    holdfast.until(lambda: deaf.heard == sent, f"all {sent} bytes")


def test_shared_clients_that_do_not_read_are_closed_before_memory_is_gone(start, connect, group):
    """A hundred of them ask for 64 KiB each, again and again, and read nothing; one asks and reads."""
    reply = b"r" * 65000 + b"\n"
    server = upstream.Upstream(upstream.answering(lambda line: reply if line == b"much\n" else line)).start()
    one = start(f's: {{ mode = "shared"; framing = "line"; address = "{server.address}"; }};')
    deaf = connect(one, "s", 100)
    with holdfast.Client(one.socket("s")) as bystander:
        for client in deaf:
            client.send(b"much\n" * 30)
        for i in range(100):
            assert bystander.ask(f"{i}") == f"{i}\n".encode()
        check_daemon(one, group)


def test_shared_clients_with_more_than_there_is_room_for_are_all_answered(start, connect):
    """Each has said the beginning of a message; nobody may wait for memory that only the ends of messages free."""
    server = upstream.Upstream(upstream.answering(lambda line: line[:1] + b"\n")).start()
    one = start(f's: {{ mode = "shared"; framing = "line"; address = "{server.address}"; }};',
                top='max_memory = "4MiB";')
    clients = connect(one, "s", 100)
    rest = {client: (b"x" * 9000 + b"\n") * 10 for client in clients}
    for client in clients:
        client.socket.setblocking(False)
    while rest:
        for client in list(rest):
            try:
                rest[client] = rest[client][client.socket.send(rest[client]):]
            except BlockingIOError:
                pass
            if not rest[client]:
                del rest[client]
                client.socket.settimeout(holdfast.BOUND)
    for client in clients:
        for _ in range(10):
            assert client.line() == b"x\n"


def test_a_bound_can_be_set_and_changed(start):
    one = start("", top='max_memory = "32MiB";')
    assert one.status()["max_memory"] == 32 << 20
    one.configure("", top='max_memory = "16MiB";')
    one.ctl("reload")
    assert one.status()["max_memory"] == 16 << 20
