"""Under the real systemd: a service whose socket the daemon may not open does not keep the others from running."""
import box as box_module
import holdfast

pytestmark = box_module.MARKS
GROUP = "foreign"


def test_a_group_that_the_daemon_is_not_in(box):
    """The others serve; systemctl status, the journal and holdfastctl tell why, and that the unit can cure it."""
    box.run("groupadd", GROUP)
    quick = 'retry: { delay = 0.1; };'
    address = box.echo()
    box.configure(holdfast.fixed("bad", address, f'listen: {{ group = "{GROUP}"; }}; {quick}') +
                  holdfast.fixed("good", address, quick))
    box.start_anew()
    with box.client("good") as client:
        assert client.ask("x") == b"x\n"
    why = "socket /run/holdfast/bad.sock: cannot set owner or group: Operation not permitted"
    holdfast.until(lambda: why in box.show("StatusText"), "the reason in STATUS=")
    assert why in box.run("systemctl", "status", "holdfast.service").stdout
    assert why in box.journal() and "SupplementaryGroups=" in box.journal()
    assert not box.services()["bad"]["up"] and box.services()["good"]["up"]
    box.drop_in(f"SupplementaryGroups={GROUP}")
    box.do("systemctl", "restart", "holdfast.service")
    holdfast.until(lambda: box.services()["bad"]["socket_error"] is None, "the socket")
    assert box.do("stat", "-c", "%G", "/run/holdfast/bad.sock") == GROUP
    holdfast.until(lambda: why not in box.show("StatusText"), "STATUS= without it")
    box.drop_in()
