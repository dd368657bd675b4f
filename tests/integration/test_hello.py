"""hello is spoken before a connection counts, and leaves to the client what is the client's."""
import json

import pytest

import holdfast
import upstream as servers
from real_servers import Redis

PING = '{ send = "PING\\r\\n"; expect = "+PONG"; timeout = 2; }'


@pytest.fixture
def redis(folder):
    server = Redis(folder, arguments=("--requirepass", "s3cret"))
    try:
        yield server.start()
    finally:
        server.stop()


def write(folder, text):
    with open(f"{folder}/secret", "w") as file:
        file.write(text)
    return f"{folder}/secret"


def steps(*more):
    return f"hello = ( {', '.join(more)} );"


def auth(path):
    return f'{{ send_file = "{path}"; expect = "+OK"; abort_on = "-WRONGPASS"; }}'


def test_a_password_from_a_file(folder, daemon, redis):
    path = write(folder, "AUTH s3cret\r\n")
    one = daemon(holdfast.fixed("s", redis.address, steps(auth(path), PING)))
    one.wait_connected("s")
    with one.client("s") as client:
        assert client.ask("SET key value") == b"+OK\r\n"
        assert client.ask("GET key") == b"$5\r\n"
    for number in range(20):
        with one.client("s") as client:
            assert client.ask(f"ECHO {number}") == f"${len(str(number))}\r\n".encode()
    one.kill_worker()
    with one.client("s") as client:
        assert client.ask("PING") == b"+PONG\r\n"


def test_a_credential(folder, daemon, redis):
    write(folder, "AUTH s3cret\r\n")
    one = daemon(holdfast.fixed("s", redis.address, steps(auth("credential:secret"))),
                 environment_more={"CREDENTIALS_DIRECTORY": folder})
    with one.client("s") as client:
        assert client.ask("PING") == b"+PONG\r\n"


def test_a_wrong_password_ends_all_attempts(folder, daemon, redis):
    path = write(folder, "AUTH wrong\r\n")
    one = daemon(holdfast.fixed("s", redis.address, "retry: { delay = 0.05; };" + steps(auth(path))))
    one.wait_status("s", state="aborted")
    status = one.status("s")
    assert 'hello: the server said "-WRONGPASS' in status["last_error"]
    assert status["attempts"] == 1
    with one.client("s") as client:
        assert client.at_end()
    write(folder, "AUTH s3cret\r\n")
    one.command("open s")
    with one.client("s") as client:
        assert client.ask("PING") == b"+PONG\r\n"


def test_no_password_is_a_failed_attempt(daemon, redis):
    one = daemon(holdfast.fixed("s", redis.address, steps(PING)))
    one.wait_status("s", state="waiting")
    assert one.status("s")["last_error"] == \
        f'dial {redis.address}: hello: expected "+PONG", got "-NOAUTH Authentication required."'


def test_what_is_sent_is_never_shown(folder, daemon, redis):
    """But a new worker, and a reload, know it."""
    one = daemon(holdfast.fixed("s", redis.address,
                                'hello = ( { send = "AUTH s3cret\\r\\n"; expect = "+OK"; } );'), arguments=("-v",))
    one.wait_connected("s")
    dump = holdfast.run(f"{holdfast.BUILD}/holdfastd", "-T", "-c", one.path("holdfast.conf"))
    assert dump.returncode == 0, dump.stderr
    with open(f"{folder}/shown.conf", "w") as file:
        file.write(dump.stdout)
    refused = holdfast.run(f"{holdfast.BUILD}/holdfastd", "-t", "-c", f"{folder}/shown.conf")
    assert refused.returncode == 78 and 'services.s.hello: "***" is what is shown in a secret' in refused.stderr
    seen = [dump.stdout] + [json.dumps(one.command(line)) for line in
                            ("config", "config s", "status", "explain s", "lookup s", "reload")]
    one.kill_worker()
    one.command("reconnect s")
    one.wait_connected("s")
    assert one.status("s")["disconnects"] <= 1
    seen.append(one.log())
    for text in seen:
        assert "s3cret" not in text
    assert 'send = "***"' in dump.stdout


def test_a_mute_server_costs_its_timeout_and_the_next_is_used(daemon, upstream, redis):
    mute = upstream(servers.stall)
    one = daemon(f's: {{ connect_stagger = 0; addresses = ["{mute.address}", "{redis.address}"]; '
                 'hello = ( { send = "PING\\r\\n"; expect = "-NOAUTH"; timeout = 0.3; } ); };')
    one.wait_connected("s")
    assert one.status("s")["address"] == redis.address
    assert one.status("s")["last_error"] == f"dial {mute.address}: hello: no answer within 0.3 s"
    assert one.status("s")["failures"] == 0


def greet(connection):
    """Speaks first, line by line, and then as one would expect."""
    connection.sendall(b"220 ready\r\n")
    with connection.makefile("rb") as lines:
        assert lines.readline() == b"HELO holdfast\r\n"
        connection.sendall(b"250 fine\r\n299 for the client\r\n")
        servers.echo_lines(connection)


def test_what_the_server_says_further_is_for_the_client(daemon, upstream):
    server = upstream(greet)
    one = daemon(holdfast.fixed("s", server.address, steps(
        '{ expect = "220"; }', '{ send = "HELO holdfast\\r\\n"; expect = "250"; }')))
    for _ in range(5):
        with one.client("s") as client:
            assert client.line() == b"299 for the client\r\n"
            assert client.ask("x") == b"x\n"


def test_a_greeting_nobody_asked_for_is_for_the_client(daemon, upstream):
    server = upstream(lambda connection: connection.sendall(b"220 ready\r\n") or servers.echo_lines(connection))
    one = daemon(holdfast.fixed("s", server.address, steps('{ send = "hi\\n"; }')))
    with one.client("s") as client:
        assert client.line() == b"220 ready\r\n"
        assert client.line() == b"hi\n"


def test_a_missing_file_is_a_failed_attempt_and_told_by_t(folder, daemon, redis):
    path = write(folder, "AUTH s3cret\r\n")
    one = daemon(holdfast.fixed("s", redis.address, steps(auth(path))))
    one.wait_connected("s")
    holdfast.run("rm", path)
    one.command("reconnect s")
    one.wait_status("s", state="waiting")
    assert one.status("s")["last_error"] == f"dial {redis.address}: hello: {path}: No such file or directory"
    [warning] = one.command("reload")["warnings"]
    assert f"services.s.hello: {path}: No such file or directory; attempts fail until it is there" in warning
    tested = holdfast.run(f"{holdfast.BUILD}/holdfastd", "-t", "-c", one.path("holdfast.conf"))
    assert tested.returncode == 1 and f"services.s.hello: {path}: No such file" in tested.stderr
