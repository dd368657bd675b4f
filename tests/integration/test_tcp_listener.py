"""Clients without Unix sockets: a service that listens on TCP is as lasting as any other."""
import os
import shutil
import signal
import socket
import struct
import threading

import pytest

import holdfast
import manager
from real_servers import Postgres, Redis
from upstream import named
from visitor import TcpClient, at, expect_backlog_served

PROGRAM = os.path.join(holdfast.BUILD, "holdfastd")
KILLS = 20


@pytest.fixture
def port():
    return holdfast.free_port()


def tcp(name, address, port, more="", host="127.0.0.1"):
    return at(name, address, f"{host}:{port}", more)


def test_both_families_of_localhost(daemon, upstream, port):
    one = daemon(tcp("s", upstream().address, port, host="localhost"))
    for host in ("127.0.0.1", "::1"):
        with TcpClient(port, host) as client:
            assert client.ask(host) == host.encode() + b"\n"
    assert one.status("s")["socket"] == f"localhost:{port}"


def test_user_and_process_of_a_client_are_shown(daemon, upstream, port):
    one = daemon(tcp("s", upstream().address, port))
    with TcpClient(port) as client:
        client.ask("x")
        shown = one.command("clients s")["clients"][0]
        assert (shown["uid"], shown["pid"], shown["unit"]) == (os.getuid(), os.getpid(), shown["unit"])
        assert shown["peer"] == "127.0.0.1:%d" % client.socket.getsockname()[1]
        assert shown["peer"] in one.ctl("clients", "s").stdout
        assert one.command("clients s --by user")["counts"][0]["clients"] == 1


def test_dead_workers_lose_nobody(daemon, upstream, port, figure):
    """Some clients ask all the time, others come all the time."""
    one = daemon(tcp("s", upstream().address, port, host="localhost"))
    over, served, wrong = threading.Event(), [], []

    def stay():
        with TcpClient(port) as client:
            while not over.is_set():
                ask(client)

    def come():
        while not over.is_set():
            with TcpClient(port, "::1") as client:
                ask(client)

    def ask(client):
        try:
            (served if client.ask("x") == b"x\n" else wrong).append("an end")
        except OSError as error:
            wrong.append(error)
            over.set()

    threads = [threading.Thread(target=work) for work in (stay, stay, come, come)]
    for thread in threads:
        thread.start()
    for _ in range(KILLS):
        before = len(served)
        holdfast.until(lambda: len(served) > before + 20 or wrong, "it works")
        one.kill_worker()
    over.set()
    for thread in threads:
        thread.join(holdfast.BOUND)
    assert not wrong
    holdfast.until(lambda: one.restarts() == KILLS, "the last worker")
    figure(f"{len(served)} answers over {KILLS} deaths")


@pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")
@pytest.mark.parametrize("place", ["accept.accepted:5", "accept.recorded:5"])
def test_a_client_that_was_just_accepted_is_kept(daemon, upstream, port, place):
    one = daemon(tcp("s", upstream().address, port, host="localhost"), build=holdfast.CRASH_BUILD,
                 environment_more={"HOLDFAST_CRASH": place})
    for number in range(12):
        with TcpClient(port) as client:
            assert client.ask(str(number)) == f"{number}\n".encode()
    assert one.log().count("crash point " + place.partition(":")[0]) >= 1


def test_a_reload_moves_it_from_a_file_to_a_port_and_back(daemon, upstream, port):
    server, other = upstream(), holdfast.free_port()
    one = daemon(at("s", server.address, "a.sock"))
    with one.client("a") as first:
        assert first.ask("1") == b"1\n"
        one.configure(tcp("s", server.address, port))
        one.command("reload")
        assert not os.path.exists(one.path("a.sock"))
        with TcpClient(port) as second:
            assert second.ask("2") == b"2\n"
            one.configure(tcp("s", server.address, other, host="localhost"))
            one.command("reload")
            with pytest.raises(ConnectionRefusedError):
                TcpClient(port)
            with TcpClient(other, "::1") as third:
                assert third.ask("3") == b"3\n"
                one.configure(at("s", server.address, "a.sock"))
                one.command("reload")
                one.kill_worker()
                for client in (first, second, third):
                    assert client.ask("4") == b"4\n"
    with one.client("a") as client:
        assert client.ask("5") == b"5\n"


