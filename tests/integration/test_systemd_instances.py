"""holdfast@NAME.service: several daemons on one host, each with its own file, folder and control socket."""
import pytest

import box as box_module
import holdfast

pytestmark = box_module.MARKS
ALONE = 'include_directory = "";'


def unit(name):
    return f"holdfast@{name}.service"


@pytest.fixture
def both(box):
    """Two instances and holdfast.service, each with a service "s" of its own server."""
    for name in ("holdfast", "web", "web-2"):
        box.configure(holdfast.fixed("s", box.echo()), ALONE, name)
    box.start_anew(box_module.UNIT, unit("web"), unit("web-2"))
    yield box
    box.do("systemctl", "stop", unit("web"), unit("web-2"))


def test_they_do_not_collide(both):
    folders = ("holdfast", "holdfast-web", "holdfast-web-2")
    assert len({both.status(folder)["pid"] for folder in folders}) == 3
    assert len({both.services(folder)["s"]["socket"] for folder in folders}) == 3
    for folder in folders:
        with both.client("s", folder) as client:
            assert client.ask(folder) == f"{folder}\n".encode()
    assert both.do("stat", "-c", "%U %a", "/run/holdfast-web") == "holdfast 755"


def test_one_stops_alone(both):
    both.do("systemctl", "stop", unit("web"), box_module.UNIT)
    with both.client("s", "holdfast-web-2") as client:
        assert client.ask("still here") == b"still here\n"


def test_reload_is_for_one(both):
    more = holdfast.fixed("s", "127.0.0.1:9") + holdfast.fixed("more", "127.0.0.1:9")
    for name in ("web", "web-2"):
        both.configure(more, ALONE, name)
    both.do("systemctl", "reload", unit("web"))
    assert "more" in both.services("holdfast-web")
    assert "more" not in both.services("holdfast-web-2")


def test_broken_reload_of_one(both):
    both.write("/etc/holdfast/web.conf", "services:\n{\n\ts: { adress = 1; };\n};\n")
    assert both.run("systemctl", "reload", unit("web")).returncode != 0
    holdfast.until(lambda: "/etc/holdfast/web.conf:3: " in both.journal(unit("web")), "the reason in the journal")
    assert "s" in both.services("holdfast-web")
