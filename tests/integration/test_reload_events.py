"""Reload and events: what needs no new connection makes none; what does keeps the order of P7 and P10."""
import holdfast


def events(one):
    return [entry["event"] for entry in one.command("explain s")["entries"] if entry["event"] != "note"]


def test_settings_of_the_local_side_touch_no_connection(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    one.wait_connected("s")
    before, story = one.status("s"), events(one)
    one.configure(holdfast.fixed("s", server.address, "hold_timeout = 5; max_clients = 7;"))
    assert one.command("reload")["changed"] == ["s"]
    after = one.status("s")
    assert (after["connects"], after["since"], after["warm"]) == (before["connects"], before["since"], 1)
    assert events(one) == story
    assert "max_clients = 7" in one.command("config s")["config"]


def test_another_address_is_a_disconnect_and_a_connect(daemon, upstream):
    first, second = upstream(), upstream()
    one = daemon(holdfast.fixed("s", first.address))
    one.wait_connected("s")
    story = events(one)
    one.configure(holdfast.fixed("s", second.address))
    one.command("reload")
    holdfast.until(lambda: events(one)[len(story):] == [
        "disconnected", "attempting_to_connect", "obtained_address", "connected"], "the new connection's story")
    assert one.status("s")["address"] == second.address
    assert one.status("s")["outages"] == 0
