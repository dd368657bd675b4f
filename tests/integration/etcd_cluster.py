"""etcd_cluster - a real etcd of one or more members, each in a directory of its own."""
import json
import os
import signal
import subprocess

import holdfast


class Member:
    def __init__(self, cluster, name, host, wrapper):
        self.cluster, self.name, self.host, self.wrapper = cluster, name, host, wrapper
        self.client, self.peer = holdfast.free_port(), holdfast.free_port()
        self.address = f"{host}:{self.client}"
        self.folder = os.path.join(cluster.folder, name)
        self.process = None
        os.mkdir(self.folder)

    def start(self):
        scheme, secure = "http", []
        if self.cluster.certificate:
            cert, key = self.cluster.certificate
            scheme, secure = "https", ["--cert-file", cert, "--key-file", key]
        if self.cluster.client_ca:
            secure += ["--client-cert-auth", "--trusted-ca-file", self.cluster.client_ca]
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, "etcd", "--name", self.name, "--data-dir", os.path.join(self.folder, "data"),
                 "--listen-client-urls", f"{scheme}://{self.address}",
                 "--advertise-client-urls", f"{scheme}://{self.address}",
                 "--listen-peer-urls", f"http://{self.host}:{self.peer}",
                 "--initial-advertise-peer-urls", f"http://{self.host}:{self.peer}",
                 "--initial-cluster", self.cluster.peers(), "--initial-cluster-token", "holdfast",
                 "--heartbeat-interval", "50", "--election-timeout", "500", "--log-level", "warn", *secure],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=holdfast.environment())
        return self

    def kill(self):
        """As a machine dies."""
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            holdfast.wait_exit(self.process)
            self.process = None


class Cluster:
    """hosts: a (host, wrapper) for each member, such as ("127.0.0.1", ())."""

    def __init__(self, folder, count=1, hosts=None, certificate=None, client_ca=None, name="etcd"):
        self.folder = os.path.join(folder, name)
        os.mkdir(self.folder)
        self.certificate, self.client_ca = certificate, client_ca
        self.ctl_options = []
        hosts = hosts or [("127.0.0.1", ())] * count
        self.members = [Member(self, f"m{number}", *host) for number, host in enumerate(hosts)]
        self.wrapper = hosts[0][1]

    def peers(self):
        return ",".join(f"{each.name}=http://{each.host}:{each.peer}" for each in self.members)

    def start(self):
        for member in self.members:
            member.start()
        holdfast.until(lambda: self.ctl("endpoint", "health", check=False).returncode == 0, "etcd is healthy")
        return self

    def stop(self):
        for member in self.members:
            member.kill()

    def servers(self, *members):
        return ",".join(each.address for each in members or self.members)

    def ctl(self, *words, check=True, members=()):
        scheme = "https" if self.certificate else "http"
        endpoints = ",".join(f"{scheme}://{each.address}" for each in members or self.members if each.process)
        done = holdfast.run(*self.wrapper, "etcdctl", "--command-timeout=15s", "--endpoints", endpoints,
                            *self.ctl_options, *words,
                            env=holdfast.environment(ETCDCTL_API="3"))
        assert not check or done.returncode == 0, done.stderr
        return done

    def put(self, key, value, *more):
        self.ctl("put", *more, key, value)

    def remove(self, key):
        self.ctl("del", key)

    def entry(self, key):
        """All that is known of a key, or None."""
        return json.loads(self.ctl("-w", "json", "get", key).stdout).get("kvs", [None])[0]

    def lease(self, seconds):
        """A lease's id."""
        return self.ctl("lease", "grant", str(seconds)).stdout.split()[1]

    def leader(self):
        """The member that leads, as all say that live; None while they do not."""
        named, found = set(), None
        for member in self.members:
            if member.process:
                done = self.ctl("-w", "json", "endpoint", "status", members=[member], check=False)
                if done.returncode != 0:
                    return None
                status = json.loads(done.stdout)[0]["Status"]
                named.add(status.get("leader"))
                if status.get("leader") == status["header"]["member_id"]:
                    found = member
        return found if len(named) == 1 else None

    def wait_leader(self):
        return holdfast.until(self.leader, "a leader", 60)
