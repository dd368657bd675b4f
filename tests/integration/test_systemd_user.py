"""The unit of a user's own, under a systemd --user that is run by hand: nobody logs in, in the box."""
import pytest

import box as box_module
import holdfast

pytestmark = box_module.MARKS
MANAGER = "user-manager.service"


class User:
    """What a user does."""

    def __init__(self, box):
        self.box = box
        self.uid = box.do("id", "-u", box_module.CLIENT)
        self.runtime = f"/run/user/{self.uid}"
        box.do("install", "-d", "-o", box_module.CLIENT, "-m", "0700", self.runtime)
        box.begin(MANAGER, "/usr/lib/systemd/systemd", "--user", more=[
            "--property=Type=notify", "--property=Delegate=yes", f"--setenv=XDG_RUNTIME_DIR={self.runtime}",
            f"--setenv=HOME=/home/{box_module.CLIENT}"])

    def run(self, *words):
        return self.box.run("env", f"XDG_RUNTIME_DIR={self.runtime}", *words, user=box_module.CLIENT)

    def do(self, *words):
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr + self.box.journal(MANAGER)
        return done.stdout.strip()

    def configure(self, services):
        text = f"services:\n{{\n{services}\n}};\n"
        self.box.write(f"/home/{box_module.CLIENT}/.config/holdfast/holdfast.conf", text)


@pytest.fixture(scope="module")
def user(box):
    one = User(box)
    yield one
    box.do("systemctl", "stop", MANAGER)


def test_own_services(user):
    """Its file, its folder; holdfastctl finds it without being told; a reload fails with the reason."""
    user.configure(holdfast.fixed("own", user.box.echo()))
    user.do("systemctl", "--user", "start", "holdfast.service")
    assert "own" in user.do("holdfastctl", "status")
    assert user.box.do("stat", "-c", "%U", f"{user.runtime}/holdfast/own.sock") == box_module.CLIENT
    with holdfast.Client(user.box.path(f"{user.runtime}/holdfast/own.sock")) as client:
        assert client.ask("hello") == b"hello\n"
    user.configure("own: { adress = 1; };")
    assert user.run("systemctl", "--user", "reload", "holdfast.service").returncode != 0
    status = ("systemctl", "--user", "show", "-P", "StatusText", "holdfast.service")
    holdfast.until(lambda: "holdfast.conf:3: " in user.do(*status), "the reason in STATUS=")
    user.configure(holdfast.fixed("own", "127.0.0.1:9") + holdfast.fixed("other", "127.0.0.1:9"))
    user.do("systemctl", "--user", "reload", "holdfast.service")
    assert "other" in user.do("holdfastctl", "status")
    user.do("systemctl", "--user", "stop", "holdfast.service")
    assert user.do("systemctl", "--user", "show", "-P", "Result", "holdfast.service") == "success"