def test_who_is_in_the_backlog_of_the_old_port_is_served(daemon, upstream, port):
    server = upstream()
    one = daemon(tcp("s", server.address, port))
    one.wait_connected("s")
    expect_backlog_served(one, TcpClient, [port] * 20, at("s", server.address, "b.sock"))


@pytest.mark.skipif(not holdfast.CRASH_BUILD, reason="no build with --enable-crash-points")
@pytest.mark.parametrize("place", ["opened", "shut", "unnamed", "placed", "named"])
def test_deaths_on_the_way_to_another_port(daemon, upstream, port, place):
    server, places = upstream(), [holdfast.free_port(), holdfast.free_port()]
    one = daemon(tcp("s", server.address, port), build=holdfast.CRASH_BUILD,
                 environment_more={"HOLDFAST_CRASH": f"listener.{place}:2"})
    with TcpClient(port) as client:
        for new in places:
            one.configure(tcp("s", server.address, new))
            one.process.send_signal(signal.SIGHUP)
            holdfast.until(lambda: one.status("s")["socket"].endswith(f":{new}"), "the move")
            assert client.ask("x") == b"x\n"
            with TcpClient(new) as other:
                assert other.ask("y") == b"y\n"
    assert f"crash point listener.{place}\n" in one.log()
    for old in (port, places[0]):
        with pytest.raises(ConnectionRefusedError):
            TcpClient(old)


def test_services_exchange_their_ports(daemon, upstream, port):
    servers, other = {name: upstream(named(name)) for name in "st"}, holdfast.free_port()
    one = daemon(tcp("s", servers["s"].address, port) + tcp("t", servers["t"].address, other))
    with TcpClient(port) as stays:
        assert stays.ask("1") == b"s 1\n"
        one.configure(tcp("s", servers["s"].address, other) + tcp("t", servers["t"].address, port))
        one.command("reload")
        with TcpClient(port) as client:
            assert client.ask("2") == b"t 2\n"
        assert stays.ask("3") == b"s 3\n"


def test_a_port_in_use_is_told_and_taken_when_it_is_free(daemon, upstream, port):
    server = upstream()
    with socket.create_server(("127.0.0.1", port)):
        one = daemon(tcp("s", server.address, port, host="localhost").replace("s: {", "s: { retry: { delay = 0.1; };")
                     + holdfast.fixed("good", server.address))
        why = f"localhost:{port}: Address already in use: a process of user "
        assert why in one.status("s")["socket_error"] and f"listens on 127.0.0.1:{port}" in one.log()
        with one.client("good") as client:
            assert client.ask("x") == b"x\n"
        one.configure(tcp("new", server.address, port) + holdfast.fixed("good", server.address))
        answer = one.command_raw("reload")
        assert answer["ok"] is False and "already in use" in str(answer)
    holdfast.until(lambda: one.status("s")["socket_error"] is None, "its port")
    with TcpClient(port) as client:
        assert client.ask("x") == b"x\n"


def test_it_goes_along_over_upgrade_and_restart(daemon, upstream, port):
    one = daemon(tcp("s", upstream().address, port), start=False, kind=manager.Managed)
    one.install(PROGRAM)
    one.start()
    with TcpClient(port) as client:
        assert client.ask("1") == b"1\n"
        one.install(PROGRAM)
        assert one.ctl("upgrade").returncode == 0, one.log()
        assert client.ask("2") == b"2\n"
        assert one.term() == 0
        with TcpClient(port) as between:  # nobody is there now
            between.send(b"3\n")
            one.start()
            assert between.line() == b"3\n"
        assert client.ask("4") == b"4\n"
    assert one.status()["restarts"] == 1


@pytest.mark.parametrize("name", ["s", "whatever.socket"])
def test_systemd_hands_it_over_by_the_services_name_or_by_its_address(daemon, upstream, port, name):
    with socket.create_server(("127.0.0.1", port)) as listener, TcpClient(port) as early:
        early.send(b"early\n")
        one = daemon(tcp("s", upstream().address, port), **holdfast.given(name, listener))
        assert early.line() == b"early\n"
        one.kill_worker()
        with TcpClient(port) as client:
            assert client.ask("x") == b"x\n"
        assert "is closed" not in one.log()


