"""What operators do to a shared service: drain, close, reload, remove; what its clients see of it."""
import socket
import threading

import asking
import holdfast
from asking import Resp
from upstream import answering, collecting


def cli(server, *words):
    """Directly, not over the service."""
    return holdfast.run("redis-cli", "-p", str(server.port), *words).stdout


def test_a_drain_without_clients_finishes(daemon, redis):
    one = daemon(asking.shared("cache", redis().address))
    one.wait_connected("cache")
    one.command("drain cache")
    one.wait_status("cache", state="drained")
    one.command("open cache")
    one.wait_status("cache", state="connected")


def test_a_drain_serves_those_who_are_there_to_their_end(daemon, redis):
    one = daemon(asking.shared("cache", redis().address))
    with Resp(one.socket("cache")) as client:
        assert client.ask("PING") == "PONG"
        one.command("drain cache")
        with one.client("cache") as other:
            assert other.at_end()
        assert client.ask("PING") == "PONG"
    one.wait_status("cache", state="drained", clients=0)


def test_a_close_turns_requests_away_and_keeps_clients(daemon, redis):
    one = daemon(asking.shared("cache", redis().address))
    with Resp(one.socket("cache")) as client:
        assert client.ask("PING") == "PONG"
        one.command("close cache")
        assert str(client.ask("PING")).startswith("ERR holdfast")
        one.command("open cache")
        one.wait_connected("cache")
        assert client.ask("PING") == "PONG"


def test_what_clients_were_promised_cannot_change(daemon, redis):
    server = redis()
    one = daemon(asking.shared("cache", server.address))
    for text in (holdfast.fixed("cache", server.address), asking.shared("cache", server.address, framing="line")):
        one.configure(text)
        answer = one.command_raw("reload")
        assert not answer["ok"] and "cannot change" in str(answer)
    one.configure(asking.shared("cache", server.address, 'on_loss = "retry"; max_in_flight = 2; '))
    with Resp(one.socket("cache")) as client:
        one.command("reload")
        assert [client.ask("PING") for _ in range(5)] == ["PONG"] * 5


def test_a_removed_service_serves_its_clients_over_a_workers_death(daemon, redis):
    server = redis()
    one = daemon(asking.shared("cache", server.address) + asking.shared("other", server.address))
    with Resp(one.socket("cache")) as client:
        assert client.ask("PING") == "PONG"
        one.configure(asking.shared("other", server.address))
        one.command("reload")
        assert client.ask("ECHO", "a") == b"a"
        one.kill_worker()
        assert client.ask("ECHO", "b") == b"b"
    holdfast.until(lambda: one.command("clients")["clients"] == [], "the last client is gone")


