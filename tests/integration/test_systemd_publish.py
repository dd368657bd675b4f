"""holdfast-publish@NAME.service: an instance is in the default catalog for as long as the unit runs."""
import box as box_module
import holdfast

pytestmark = box_module.MARKS
UNIT = "holdfast-publish@s.service"


def test_the_unit_publishes_and_withdraws(box):
    address = box.echo()
    box.configure("s: { };")
    box.start_anew()
    box.write("/etc/holdfast/publish/s.conf",
              f"ADDRESS={address}\nOPTIONS='--copy one --check \"test -d /var/lib/holdfast\" --check-every 1'\n")
    with box.client("s") as client:  # waits
        box.do("systemctl", "start", UNIT)
        assert client.ask("x") == b"x\n"
    assert box.do("cat", "/var/lib/holdfast/catalog/s/one").startswith(f"{address} ttl=30\n")
    assert box.do("stat", "-c", "%U %a", "/var/lib/holdfast/catalog/s/one") == "holdfast 644"
    box.do("systemctl", "kill", "--signal=SIGKILL", UNIT)
    holdfast.until(lambda: box.show("NRestarts", UNIT) == "1" and box.show("ActiveState", UNIT) == "active", "again")
    box.do("systemctl", "stop", UNIT)
    assert box.run("test", "-e", "/var/lib/holdfast/catalog/s/one").returncode == 1
    assert box.show("Result", UNIT) == "success"
