"""library_redis_py - redis-py as programs use it; see libraries.py for what is printed.

library_redis_py.py SOCKET deaths|restarts THREADS [PROTOCOL]
"""
import json
import sys
import threading

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PATH, KIND, THREADS = sys.argv[1], sys.argv[2], int(sys.argv[3])
PROTOCOL = {"protocol": int(sys.argv[4])} if len(sys.argv) > 4 else {}
over = threading.Event()


def connect(database=0):
    # A request that was repeated would count twice: what newer versions do by themselves is off.
    return redis.Redis(unix_socket_path=PATH, db=database, retry=Retry(NoBackoff(), 0), **PROTOCOL)


class Visitor(threading.Thread):
    def __init__(self, number, holders):
        super().__init__()
        self.number = number
        self.holders = holders
        self.zero, self.one = connect(), connect(1)
        self.rounds, self.failures, self.wrong = 0, 0, []
        self.counters = {}

    def check(self, what, got, expected):
        if got != expected:
            self.wrong.append(f"{what}: {got!r} in place of {expected!r}")

    def run(self):
        steps = [self.count, self.transaction, self.watched, self.pipeline, self.queue, self.database, self.channel,
                 self.lock]
        try:
            while not over.is_set():
                for step in steps:
                    self.attempt(step)
                self.rounds += 1
        except Exception as failure:
            self.wrong.append(f"{type(failure).__name__}: {failure}")
        self.zero.close()
        self.one.close()

    def attempt(self, step):
        try:
            step()
        except redis.RedisError as failure:
            self.failures += 1
            print(f"{step.__name__}: {type(failure).__name__}: {failure}", file=sys.stderr)

    def counting(self, key, ask):
        """ask() adds one to it and gives what it is then; None: nothing was done."""
        known = self.counters.setdefault(key, [0, 0])
        try:
            got = ask()
        except redis.RedisError:
            known[1] += 1
            raise
        if got is None:
            return
        known[0] += 1
        if not known[0] <= got <= known[0] + known[1]:
            self.wrong.append(f"{key}: {got}, but {known[0]} were acknowledged, and {known[1]} not")
        known[:] = [got, 0]

    def count(self):
        key = f"zero:count:{self.number}"
        self.counting(key, lambda: self.zero.incr(key))

    def both(self, first, second):
        self.check("a transaction's two keys", first, second)
        return first

    def transaction(self):
        a, b = f"zero:a:{self.number}", f"zero:b:{self.number}"
        self.counting(a, lambda: self.both(*self.zero.pipeline().incr(a).incr(b).execute()))

    def watched(self):
        """All threads add to the same key; who was overtaken tries again.  Not with redis-py's transaction(): that
        tries again after a loss, too, in which the first one may have been carried out."""
        def add():
            while True:
                with self.zero.pipeline() as pipe:
                    try:
                        pipe.watch("zero:watched")
                        value = int(pipe.get("zero:watched") or 0)
                        pipe.multi()
                        return pipe.set("zero:watched", value + 1).incr(mine).execute()[1]
                    except redis.WatchError as error:
                        if "ConnectionError" in str(error):
                            raise redis.ConnectionError(str(error)) from error
        mine = f"zero:watched:{self.number}"
        self.counting(mine, add)

    def pipeline(self):
        pipe = self.zero.pipeline(transaction=False)
        values = [f"{self.number} {self.rounds} {place}".encode() for place in range(10)]
        for place, value in enumerate(values):
            pipe.set(f"zero:pipe:{self.number}:{place}", value).get(f"zero:pipe:{self.number}:{place}")
        self.check("pipeline", pipe.execute(), [item for value in values for item in (True, value)])

    def queue(self):
        name, value = f"zero:queue:{self.number}", f"{self.rounds}".encode()
        self.zero.delete(name)
        self.zero.lpush(name, value)
        self.check("brpop", self.zero.brpop(name, 5), (name.encode(), value))

    def database(self):
        name, value = f"one:{self.number}", f"{self.number} {self.rounds}".encode()
        self.one.set(name, value)
        self.check("get in database 1", self.one.get(name), value)
        self.check("get in database 0", self.zero.get(name), None)

    def channel(self):
        name, value = f"channel:{self.number}", f"{self.rounds}".encode()
        with self.zero.pubsub(ignore_subscribe_messages=True) as subscriber:
            subscriber.subscribe(name)
            subscriber.get_message(timeout=5)  # the subscription's own
            count = self.zero.publish(name, value)
            message = count and subscriber.get_message(timeout=5)
            if KIND == "restarts" and not message:  # the subscription was lost, and is made again
                self.failures += 1
                return
            self.check("publish", count, 1)
            self.check("message", message and message["data"], value)

    def lock(self):
        with self.zero.lock("zero:lock", timeout=3, sleep=0.01, blocking_timeout=6):
            self.holders.append(self.number)
            self.check("holders of a lock", list(self.holders), [self.number])
            self.holders.remove(self.number)


def main():
    holders = []
    visitors = [Visitor(number, holders) for number in range(THREADS)]
    for visitor in visitors:
        visitor.start()
    print("running", flush=True)
    sys.stdin.read()
    over.set()
    for visitor in visitors:
        visitor.join()
    counters = {key: value for visitor in visitors for key, value in visitor.counters.items()}
    print(json.dumps({
        "version": redis.__version__,
        "rounds": sum(visitor.rounds for visitor in visitors),
        "failures": sum(visitor.failures for visitor in visitors),
        "wrong": [text for visitor in visitors for text in visitor.wrong],
        "counters": counters,
        "equal": [[f"zero:a:{number}", f"zero:b:{number}"] for number in range(THREADS)],
        "sums": {"zero:watched": [key for key in counters if key.startswith("zero:watched:")]},
    }), flush=True)


main()
