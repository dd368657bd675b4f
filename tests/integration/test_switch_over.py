"""A planned switch-over: pause, move the upstream's data elsewhere, resume, all under load.  Clients see a delay."""
import shutil
import time

import asking
import holdfast
import real_servers


def test_redis_moves_under_load(daemon, redis, ask, catalog, figure):
    """Each client counts up a key of its own, so that a lost, repeated or misplaced request is seen."""
    old, new = redis(), redis(start=False)
    catalog.publish("cache", "a", old.address)
    one = daemon(f'cache: {{ mode = "shared"; framing = "resp"; lookup: {{ catalog = "{catalog.folder}"; }}; }};\n')
    one.wait_connected("cache")
    clients = ask().start(one.socket("cache"), "redis-incr", clients=20, depth=4, seconds=60)
    clients.wait_running()
    for server, other in ((old, new), (new, old)):
        moved = int(old.cli("DBSIZE") or 0) if server is old else None
        clients.mark()
        begun = time.monotonic()
        one.command("pause cache 10")
        assert moved is None or moved > 0
        server.cli("SAVE")
        server.stop()
        shutil.copy(f"{server.folder}/dump.rdb", other.folder)
        other.start()
        catalog.publish("cache", "a", other.address)
        one.command("resume cache")
        delay = time.monotonic() - begun
        one.wait_status("cache", up=True, address=other.address)
        processed = int(one.status("cache")["messages_to_clients"])
        holdfast.until(lambda: one.status("cache")["messages_to_clients"] > processed + 100, "requests flow")
    result = clients.finish().result()
    status = one.status("cache")
    assert (status["outages"], status["losses"], status["retries"]) == (0, 0, 0)
    assert status["refused"] == dict.fromkeys(status["refused"], 0)
    figure(f"{result['right']} requests over two moves, the longest gap {result['gaps_ms'][-1]:.0f} ms, of which "
           f"moving took {delay * 1000:.0f}")


def test_a_line_server_moves_under_clients_that_come_and_go(daemon, upstream, catalog, figure):
    """Session mode.  The server keeps what it was told, and is the only one who has it."""
    kept = {}

    def server(data):
        def serve(connection):
            with connection.makefile("rb") as lines:
                for line in lines:
                    key = line.strip().decode()
                    data[key] = data.get(key, 0) + 1
                    connection.sendall(b"%s %d\n" % (line.strip(), data[key]))
        return serve
    old, new = upstream(server(kept)), None
    catalog.publish("s", "a", old.address)
    one = daemon(f's: {{ lookup: {{ catalog = "{catalog.folder}"; }}; }};\n')
    one.wait_connected("s")
    workers = [Visitor(one, f"w{i}") for i in range(8)]
    holdfast.until(lambda: all(worker.count > 5 for worker in workers), "they work")
    begun = time.monotonic()
    one.command("pause s 10")
    before = dict(kept)
    old.stop()
    new = upstream(server(before))  # the data has moved
    catalog.publish("s", "a", new.address)
    one.command("resume s")
    delay = time.monotonic() - begun
    counts = [worker.count for worker in workers]
    holdfast.until(lambda: all(w.count > c + 5 for w, c in zip(workers, counts)), "they go on")
    total = sum(worker.finish() for worker in workers)
    assert total == sum(before.values()), "each was counted once"
    assert one.status("s")["outages"] == 0
    figure(f"{total} visits, paused for {delay * 1000:.0f} ms, the longest visit "
           f"{max(worker.longest for worker in workers) * 1000:.0f} ms")


class Visitor:
    """Connects, says a line, hears the next number, leaves; again and again."""

    def __init__(self, one, name):
        self.one, self.name = one, name
        self.count, self.longest, self.wrong = 0, 0.0, None
        self.stopping = False
        self.thread = asking.threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.stopping:
                begun = time.monotonic()
                with self.one.client("s") as client:
                    answer = client.ask(self.name)
                assert answer == b"%s %d\n" % (self.name.encode(), self.count + 1), answer
                self.count += 1
                self.longest = max(self.longest, time.monotonic() - begun)
        except (OSError, AssertionError) as error:
            self.wrong = error

    def finish(self):
        self.stopping = True
        self.thread.join(holdfast.BOUND)
        assert self.wrong is None, f"{self.name}: {self.wrong!r}"
        return self.count


PAUSES = 60 if holdfast.LONG else 8


def disturb(one, service, number):
    """A pause and a resume, over which the worker dies in one of three ways, or not at all."""
    if number % 4 == 1:
        one.kill_worker()
    assert one.ctl("pause", service, "10").returncode == 0
    if number % 4 == 2:
        one.kill_worker()
        one.wait_status(service, paused=True, state="idle")
    assert one.ctl("resume", service).returncode == 0
    if number % 4 == 3:
        one.kill_worker()
    one.wait_status(service, paused=False, up=True)


def test_pauses_and_deaths_in_any_order_lose_no_request(daemon, redis, ask):
    one = daemon(asking.shared("cache", redis().address))
    clients = ask().start(one.socket("cache"), "redis-incr", clients=20, depth=4, seconds=120)
    clients.wait_running()
    for number in range(PAUSES):
        disturb(one, "cache", number)
        assert not clients.ended_within(0), clients.complaints()
    clients.finish().result()
    status = one.status("cache")
    assert (status["losses"], status["retries"], status["outages"]) == (0, 0, 0)


def test_pauses_and_deaths_in_any_order_lose_no_client(daemon, load):
    generator = load()
    one = daemon(holdfast.behind(generator))
    generator.start(one.socket("s"), 120, ask=8, ping=0, bulk=1, bulk_bytes=1 << 20)
    generator.wait_running()
    for number in range(PAUSES):
        disturb(one, "s", number)
        assert not generator.ended_within(0), generator.complaints()
    assert one.status("s")["outages"] == 0
    generator.finish()
    generator.result()
