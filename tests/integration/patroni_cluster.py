"""patroni_cluster - real PostgreSQL servers under a real Patroni, with a real etcd; and what is written to them.

The primary can be killed, and it can be made another one's turn while it lives; each server's log tells when.
"""
import datetime
import http.client
import json
import os
import pwd
import signal
import ssl
import subprocess

import etcd_cluster
import holdfast
from real_servers import postgres_programs

PROMOTED = "promoted self to leader"  # what Patroni's log says


class Member:
    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.port, self.api_port = holdfast.free_port(), holdfast.free_port()
        self.address, self.api = f"127.0.0.1:{self.port}", f"127.0.0.1:{self.api_port}"
        self.folder = os.path.join(cluster.folder, name)
        self.log_path = os.path.join(self.folder, "log")
        self.process = None
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o700)
        if os.geteuid() == 0:
            os.chown(self.folder, cluster.user.pw_uid, cluster.user.pw_gid)
        with open(os.path.join(cluster.folder, name + ".yml"), "w") as file:
            json.dump(self.settings(), file)

    def settings(self):
        """JSON is YAML.  Times are the shortest that Patroni takes."""
        settings = {
            "scope": "s", "name": self.name, "etcd3": {"hosts": self.cluster.etcd.servers()},
            "restapi": {"listen": self.api, "connect_address": self.api, **self.cluster.api_settings},
            "bootstrap": {
                "dcs": {"ttl": 20, "loop_wait": 1, "retry_timeout": 3, "primary_start_timeout": 0,
                        "master_start_timeout": 0, "synchronous_mode": self.cluster.synchronous,
                        "postgresql": {"use_pg_rewind": True, "parameters": {"wal_log_hints": "on"}}},
                "initdb": [{"encoding": "UTF8"}, "no-sync"]},
            "postgresql": {
                "listen": self.address, "connect_address": self.address, "bin_dir": postgres_programs(),
                "data_dir": os.path.join(self.folder, "data"), "pgpass": os.path.join(self.folder, "pgpass"),
                "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
                "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "postgres"},
                                   "rewind": {"username": "postgres"}},
                "basebackup": [{"checkpoint": "fast"}, "no-sync"],
                "parameters": {"unix_socket_directories": "", "fsync": "off"}}}
        if self.cluster.authority:
            settings["ctl"] = {"cacert": self.cluster.authority.ca}
        return settings

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.cluster.as_user, "/usr/bin/patroni", os.path.join(self.cluster.folder, self.name + ".yml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
                env=holdfast.environment(LC_ALL="C.UTF-8"))
        return self

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def promotions(self):
        """When Patroni's log says that this one was promoted, in seconds since 1970."""
        stamps = [line[:23] for line in self.log().splitlines() if PROMOTED in line]
        return [datetime.datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S,%f").timestamp() for stamp in stamps]

    def postmaster(self):
        with open(os.path.join(self.folder, "data", "postmaster.pid")) as file:
            return int(file.readline())

    def connect(self, timeout=5):
        """To its REST interface."""
        if self.cluster.authority:
            context = ssl.create_default_context(cafile=self.cluster.authority.ca)
            return http.client.HTTPSConnection("127.0.0.1", self.api_port, timeout=timeout, context=context)
        return http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=timeout)

    def ask(self, path):
        """(status, answer) of its REST interface; 0 for none."""
        try:
            connection = self.connect()
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except (OSError, ValueError, http.client.HTTPException):
            return 0, None

    def is_primary(self):
        status, answer = self.ask("/primary")
        return status == 200 and answer["role"] in ("master", "primary")

    def psql(self, statement, *words):
        return holdfast.run("psql", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "-Atc", statement, *words)

    def kill_server(self):
        """PostgreSQL dies; Patroni sees it at its next turn."""
        os.kill(self.postmaster(), signal.SIGKILL)

    def end(self):
        """Patroni and PostgreSQL, as they are ended by nobody."""
        if self.process:
            try:
                pid = self.postmaster()
            except OSError:
                pid = 0
            self.process.kill()
            holdfast.wait_exit(self.process)
            self.process = None
            if pid:
                stop_server(pid)


def stop_server(pid):
    """Nobody's child by now."""
    try:
        pidfd = os.pidfd_open(pid)
        os.kill(pid, signal.SIGQUIT)
    except ProcessLookupError:
        return
    with os.fdopen(pidfd):
        holdfast.until(lambda: holdfast.proc_state(pid) in ("", "Z", "X"), "PostgreSQL has ended")


class Cluster:
    def __init__(self, folder, count=2, synchronous=False, authority=None):
        self.folder = os.path.join(folder, "patroni")
        self.synchronous, self.authority = synchronous, authority
        self.api_settings = {}
        if authority:
            cert, key = authority.issue("patroni")
            self.api_settings = {"certfile": cert, "keyfile": key}
        self.as_user = []
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o755)
        if os.geteuid() == 0:
            self.user = pwd.getpwnam("postgres")
            self.as_user = ["setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}",
                            "--clear-groups", "--"]
        self.etcd = etcd_cluster.Cluster(folder)
        self.members = [Member(self, f"p{number}") for number in range(count)]

    def start(self):
        """One is the primary, the others follow it."""
        self.etcd.start()
        self.members[0].start()
        holdfast.until(self.members[0].is_primary, "a primary", 60)
        for member in self.members[1:]:
            member.start()
        for member in self.members[1:]:
            holdfast.until(lambda one=member: one.ask("/replica")[0] == 200, f"{member.name} follows", 60)
        return self

    def servers(self):
        return ",".join(member.api for member in self.members)

    def primary(self):
        found = [member for member in self.members if member.is_primary()]
        return found[0] if len(found) == 1 else None

    def wait_primary(self, other_than=None, bound=60):
        return holdfast.until(lambda: [one for one in [self.primary()] if one not in (None, other_than)],
                              "another primary", bound)[0]

    def others(self, member):
        return [one for one in self.members if one is not member]

    def switch_over(self, to=None):
        """The primary lives, and follows another one; asked of Patroni as patronictl does."""
        leader = self.primary()
        to = to or self.others(leader)[0]
        connection = leader.connect(60)
        connection.request("POST", "/switchover", json.dumps({"leader": leader.name, "candidate": to.name}))
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, text
        return leader, to

    def stop(self):
        for member in self.members:
            member.end()
        self.etcd.stop()
