"""Debian packages, built by make deb and installed by dpkg in a box: the service is up, an upgrade or a step back
under load loses nobody, and nothing is left after purge."""
import glob
import os
import shutil

import pytest

import box as box_module
import holdfast
from test_systemd_restart import OPEN

BUILD_TOOLS = "dpkg-buildpackage", "dh"
pytestmark = [*box_module.MARKS, pytest.mark.long, pytest.mark.skipif(
    not all(map(shutil.which, BUILD_TOOLS)), reason="needs dpkg-dev and debhelper: apt-get install debhelper")]
VERSIONS = "0.1.0~first", "0.1.0~second"
ALL_60 = dict(bulk=4, ping=30, ask=20, half=6)
# The box has no network, and what the packages depend on is the host's.
INSTALL = "dpkg", "--install"


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The folder of each version's packages, by the order of VERSIONS."""
    folders = []
    for version in VERSIONS:
        folder = tmp_path_factory.mktemp("deb")
        done = holdfast.run("make", "-C", holdfast.BUILD, "deb", f"DEB_VERSION={version}", bound=600,
                            env={**os.environ, "DEB_BUILD_OPTIONS": "nocheck parallel=2"})
        assert done.returncode == 0, done.stdout + done.stderr
        for path in glob.glob(f"{holdfast.BUILD}/deb/*_{version}_*.deb"):
            shutil.move(path, folder)
        folders.append(str(folder))
    return folders


@pytest.fixture
def empty_box(folder, packages):
    """One in which nothing of ours was installed; packages lie in /first and /second."""
    one = box_module.Box(folder)
    one.start(binds=[f"{place}:/{name}" for place, name in zip(packages, ("first", "second"))])
    tools = one.path(box_module.TOOLS)
    os.makedirs(tools)
    for name in ("load", "ask"):
        shutil.copy(os.environ.get(f"HOLDFAST_{name.upper()}") or f"{holdfast.BUILD}/tests/integration/{name}", tools)
    yield one
    one.stop()


def install(box, place, *names):
    paths = [path for name in names for path in glob.glob(f"{box.path(place)}/{name}_*.deb")]
    assert len(paths) == len(names)
    box.do(*INSTALL, *(path[len(box.root):] for path in paths))


def ours(box):
    """Files, users and units of ours in the box."""
    found = box.run("find", "/etc", "/usr", "/var", "/lib/systemd", "-not", "-path", "/usr/share/doc*", "-not",
                    "-path", "*/mandb*", "-name", "*holdfast*").stdout.split()
    return [path for path in found if not path.startswith(("/var/lib/dpkg/info", "/var/log"))]


def test_installed_it_is_up_and_a_service_is_one_file_away(empty_box):
    box = empty_box
    install(box, "/first", "holdfast", "holdfast-tls", "holdfast-lookups")
    assert box.show("ActiveState") == "active" and box.show("UnitFileState") == "enabled"
    assert box.show("ActiveState", "holdfast-tls.socket") == "active"
    assert box.status()["services"] == []
    address = box.echo()
    box.write("/etc/holdfast/services.d/s.conf", f'services: {{ s: {{ address = "{address}"; }}; }};\n')
    box.do("holdfastctl", "reload")
    with box.client("s") as client:
        assert client.ask("x") == b"x\n"
    assert "lookup-dns" in box.do("/usr/libexec/holdfast/lookup-dns", "--help")


def test_upgrades_and_steps_back_under_load_lose_nobody(empty_box, figure):
    box = empty_box
    install(box, "/first", "holdfast", "holdfast-tls")
    load = box.load()
    box.configure(holdfast.fixed("s", load.address, OPEN))
    box.do("holdfastctl", "reload")
    load.start("/run/holdfast/s.sock", 600, think=5, **ALL_60)
    load.wait_running()
    for place in ("/second", "/first", "/second"):
        before = box.main_pid()
        load.mark()
        install(box, place, "holdfast", "holdfast-tls")
        box.wait_restart(before)
    load.finish()
    result = load.result()
    figure(f"3 installations over another, {result['bytes'] >> 20} MiB, {result['round_trips']} round trips, "
           f"{result['ask']} short connections, longest stall {max(result['marks_ms']):.0f} ms")
    assert result["errors"] == 0


def test_what_is_changed_stays_and_purge_leaves_nothing(empty_box):
    box = empty_box
    before = ours(box)
    install(box, "/first", "holdfast", "holdfast-tls", "holdfast-lookups")
    box.configure('s: { address = "127.0.0.1:9"; };')
    install(box, "/second", "holdfast", "holdfast-tls", "holdfast-lookups")
    assert "s" in box.services()
    box.do("dpkg", "--remove", "holdfast-tls", "holdfast-lookups", "holdfast")
    assert box.show("ActiveState") != "active" and os.path.exists(box.path("/etc/holdfast/holdfast.conf"))
    box.do("dpkg", "--purge", "holdfast-tls", "holdfast-lookups", "holdfast")
    assert ours(box) == before
