"""clients and kill by the address of the upstream: of each client's own connection, or of the one that all share."""
import pytest

import holdfast

MODES = {"session": "", "shared": 'mode = "shared"; framing = "line"; '}


@pytest.mark.parametrize("mode", MODES)
def test_clients_are_counted_and_ended_by_address(daemon, upstream, mode):
    servers = [upstream(), upstream()]
    one = daemon("".join(holdfast.fixed(name, server.address, MODES[mode]) for name, server in
                         zip(("first", "second"), servers)))
    clients = [one.client("first") for _ in range(3)] + [one.client("second")]
    for client in clients:
        assert client.ask("hello") == b"hello\n"
    address, other = servers[0].address, servers[1].address
    assert {client["address"] for client in one.command("clients first")["clients"]} == {address}
    assert one.command("clients --by address")["counts"] == [{"address": address, "clients": 3, "held": 0},
                                                             {"address": other, "clients": 1, "held": 0}]
    wrong = one.ctl("kill", "first", "--address", other)
    assert wrong.returncode == 1 and f"no client of first has address {other}" in wrong.stderr
    assert one.ctl("kill", "first", "--address", address).stdout == "3 clients ended\n"
    assert all(client.at_end() for client in clients[:3])
    assert clients[3].ask("still") == b"still\n"
    for client in clients:
        client.close()


def test_no_client_of_a_shared_service_has_the_address_of_a_lost_upstream(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address, MODES["shared"]))
    with one.client("s") as client:
        assert client.ask("hello") == b"hello\n"
        server.stop()
        holdfast.until(lambda: one.status("s")["state"] != "connected", "the loss")
        assert one.command("clients s")["clients"][0]["address"] is None
        assert one.ctl("kill", "s", "--address", server.address).returncode == 1
        assert one.status("s")["clients"] == 1
