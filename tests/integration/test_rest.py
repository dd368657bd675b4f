"""A server that ends unused connections is not a service that is down (P27, P28)."""
import holdfast


def idle_out(connection):
    """Ends a connection on which nothing was said for a second and a bit; echoes otherwise."""
    connection.settimeout(1.2)
    try:
        first = connection.recv(100)
    except TimeoutError:
        return
    connection.settimeout(None)
    while first:
        connection.sendall(first)
        first = connection.recv(100)


def test_rest_after_two_expiries(daemon, upstream):
    server = upstream(idle_out)
    one = daemon(holdfast.fixed("s", server.address))
    status = one.wait_status("s", resting=True)
    assert status["up"] and status["outages"] == 0 and status["disconnects"] == 0
    with one.client("s") as client:
        assert client.ask("x") == b"x\n"
    one.wait_status("s", resting=False)


def test_whoever_waits_for_an_idle_service_makes_it_dial(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, "warm = 0;"))
    assert one.status("s")["state"] == "idle"
    assert one.command_raw("wait s 0")["ok"] is False
    assert one.status("s")["attempts"] == 0, "the question dials nothing"
    assert one.command("wait s 5")["connected"] is True
    assert one.status("s")["attempts"] == 1
