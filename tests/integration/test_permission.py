"""Who may connect: the socket's mode and owner, allow_users, allow_groups."""
import grp
import os
import pwd
import stat

import pytest

import holdfast

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become other users: run tests/run as root")


def ask_as(user, path):
    """One line asked by another user: what comes back, "" for a closed connection, None if connect fails."""
    one = pwd.getpwnam(user)
    done = holdfast.run("setpriv", f"--reuid={one.pw_uid}", f"--regid={one.pw_gid}", "--clear-groups", "socat", "-t5",
                        "-", f"UNIX:{path}", stdin=None, input="hello\n")
    return done.stdout


def test_mode_and_group(daemon, upstream):
    group = grp.getgrgid(os.getgid()).gr_name
    one = daemon(holdfast.fixed("s", upstream().address, f'listen: {{ mode = "0604"; group = "{group}"; }};'))
    made = os.stat(one.socket("s"))
    assert stat.S_IMODE(made.st_mode) == 0o604 and made.st_gid == os.getgid()
    assert stat.S_IMODE(os.stat(one.control).st_mode) == 0o660


@needs_root
def test_allow_users(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address, 'listen: { mode = "0666"; allow_users = ["daemon"]; };'))
    assert ask_as("daemon", one.socket("s")) == "hello\n"
    assert ask_as("nobody", one.socket("s")) == ""
    assert ask_as("nobody", one.socket("s")) == ""
    assert one.log().count("client of user unknown closed") == 1, "logged once a minute"


@needs_root
def test_allow_groups(daemon, upstream):
    one = daemon(holdfast.fixed("s", upstream().address, 'listen: { mode = "0666"; allow_groups = ["daemon"]; };'))
    assert ask_as("daemon", one.socket("s")) == "hello\n"
    assert ask_as("nobody", one.socket("s")) == ""


def test_the_test_warns_of_a_server_that_takes_all_clients_for_the_daemon_s_user(daemon, folder):
    """Peer authentication: who connects to the server's Unix socket is the daemon, whoever the client is."""
    address = f"unix:{folder}/server"
    kinds = {"open": 'listen: { mode = "0666"; };', "abstract": 'listen: { path = "@hf-peer-test"; };',
             "group": "", "narrow": 'listen: { mode = "0600"; };', "tcp": 'listen: { mode = "0666"; };',
             "users": 'listen: { mode = "0666"; allow_users = ["root"]; };',
             "groups": 'listen: { mode = "0666"; allow_groups = ["root"]; };'}
    one = daemon("".join(holdfast.fixed(name, "127.0.0.1:9" if name == "tcp" else address, listen)
                         for name, listen in kinds.items()), start=False)
    done = holdfast.run(os.path.join(one.build, "holdfastd"), "-t", "-c", one.config)
    assert done.returncode == 0, done
    said = "the server sees each client as the daemon's user, and every local user may connect"
    warned = [name for name in kinds if f"services.{name}.address: {address}: {said}" in done.stderr]
    assert warned == ["open", "abstract"], done.stderr
