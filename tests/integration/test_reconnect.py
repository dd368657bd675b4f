"""on_upstream_end = "reconnect": a client stays through fifty deaths of its server."""
import holdfast

DEATHS = 50


def test_client_stays_while_its_server_restarts(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, 'on_upstream_end = "reconnect"; retry: { delay = 0.05; };'))
    with one.client("s") as client:
        assert client.ask("first") == b"first\n"
        for death in range(DEATHS):
            before = server.accepted
            server.stop()
            server.start()
            server.wait_accepted(before + 2)  # the client's, and the one that is kept ready
            one.wait_status("s", up=True, held=0, clients=1)
            assert client.ask(f"line {death}") == f"line {death}\n".encode()
    assert one.restarts() == 0


def test_the_worker_dies_too(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, 'on_upstream_end = "reconnect"; retry: { delay = 0.05; };'))
    with one.client("s") as client:
        assert client.ask("first") == b"first\n"
        for death in range(10):
            before = server.accepted
            server.stop()
            one.kill_worker()
            server.start()
            server.wait_accepted(before + 2)
            one.wait_status("s", up=True, held=0, clients=1)
            assert client.ask(f"line {death}") == f"line {death}\n".encode()


def test_default_is_to_close(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    with one.client("s") as client:
        assert client.ask("first") == b"first\n"
        server.stop()
        assert client.at_end()


def test_not_attached_goes_back_to_the_held(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, "retry: { delay = 0.05; };"))
    with one.client("s") as client:
        one.wait_status("s", clients=1)
        server.stop()
        one.wait_status("s", held=1, clients=0)
        server.start()
        assert client.ask("after all") == b"after all\n"