def test_a_socket_of_systemds_at_another_address_is_not_taken(daemon, upstream, port):
    with socket.create_server(("127.0.0.1", port)) as listener:
        one = daemon(tcp("s", upstream().address, holdfast.free_port()), **holdfast.given("s", listener))
        assert f"listens on 127.0.0.1:{port}, not on listen.path" in one.status("s")["socket_error"]


def test_half_close_and_reset(daemon, upstream, port):
    heard, ends = [], []

    def serve(connection):
        try:
            heard.append(connection.makefile("rb").read())
            connection.sendall(b"all of it\n")
        finally:
            ends.append(1)
    server = upstream(serve)
    one = daemon(tcp("s", server.address, port, "backlog = 5;"))
    with TcpClient(port) as client:
        client.send(b"x" * 1000000)
        client.shutdown()
        assert client.read_all() == b"all of it\n"
    with TcpClient(port) as client:
        client.send(b"y")
        server.wait(lambda server: server.connections, "a connection")
        holdfast.until(lambda: one.command("clients s")["clients"][0]["bytes_from_client"] == 1, "its byte")
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    holdfast.until(lambda: one.status("s")["clients"] == 0, "its end")
    assert heard[0] == b"x" * 1000000
    assert one.worker() and one.restarts() == 0


def test_an_endpoint_that_is_our_own_port_is_a_loop(daemon, port):
    one = daemon(tcp("s", "127.0.0.1:9", port), start=False)
    with open(one.path("find"), "w") as file:
        file.write(f"#!/bin/sh\necho 127.0.0.1:{port}\n")
    os.chmod(one.path("find"), 0o755)
    one.configure(tcp("s", "127.0.0.1:9", port, host="localhost") +
                  f't: {{ lookup: {{ script = "{one.path("find")}"; }}; }};')
    one.start()
    one.command_raw("reconnect t")
    one.wait_status("t", up=False)
    assert "own sockets: a loop" in one.status("t")["last_error"]


def test_who_gives_up_while_it_waits_loses_its_place(daemon, port):
    one = daemon(tcp("s", f"127.0.0.1:{holdfast.free_port()}", port))
    with TcpClient(port):
        one.wait_status("s", held=1)
    one.wait_status("s", held=0)
    with TcpClient(port) as client:  # it may still read
        client.send(b"words\n")
        client.shutdown()
        one.wait_status("s", held=1)


def test_down_reply(daemon, port):
    one = daemon(tcp("s", f"127.0.0.1:{holdfast.free_port()}", port)
                 .replace("s: {", 's: { on_down = "refuse"; down_reply = "down\\n"; '))
    one.wait_status("s", up=False)
    with TcpClient(port) as client:
        client.send(b"x" * 1000)
        assert client.read_all() == b"down\n"


def test_redis_in_shared_mode(folder, daemon, port):
    redis = Redis(folder)
    try:
        redis.start()
        one = daemon(tcp("s", redis.address, port).replace("s: {", 's: { mode = "shared"; framing = "resp"; '))
        done = holdfast.run("redis-cli", "-p", port, "set", "key", "value")
        assert done.stdout == "OK\n", done.stderr
        one.kill_worker()
        assert holdfast.run("redis-cli", "-p", port, "get", "key").stdout == "value\n"
        done = holdfast.run("redis-benchmark", "-p", port, "-c", "20", "-n", "5000", "-q", "-t", "get,set")
        assert done.returncode == 0 and "rror" not in done.stdout + done.stderr
    finally:
        redis.stop()


@pytest.mark.skipif(not shutil.which("psql"), reason="needs psql")
def test_postgresql(folder, daemon, port):
    server = Postgres(folder)
    try:
        server.start()
        one = daemon(tcp("s", server.address, port, host="localhost"))
        for host in ("127.0.0.1", "::1", "localhost"):
            done = holdfast.run("psql", "-h", host, "-p", port, "-U", "postgres", "-Atc", "select 6 * 7")
            assert done.stdout == "42\n", done.stderr
            one.kill_worker()
        assert one.stop() == 0
    finally:
        server.stop()
