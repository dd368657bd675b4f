"""asking - clients of a shared service: the load generator of messages, and single clients of Redis."""
import signal
import threading

import holdfast
from holdfast import BOUND

LOST = "-ERR holdfast: connection to the service was lost"
IDEMPOTENT = "set,get,mset,mget,echo"
ACK = 50  # messages of a feed between two acknowledgements of a reader
AHEAD = 8 * ACK  # messages that a feed is ahead of its readers, at most, until one more ACK is due


class Ask(holdfast.Generator):
    """The load generator of messages: many clients of one socket, each of whom checks its answers.  It is running
    when each client has had an answer; of one-way messages and feeds, when each is connected."""

    name = "ask"

    def start(self, path, mode, **options):
        """path: of a Unix socket, or a port; an option that is True has no value."""
        words = ["--port" if isinstance(path, int) else "--socket", str(path), "--mode", mode]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
        return self.launch(*words)

    def finish(self):
        """Nothing further is asked."""
        self.process.send_signal(signal.SIGTERM)
        return self


class Feed:
    """An upstream that speaks unasked, once begin is set, as quickly as its readers, ask with ack=ACK, hear it: who
    reads at all keeps up."""

    def __init__(self, readers, messages=1 << 60, size=1024):
        self.readers = readers
        self.messages = messages
        self.size = size
        self.begin = threading.Event()

    def serve(self, connection):
        self.begin.wait(BOUND)
        with connection.makefile("rb") as acks:
            for number in range(self.messages):
                head = b"feed %d " % number
                connection.sendall(head + bytes([97 + number % 26]) * (self.size - len(head) - 1) + b"\n")
                if number % ACK == 0 and number > AHEAD:
                    for _ in range(self.readers):
                        if not acks.readline():
                            return
            for _ in acks:
                pass


def shared(name, addresses, more="", framing="resp"):
    """A shared service with these addresses, best first."""
    if isinstance(addresses, str):
        addresses = [addresses]
    listed = ", ".join(f'"{address}"' for address in addresses)
    return (f'{name}: {{ mode = "shared"; framing = "{framing}"; addresses = [{listed}]; '
            f"retry: {{ delay = 0.1; }}; {more} }};\n")


def command(*words):
    """As client libraries write it."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class ReplyError(str):
    """An error reply, without its dash."""


class Resp:
    """One client of Redis, over the service's socket."""

    def __init__(self, place, bound=BOUND):
        self.client = place if isinstance(place, holdfast.Client) else holdfast.Client(place, bound)
        self.file = self.client.file

    def ask(self, *words):
        self.send(command(*words))
        return self.reply()

    def send(self, data):
        self.client.send(data)

    def reply(self):
        """str, ReplyError, int, bytes, None, a list or dict of these; EOFError at the end of the connection."""
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(line)
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return ReplyError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if int(rest) < 0 else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if int(rest) < 0 else [self.reply() for _ in range(int(rest))]
        if kind == b"%":
            return {self.reply(): self.reply() for _ in range(int(rest))}
        if kind == b"_":
            return None
        raise AssertionError(f"no reply begins like {line}")

    def at_end(self):
        return self.client.at_end()

    def close(self):
        self.client.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
