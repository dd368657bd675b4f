"""hostile - what bad clients of a shared service do, and that nobody else notices."""
import holdfast

LIMIT = 64 << 10
SMALL = f"max_message = {LIMIT}; "


def say(client, data):
    """As much of it as is taken."""
    try:
        client.send(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


def hear(client):
    """All that comes until the end, which may be rude."""
    heard = b""
    try:
        while data := client.socket.recv(65536):
            heard += data
    except ConnectionResetError:
        pass
    return heard


class Closed:
    """Is closed for what it says; with this before, or, as framings without an error reply have it, nothing."""

    def __init__(self, *data, answer=b""):
        self.data = data
        self.answer = answer

    def __call__(self, one, service):
        with one.client(service) as client:
            for data in self.data:
                say(client, data)
            heard = hear(client)
        assert heard.startswith(self.answer) and bool(heard) == bool(self.answer), heard[:200]


class Answered:
    """Is odd, but right."""

    def __init__(self, data, answer, byte_by_byte=False):
        self.pieces = [data[at:at + 1] for at in range(len(data))] if byte_by_byte else [data]
        self.answer = answer

    def __call__(self, one, service):
        with one.client(service) as client:
            for piece in self.pieces:
                client.send(piece)
            client.shutdown()
            assert client.read_all() == self.answer


class HalfCloses:
    """A part of a message will never become one."""

    def __init__(self, data):
        self.data = data

    def __call__(self, one, service):
        with one.client(service) as client:
            client.send(self.data)
            client.shutdown()
            assert client.read_all()[:1] in (b"", b"-")


class Vanishes:
    """Says this and is gone."""

    def __init__(self, data, count=1):
        self.data = data
        self.count = count

    def __call__(self, one, service):
        for client in [one.client(service) for _ in range(self.count)]:
            client.send(self.data)
            client.close()


class Stays:
    """Says this, or as much as is taken, and then only stands in the way, reading nothing."""

    def __init__(self, data, count=1):
        self.data = data
        self.count = count
        self.clients = []

    def __call__(self, one, service):
        self.clients = [one.client(service) for _ in range(self.count)]
        for client in self.clients:
            client.socket.setblocking(False)
            try:
                client.socket.send(self.data)
            except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                pass

    def leave(self):
        for client in self.clients:
            client.close()


def play(one, kind, bystander):
    """The hostile does its worst to service "s" while the bystander, a load, is answered all the time."""
    bystander.wait_running()
    kind(one, "s")
    bystander.mark()
    assert not bystander.ended_within(0.1), bystander.complaints()
    result = bystander.finish().result()
    assert result["right"] == result["operations"]
    assert result["slowest_ms"][0] > 0, "the bystander was answered while the hostile stayed"
    if isinstance(kind, Stays):
        kind.leave()
    assert_unharmed(one)


def assert_unharmed(one):
    one.wait_status("s", clients=0, in_flight=0, queued=0)
    status = one.status("s")
    assert (status["disconnects"], status["losses"]) == (0, 0)
    assert one.restarts() == 0
    assert holdfast.proc_state(one.keeper) not in ("", "Z")
