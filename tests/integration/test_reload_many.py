"""As many services as there may be, all replaced in one reload."""
import pytest

import holdfast

pytestmark = pytest.mark.plain

MOST = 1024


def many(letter, address):
    return "".join(f'{letter}{number}: {{ address = "{address}"; warm = 0; }};\n' for number in range(MOST))


def test_all_services_are_replaced_at_once(daemon, upstream):
    server = upstream()
    one = daemon(many("a", server.address))
    for letter in "c":
        one.configure(many(letter, server.address))
        answer = one.command("reload")
        assert len(answer["added"]) == len(answer["removed"]) == MOST
    assert "not started" not in one.log()
    assert len(one.status()["services"]) == MOST
    with one.client("c1023") as client:
        assert client.ask("x") == b"x\n"
        one.configure(many("d", server.address))
        for command in ("reload --dry-run", "reload"):
            answer = one.command_raw(command)
            assert answer["ok"] is False and "1 removed ones whose clients have not ended" in answer["error"]
        assert client.ask("y") == b"y\n"
    holdfast.until(lambda: one.status("c1023")["clients"] == 0, "no client")
    one.command("reload")
    with one.client("d1023") as client:
        assert client.ask("z") == b"z\n"


def test_a_change_of_all_is_told_within_the_limits_of_an_answer(daemon, upstream):
    server = upstream()
    one = daemon(many("a", server.address))
    one.configure(many("a", server.address), top=f'''defaults: {{ down_reply = "{"x" * 5000}"; hold_timeout = 1;
        max_held = 2; idle_timeout = 3; max_clients = 4; retry: {{ delay = 5; }}; }};''')
    answer = one.command("reload --dry-run")
    assert len(answer["changed"]) == MOST
    assert sum(len(change["settings"]) for change in answer["changes"]) == 4096
    assert one.ctl("reload").returncode == 0
