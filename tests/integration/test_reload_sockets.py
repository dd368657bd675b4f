"""Reload and the sockets: all that can fail does so before anything changes."""
import os
import stat

import holdfast
from upstream import named
from visitor import Visitor, at, expect_backlog_served


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


def test_who_looks_at_the_old_path_and_the_new_one_always_finds_one(daemon, upstream, figure):
    server = upstream()
    one = daemon(at("s", server.address, "a.sock"))
    one.wait_connected("s")
    # The old path is looked at before the new one.
    names = [f"p{number}.sock" for number in range(40)]
    with Visitor([one.path(name) for name in ["a.sock", *names]]) as visitor:
        for name in names:
            one.configure(at("s", server.address, name))
            one.command("reload")
            seen = visitor.visits
            holdfast.until(lambda: visitor.visits > seen or visitor.failures, "a visit")
    assert not visitor.failures
    figure(f"{visitor.visits} visits over {len(names)} new paths")


def test_who_is_in_the_backlog_of_the_old_path_is_served(daemon, upstream):
    server = upstream()
    one = daemon(at("s", server.address, "a.sock", "backlog = 64;"))
    one.wait_connected("s")
    expect_backlog_served(one, one.client, ["a"] * 20, at("s", server.address, "b.sock"))


def test_services_swap_their_sockets_and_clients_never_miss_one(daemon, upstream, figure):
    servers = {name: upstream(named(name)) for name in "stu"}
    one = daemon("".join(at(name, servers[name].address, f"{name}.sock") for name in "stu"))
    for name in "stu":
        one.wait_connected(name)
    inode = os.stat(one.path("s.sock")).st_ino
    visitors = [Visitor([one.path(f"{name}.sock")]) for name in "stu"]
    with visitors[0], visitors[1], visitors[2], one.client("s") as stays:
        assert stays.ask("1") == b"s 1\n"
        for turn in range(30):
            paths = "stu"[turn % 3:] + "stu"[:turn % 3]
            one.configure("".join(at(name, servers[name].address, f"{path}.sock", f'mode = "06{turn % 2}0";')
                                  for name, path in zip("stu", paths)))
            assert set(one.command("reload")["changed"]) >= (set("stu") if turn else set())
            with one.client(paths[1]) as client:
                assert client.ask("x") == b"t x\n"
        assert stays.ask("2") == b"s 2\n"
    assert not sum((visitor.failures for visitor in visitors), [])
    assert os.stat(one.path("s.sock")).st_ino == inode, "the very same socket"
    figure(f"{sum(visitor.visits for visitor in visitors)} visits over 30 exchanges")


def test_a_new_service_takes_the_socket_of_a_removed_one(daemon, upstream):
    old, new = upstream(named("old")), upstream(named("new"))
    one = daemon(at("old", old.address, "a.sock"))
    with one.client("a") as stays:
        assert stays.ask("1") == b"old 1\n"
        one.configure(at("new", new.address, "a.sock"))
        assert one.command("reload --dry-run")["removed"] == ["old"]
        one.command("reload")
        with one.client("a") as client:
            assert client.ask("2") == b"new 2\n"
        assert stays.ask("3") == b"old 3\n"
    one.kill_worker()
    with one.client("a") as client:
        assert client.ask("4") == b"new 4\n"


def test_a_socket_of_another_type_is_not_taken(daemon, upstream):
    server = upstream()
    one = daemon(at("s", server.address, "a.sock"))
    one.configure(at("s", server.address, "b.sock")
                  + at("t", server.address, "a.sock", 'type = "seqpacket";').replace(
                      "t: {", 't: { mode = "shared"; framing = "line";'))
    for command in ("reload --dry-run", "reload"):
        answer = one.command_raw(command)
        assert answer["ok"] is False and "of another listen.type" in str(answer)
    with one.client("a") as client:
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
