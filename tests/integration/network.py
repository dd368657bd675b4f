"""network - a network namespace, with addresses that answer and addresses that drop packets; needs root."""
import ctypes
import socket
import subprocess
import threading

import holdfast
import upstream

CLONE_NEWNET = 0x40000000
PREFIX = "10.9.0"  # who has no host in there drops packets: a SYN gets no answer


class Network:
    """A network of its own, which has nothing but a loopback."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"up\n"
        self.wrapper = ["nsenter", "--target", str(self.holder.pid), "--net"]

    def run(self, *command):
        done = holdfast.run(*self.wrapper, *command)
        assert done.returncode == 0, done.stderr

    def inside(self, work):
        """What work() gives, with the sockets that it makes in there; a thread enters, so that the test stays
        outside."""
        made = []

        def enter():
            with open(f"/proc/{self.holder.pid}/ns/net") as place:
                assert ctypes.CDLL(None, use_errno=True).setns(place.fileno(), CLONE_NEWNET) == 0
            made.append(work())

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return made[0]

    def listen(self, port):
        def work():
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            listener.bind(("127.0.0.1", port))
            listener.listen()
            listener.settimeout(holdfast.BOUND)
            return listener

        return self.inside(work)

    def drop_packets(self):
        """From now on addresses that begin with PREFIX are those of hosts, or of nobody: a link whose far end takes
        no packet and asks no ARP."""
        self.run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
        self.run("ip", "link", "set", "near", "arp", "off")
        self.run("ip", "address", "add", f"{PREFIX}.1/24", "dev", "near")
        self.run("ip", "link", "set", "near", "up")
        self.run("ip", "link", "set", "far", "up")

    def host(self, number, serve=upstream.echo_lines, port=9999):
        """A server at this address in there, not begun."""
        self.run("ip", "address", "add", f"{PREFIX}.{number}/32", "dev", "lo")
        return Host(self, number, serve, port)

    def end(self):
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.wait(holdfast.BOUND)


class Host(upstream.Upstream):
    def __init__(self, network, number, serve, port):
        super().__init__(serve, port, f"{PREFIX}.{number}")
        self.network = network

    def start(self):
        return self.network.inside(super().start)