def test_a_datagram_of_a_removed_service_goes_nowhere(daemon, upstream):
    """Its place in the table is the next one's."""
    heard = []
    server = upstream(collecting(heard))
    dgram = 'replies = "none"; max_message = 131072; listen: { type = "dgram"; }; '
    one = daemon(asking.shared("old", f"127.0.0.1:{holdfast.free_port()}", dgram, "line"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.connect(one.socket("old"))
        for number in range(12):  # the last one finds no place in the queue
            client.send(b"secret %d" % number + bytes(100000))
        one.configure("")
        one.command("reload --force")
    one.configure(asking.shared("new", server.address, dgram, "line"))
    one.command("reload")
    one.wait_connected("new")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.connect(one.socket("new"))
        client.send(b"hello")
    holdfast.until(lambda: heard, "what is sent now arrives")
    assert heard == [b"hello\n"]


def test_what_nobody_asked_for_ends_the_connection(daemon, upstream):
    server = upstream(lambda connection: (connection.sendall(b"+welcome\r\n"), connection.recv(100)))
    one = daemon(asking.shared("s", server.address))
    holdfast.until(lambda: one.status("s")["disconnects"] > 1, "it is lost again and again")
    assert "nobody asked for" in str(one.command("explain s"))


def test_a_heartbeat_is_answered(daemon, redis):
    beat = r'heartbeat: { send = "PING\r\n"; expect = "+PONG"; interval = 0.05; timeout = 1; }; '
    server = redis()
    one = daemon(asking.shared("cache", server.address, beat))
    one.wait_connected("cache")
    holdfast.until(lambda: "cmdstat_ping:calls=" in cli(server, "INFO", "commandstats"), "it has been asked")
    assert one.status("cache")["disconnects"] == 0


def test_a_hung_upstream_is_given_up_for_its_heartbeat(daemon, upstream):
    server = upstream(lambda connection: connection.recv(1 << 16) and connection.recv(1 << 16))
    beat = 'heartbeat: { send = "ping"; interval = 0.05; timeout = 0.1; }; '
    one = daemon(asking.shared("s", server.address, beat, "line"))
    holdfast.until(lambda: one.status("s")["disconnects"] > 1, "it is given up")
    assert "no answer to the heartbeat" in str(one.command("explain s"))


def test_what_waits_ends_in_time_however_often_it_is_tried(daemon):
    address = f"127.0.0.1:{holdfast.free_port()}"
    often = "hold_timeout = 1; hold_retry = 0.02; "
    one = daemon(asking.shared("told", address, often) + asking.shared("closed", address, often, "line"))
    with Resp(one.socket("told")) as told, one.client("closed") as closed:
        told.send(asking.command("PING"))
        closed.send(b"hello\n")
        assert str(told.reply()).startswith("ERR holdfast")
        assert closed.at_end()


def test_a_smaller_limit_shows_nobodys_bytes(daemon, redis):
    """What was found out about half a message with the larger one is forgotten."""
    server = redis()
    one = daemon(asking.shared("cache", server.address, "max_message = 65536; "))
    with Resp(one.socket("cache")) as earlier:
        earlier.send(b"SET private " + b"TOPSECRET" * 3000 + b"\r\n")
        assert earlier.reply() == "OK"
    with Resp(one.socket("cache")) as client:
        client.send(b"SET loot " + b"a" * 20000)
        holdfast.until(lambda: one.command("clients")["clients"], "it is there")
        one.configure(asking.shared("cache", server.address, "max_message = 2000; "))
        one.command("reload")
        client.send(b"x")
        assert "Protocol error" in client.reply()
        assert client.at_end()
    assert cli(server, "EXISTS", "loot").strip() == "0"


def test_a_nul_hides_no_command(daemon, redis):
    one = daemon(asking.shared("cache", redis().address, 'on_state = "refuse"; '))
    with Resp(one.socket("cache")) as bystander:
        for words in ((b"POST\0x",), (b"XREAD", b"BLOCK\0", "0", "STREAMS", "s", "$")):
            with Resp(one.socket("cache")) as client:
                assert str(client.ask(*words)).startswith("ERR")
            assert bystander.ask("PING") == "PONG"
    assert one.status("cache")["disconnects"] == 0


def test_protocol_3_is_a_matter_of_hello(daemon, redis):
    hello = r'hello = ( { send = "HELLO 3\r\n"; expect = "%"; }, { send = "SELECT 3\r\n"; expect = "+OK"; } ); '
    one = daemon(asking.shared("cache", redis().address, hello))
    with Resp(one.socket("cache")) as client:
        client.send(asking.command("HELLO", 3))
        while client.file.readline() != b"*0\r\n":
            pass
        assert client.ask("ECHO", "mine") == b"mine"
        assert client.ask("SELECT", "3") == "OK"
        assert client.ask("HSET", "h", "a", "1") == 1
        client.send(asking.command("HGETALL", "h"))
        assert client.file.readline() == b"%1\r\n"


def test_deaf_clients_cost_the_others_one_moment(daemon, redis):
    one = daemon(asking.shared("cache", redis().address))
    with Resp(one.socket("cache")) as bystander:
        assert bystander.ask("SET", "big", b"b" * 1000000) == "OK"
        deaf = [Resp(one.socket("cache")) for _ in range(10)]
        for client in deaf:
            for count in (8, 16, 32, 64):  # it is trusted with more at once
                client.send(asking.command("PING") * count)
                for _ in range(count):
                    client.reply()
        for client in deaf:
            client.send(asking.command("GET", "big") * 16)
        assert bystander.ask("PING") == "PONG"
        holdfast.until(lambda: one.status("cache")["clients"] == 1, "the deaf ones are closed")
        for client in deaf:
            client.close()


def test_a_large_request_has_its_turn(daemon, upstream):
    """Others that come all the time, and find the place that it needs, do not go before it again and again."""
    server = upstream(answering(lambda line: line[:1] + b"\n"))
    one = daemon(asking.shared("s", server.address, "", "line"))
    answered, over = [], threading.Event()

    def ask():
        with one.client("s") as client:
            while not over.is_set():
                client.send(b"m" * 150000 + b"\n")
                assert client.line() == b"m\n"
                answered.append(1)
    others = [threading.Thread(target=ask) for _ in range(40)]
    for other in others:
        other.start()
    try:
        with one.client("s") as client:
            holdfast.until(lambda: len(answered) > 80, "all are under way")
            for _ in range(5):
                before = len(answered)
                client.send(b"L" * 1048000 + b"\n")
                assert client.line() == b"L\n"
                assert len(answered) - before < 200
    finally:
        over.set()
        for other in others:
            other.join()
