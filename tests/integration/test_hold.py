"""Who waits while a service is down, for how long, and what the others are told."""
import time

import holdfast


def down(more=""):
    return holdfast.fixed("s", f"127.0.0.1:{holdfast.free_port()}", more)


def test_hold_timeout_and_reply(daemon):
    one = daemon(down('hold_timeout = 0.2; down_reply = "421 later\\r\\n";'))
    with one.client("s") as client:
        assert client.read_all() == b"421 later\r\n"


def test_a_reload_that_shortens_hold_timeout_is_followed_at_once(daemon):
    address = f"127.0.0.1:{holdfast.free_port()}"
    one = daemon(holdfast.fixed("s", address, "hold_timeout = 60;"))
    with one.client("s") as client:
        holdfast.until(lambda: one.wait_status("s", held=1)["held_longest_seconds"] > 0.3, "it has waited a while")
        one.configure(holdfast.fixed("s", address, 'hold_timeout = 0.4; down_reply = "late\n";'))
        one.command("reload")
        begun = time.monotonic()
        assert client.read_all() == b"late\n"
        assert time.monotonic() - begun < 3, "not at the next look, which comes after 5 s"


def test_max_held(daemon):
    one = daemon(down('max_held = 2; down_reply = "no room\\n";'))
    with one.client("s") as first, one.client("s") as second:
        one.wait_status("s", held=2)
        with one.client("s") as third:
            assert third.read_all() == b"no room\n"
        assert one.status("s")["held"] == 2
        first.send(b"x")
        second.send(b"x")


def test_refuse(daemon):
    one = daemon(down('on_down = "refuse"; down_reply = "down\\n";'))
    one.wait_status("s", up=False)
    with one.client("s") as client:
        assert client.read_all() == b"down\n"


def test_a_client_that_leaves_is_forgotten(daemon):
    one = daemon(down())
    with one.client("s"):
        one.wait_status("s", held=1)
    one.wait_status("s", held=0, clients=0)


def test_first_come_first_served(daemon, upstream):
    server = upstream(start=False)
    one = daemon(holdfast.fixed("s", server.address, "warm = 0;"))
    clients = []
    for number in range(5):
        clients.append(one.client("s"))
        one.wait_status("s", held=number + 1)
    places = [client["id"] for client in one.command("clients s")["clients"]]
    assert places == sorted(places)
    server.start()
    for number, client in enumerate(clients):
        assert client.ask(str(number)) == f"{number}\n".encode()
        client.close()


def test_held_keep_their_places_when_the_worker_dies(daemon, upstream):
    server = upstream(start=False)
    one = daemon(holdfast.fixed("s", server.address))
    clients = []
    for number in range(20):
        clients.append(one.client("s"))
        clients[-1].send(b"%d\n" % number)
    one.wait_status("s", held=20)
    ids = [client["id"] for client in one.command("clients s")["clients"]]
    for _ in range(5):
        one.kill_worker()
        one.wait_status("s", held=20)
    assert [client["id"] for client in one.command("clients s")["clients"]] == ids
    server.start()
    for number, client in enumerate(clients):
        assert client.line() == b"%d\n" % number
        client.close()
