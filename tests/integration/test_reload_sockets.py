"""Reload and the sockets: all that can fail does so before anything changes."""
import os
import stat

import holdfast


def at(name, address, path, more=""):
    return holdfast.fixed(name, address, f'listen: {{ path = "{path}"; {more} }};')


def test_a_path_changes_twice_and_clients_stay(daemon, upstream):
    server = upstream()
    one = daemon(at("s", server.address, "a.sock"))
    with one.client("a") as client:
        assert client.ask("1") == b"1\n"
        for path in ("b", "sub/c"):
            one.configure(at("s", server.address, path + ".sock"))
            one.command("reload")
            with one.client(path) as other:
                assert other.ask("x") == b"x\n"
        assert client.ask("2") == b"2\n"
    assert not os.path.exists(one.path("a.sock")) and not os.path.exists(one.path("b.sock"))


def test_a_socket_that_cannot_be_opened_changes_nothing(daemon, upstream):
    server = upstream()
    one = daemon(at("s", server.address, "a.sock"))
    with open(one.path("file"), "w") as file:
        file.write("not a socket")
    one.configure(at("s", server.address, "file") + at("t", server.address, "t.sock"))
    answer = one.command_raw("reload")
    assert answer["ok"] is False and "not a socket" in str(answer)
    assert one.status()["config_error"]
    assert not os.path.exists(one.path("t.sock")), "what was opened for it is gone again"
    one.kill_worker()
    assert one.status("s")["socket"] == one.path("a.sock")
    with one.client("a") as client:
        assert client.ask("x") == b"x\n"


def test_a_refused_reload_leaves_the_modes_as_they_were(daemon, upstream):
    server = upstream()
    one = daemon(at("s", server.address, "a.sock"))
    with open(one.path("file"), "w") as file:
        file.write("not a socket")
    one.configure(at("s", server.address, "a.sock", 'mode = "0666";') + at("t", server.address, "file"),
                  top='control: { mode = "0666"; };')
    assert one.command_raw("reload")["ok"] is False
    for path in (one.path("a.sock"), one.control):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660, path


def test_a_socket_of_another_service_is_not_taken_from_it(daemon, upstream):
    server = upstream()
    one = daemon(at("s", server.address, "a.sock") + at("t", server.address, "b.sock"))
    one.configure(at("s", server.address, "b.sock") + at("t", server.address, "a.sock"))
    answer = one.command_raw("reload")
    assert answer["ok"] is False and "service t's" in str(answer)
    for path in ("a", "b"):
        with one.client(path) as client:
            assert client.ask("x") == b"x\n"


def test_modes_are_set_in_place(daemon, upstream):
    server = upstream()
    one = daemon(at("s", server.address, "a.sock"))
    one.wait_connected("s")
    before = one.status("s")
    one.configure(at("s", server.address, "a.sock", 'mode = "0600";'), top='control: { mode = "0600"; };')
    one.command("reload")
    for path in (one.path("a.sock"), one.control):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path
    assert one.status("s")["connects"] == before["connects"]
