"""A feed to many clients, one of whom never reads: the others hear every message, in order; memory is bounded."""
import asking
import holdfast

CLIENTS = 500 if holdfast.LONG else 100
MESSAGES = 6000 if holdfast.LONG else 2500  # of 1 KiB: more than the one that does not keep up may owe
# What the worker may take: its own, and of each client what the feed lets it be behind, a fraction of all messages.
MEMORY = ((400 if holdfast.SANITIZED else 32) << 20) + CLIENTS * (asking.AHEAD + asking.ACK) * 1024


def most_resident(pid):
    """The most bytes that the process had in memory ever, those of the table that it has touched among them."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


def test_all_but_the_one_that_never_reads_hear_everything(daemon, upstream, ask, figure):
    feed = asking.Feed(CLIENTS - 1, MESSAGES)
    server = upstream(feed.serve)
    one = daemon(asking.shared("feed", server.address, 'replies = "broadcast"; max_message = "64KiB"; ', "line"))
    readers = ask().start(one.socket("feed"), "feed", clients=CLIENTS, deaf=1, ops=MESSAGES, ack=asking.ACK)
    readers.wait_running()
    one.wait_status("feed", clients=CLIENTS)
    feed.begin.set()
    result = readers.result()
    most = most_resident(one.worker())
    assert one.restarts() == 0, "the worker that is measured did it all"
    figure(f"{result['right']} messages in {result['seconds']} s, worker's memory {most >> 20} MiB")
    assert result["right"] == (CLIENTS - 1) * MESSAGES
    assert result["deaf_closed"] == 1
    assert most < MEMORY
    assert one.status("feed")["disconnects"] == 0


def test_clients_speak_to_the_feed_too(daemon, upstream):
    """What one says comes back to everybody."""
    server = upstream()
    one = daemon(asking.shared("chat", server.address, 'replies = "broadcast"; ', "line"))
    clients = [one.client("chat") for _ in range(5)]
    one.wait_status("chat", clients=5)
    for number, client in enumerate(clients):
        client.send(f"from {number}\n".encode())
        assert [each.line() for each in clients] == [f"from {number}\n".encode()] * 5
    for client in clients:
        client.close()


def test_a_feed_goes_on_after_an_outage(daemon, upstream):
    """Clients stay, and hear the next connection from its first message on."""
    def serve(connection):
        connection.sendall(b"hello\n")
        connection.recv(1)
    server = upstream(serve, start=False)
    one = daemon(asking.shared("feed", server.address, 'replies = "broadcast"; ', "line"))
    clients = [one.client("feed") for _ in range(3)]
    one.wait_status("feed", held=0, clients=3)
    for _ in range(3):
        server.start()
        assert [client.line() for client in clients] == [b"hello\n"] * 3
        server.stop()
    for client in clients:
        client.close()
