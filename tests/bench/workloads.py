"""workloads - what the bench has each proxy do."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Load:
    name: str
    kind: str
    count: int
    size: int = 64
    one_cpu: bool = False
    unit: str = "round trip"

    def units(self, done):
        return done["bytes"] / 1e6 if self.unit == "MB" else done["units"]


@dataclasses.dataclass(frozen=True)
class Messages:
    """What redis-benchmark does, or, with memcached, work memcache."""
    command: str
    clients: int
    depth: int
    framing: str = "resp"
    unit: str = "operation"

    @property
    def name(self):
        before = "" if self.framing == "resp" else f"{self.framing} "
        return f"{before}{self.command} x {self.clients}, pipeline {self.depth}"


def ping(count, size, **more):
    return Load(f"ping-pong {size} B x {count}", "ping", count, size, **more)


def bulk(kind, count):
    return Load(f"{kind}load x {count}", kind, count, unit="MB")


ALL = [
    dataclasses.replace(ping(1, 64, one_cpu=True), name="ping-pong 64 B x 1, one CPU"),
    ping(1, 64), ping(16, 64), ping(256, 64), ping(1, 4096), ping(16, 4096), ping(256, 4096),
    bulk("up", 1), bulk("up", 8), bulk("up", 64), bulk("down", 1), bulk("down", 8), bulk("down", 64),
    Load("connect-ask-close x 1", "ask", 1, unit="connection"),
    Load("connect-ask-close x 32", "ask", 32, unit="connection"),
]

MESSAGES = [Messages(command, clients, depth) for clients in (1, 50, 500) for depth in (1, 16)
            for command in ("GET", "SET")]
MESSAGES += [Messages(command, clients, 1, "memcache") for clients in (1, 50) for command in ("get", "set")]
