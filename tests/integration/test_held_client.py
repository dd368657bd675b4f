"""A client that came while nothing was up is answered as soon as the service is."""
import select
import time

import holdfast

OUTAGE = 3.0


def held_client(one):
    """Connects and asks while nothing is up; for OUTAGE seconds nothing happens to it."""
    client = one.client("s")
    client.send(b"anybody?\n")
    one.wait_status("s", held=1, clients=0)
    assert not select.select([client.socket], [], [], OUTAGE)[0], "held clients hear nothing"
    return client


def answered_after(client, begin):
    assert client.line() == b"anybody?\n"
    return (time.monotonic() - begin) * 1e3


def test_catalog_wakes_the_attempt(daemon, upstream, catalog, figure):
    server = upstream(start=False)
    one = daemon(f's: {{ lookup: {{ catalog = "{catalog.folder}"; }}; }};')
    with held_client(one) as client:
        server.start()
        begin = time.monotonic()
        catalog.publish("s", "one", server.address)
        took = answered_after(client, begin)
    figure(f"{took:.1f} ms")
    assert took < 50 * holdfast.slower()


def test_fixed_address_is_tried_often(daemon, upstream, figure):
    server = upstream(start=False)
    one = daemon(holdfast.fixed("s", server.address))
    with held_client(one) as client:
        server.start()
        took = answered_after(client, time.monotonic())
    figure(f"{took:.1f} ms")
    assert took < 300 * holdfast.slower()
