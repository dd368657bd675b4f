"""sentinel_cluster - a real Redis master with two replicas, and three real sentinels that watch them."""
import datetime
import os
import re
import signal
import subprocess

import holdfast
from real_servers import Redis

NAME = "mymaster"
PROMOTED = r"(\d\d \w+ \d{4} [\d:.]+) # \+promoted-slave slave (\S+) "


class Sentinel:
    def __init__(self, cluster, number):
        self.cluster = cluster
        self.port = holdfast.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = os.path.join(cluster.folder, f"sentinel{number}")
        self.process = None
        os.mkdir(self.folder)
        with open(os.path.join(self.folder, "conf"), "w") as file:
            file.write(cluster.sentinel_settings(self.port))

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", os.path.join(self.folder, "conf"), "--sentinel"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.folder, env=holdfast.environment())
        return self

    def ask(self, *words):
        secure = ["--tls", "--cacert", self.cluster.authority.ca] if self.cluster.authority else []
        secure += ["--no-auth-warning", "-a", self.cluster.password] if self.cluster.password else []
        return holdfast.run("redis-cli", "-p", self.port, *secure, "sentinel", *words).stdout

    def field(self, name):
        """Of what it says of the master."""
        words = self.ask("master", NAME).splitlines()
        return dict(zip(words[::2], words[1::2])).get(name)

    def sees_all(self):
        """Both replicas are in step."""
        return self.ask("replicas", NAME).count("\nok\n") == 2

    def log(self):
        with open(os.path.join(self.folder, "log")) as file:
            return file.read()

    def kill(self):
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            holdfast.wait_exit(self.process)
            self.process = None


class Follower(Redis):
    def follow(self, master):
        """Starts as its replica."""
        self.arguments = ["--replicaof", "127.0.0.1", str(master.port), "--repl-diskless-sync-delay", "0"]
        self.start()


class Cluster:
    def __init__(self, folder, sentinels=3, authority=None, password=None, name="sentinel"):
        self.folder = os.path.join(folder, name)
        self.authority, self.password = authority, password
        os.mkdir(self.folder)
        self.redis = [Follower(self.folder) for _ in range(3)]
        self.master = self.redis[0]
        self.sentinels = [Sentinel(self, number) for number in range(sentinels)]

    def sentinel_settings(self, port):
        lines = ["bind 127.0.0.1", f'sentinel monitor {NAME} 127.0.0.1 {self.master.port} 2',
                 f"sentinel down-after-milliseconds {NAME} 1500", f"sentinel failover-timeout {NAME} 2000"]
        if self.authority:
            cert, key = self.authority.issue("sentinel")
            lines += ["port 0", f"tls-port {port}", f"tls-cert-file {cert}", f"tls-key-file {key}",
                      f"tls-ca-cert-file {self.authority.ca}", "tls-auth-clients no"]
        else:
            lines += [f"port {port}"]
        if self.password:
            lines += [f"requirepass {self.password}"]
        return "\n".join(lines) + "\n"

    def start(self):
        self.master.start()
        for one in self.replicas():
            one.follow(self.master)
        for one in self.sentinels:
            one.start()
        others = str(len(self.sentinels) - 1)
        for one in self.sentinels:
            holdfast.until(lambda each=one: each.field("num-slaves") == "2"
                           and each.field("num-other-sentinels") == others, "the sentinels know all", 60)
        self.settle()
        return self

    def settle(self):
        """Waits until all sentinels name the same master, and two replicas that follow it; on a busy machine they may
        have moved it by themselves.  Gives the master."""
        def agreed():
            alive = [one for one in self.sentinels if one.process]
            named = {":".join(one.ask("get-master-addr-by-name", NAME).split()) for one in alive}
            return all(one.sees_all() for one in alive) and len(named) == 1 and named.pop()
        self.master = self.at(holdfast.until(agreed, "the sentinels agree", 60))
        return self.master

    def servers(self):
        return ",".join(one.address for one in self.sentinels)

    def replicas(self):
        return [one for one in self.redis if one is not self.master]

    def at(self, address):
        return next(one for one in self.redis if one.address == address)

    def kill_master(self):
        """As a machine dies."""
        self.master.kill()

    def switch_over(self):
        """The master lives, and becomes a replica."""
        one = next(one for one in self.sentinels if one.process)
        holdfast.until(lambda: one.ask("failover", NAME).startswith("OK"), "a switch-over begins", 60)

    def moved(self, move):
        """Does it, and waits until a sentinel tells that it has promoted another: when, in seconds since 1970.  From
        then on it is the master; +switch-master comes when replicas have been told, too."""
        marks = [len(one.log()) for one in self.sentinels]
        move()
        try:
            # A sentinel that got no processor for 2 s does nothing for 30 s (tilt mode).
            when, address = min(holdfast.until(lambda: self.promotions(marks), "+promoted-slave", 120))
        except holdfast.TookTooLong as late:
            logs = "\n--\n".join(one.log()[mark:][-2000:] for one, mark in zip(self.sentinels, marks))
            raise holdfast.TookTooLong(f"{late}\n{logs}") from None
        self.master = self.at(address)
        return when

    def promotions(self, marks):
        found = []
        for one, mark in zip(self.sentinels, marks):
            for stamp, address in re.findall(PROMOTED, one.log()[mark:]):
                when = datetime.datetime.strptime(stamp, "%d %b %Y %H:%M:%S.%f").timestamp()
                found.append((when, address))
        return found

    def stop(self):
        for one in self.sentinels:
            one.kill()
        for one in self.redis:
            one.kill()
