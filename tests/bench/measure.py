"""measure - the load of the bench, and what a proxy costs while it works."""
import json
import os
import signal
import socket
import subprocess

from peers import holdfast

KINDS = ["ping", "up", "down", "ask", "idle"]  # as in work.h


def command(kind, count, size, address):
    return f"open {KINDS.index(kind)} {count} {size} {address}"


class LoadEnded(Exception):
    """A connection was refused, closed, or not answered."""


class Work:
    """The server and the clients, one process each."""

    def __init__(self, program):
        self.program = program
        self.port = holdfast.free_port()
        self.serve()
        self.begin()

    def begin(self):
        """A client process, with nothing open."""
        self.client = subprocess.Popen([self.program, "ask"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       text=True)

    def serve(self):
        """The server is up when this returns."""
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self.port))
            listener.listen(4096)
            listener.setblocking(False)
            self.server = subprocess.Popen([self.program, "serve", str(listener.fileno())], stdin=subprocess.PIPE,
                                           pass_fds=[listener.fileno()])

    def die(self):
        """The server is down, its connections with it."""
        self.server.stdin.close()
        self.server.wait()

    def pin(self, cpu):
        for process in (self.server, self.client):
            os.sched_setaffinity(process.pid, {cpu})

    def say(self, command):
        self.client.stdin.write(command + "\n")
        self.client.stdin.flush()

    def hear(self):
        answer = self.client.stdout.readline().strip()
        if not answer:
            raise LoadEnded
        return answer

    def tell(self, command):
        self.say(command)
        return self.hear()

    def open(self, kind, count, size, address):
        assert self.tell(command(kind, count, size, address)) == "ready"

    def run(self, milliseconds):
        return json.loads(self.tell(f"run {milliseconds}"))

    def close(self):
        assert self.tell("close") == "closed"

    def end(self):
        self.die()
        self.client.stdin.close()
        self.client.wait()


class SystemCalls:
    """Counts the system calls of processes, and of those that they start; None if that cannot be done, as of a proxy
    whose processes come and go."""

    def __init__(self, pids):
        control_read, self.control = os.pipe()
        self.answer, answer_write = os.pipe()
        self.process = subprocess.Popen(
            ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", ",".join(map(str, pids)), "-D", "-1",
             "--control", f"fd:{control_read},{answer_write}"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            pass_fds=[control_read, answer_write], text=True)
        os.close(control_read)
        os.close(answer_write)

    def tell(self, command):
        try:
            os.write(self.control, command.encode() + b"\n")
            os.read(self.answer, 16)
        except BrokenPipeError:
            pass  # perf has ended; its count will be missing

    def __enter__(self):
        self.tell("enable")
        return self

    def __exit__(self, *_):
        self.tell("disable")
        self.process.send_signal(signal.SIGINT)
        output = self.process.communicate()[1]
        os.close(self.control)
        os.close(self.answer)
        count = output.strip().rpartition("\n")[2].partition(",")[0]
        self.count = int(count) if count.isdigit() else None


def window(work, peer, load, milliseconds):
    """One window of a workload through a peer: rate, p50, CPU microseconds a unit."""
    work.open(load.kind, load.count, load.size, peer.address)
    peer.pin(0)
    begin = peer.cpu()
    done = work.run(milliseconds)
    cpu = peer.cpu() - begin
    work.close()
    units = load.units(done)
    return {"rate": units / done["seconds"], "p50": done["p50_us"], "cpu": cpu * 1e6 / units}


def calls(work, peer, load, milliseconds):
    """System calls a unit."""
    work.open(load.kind, load.count, load.size, peer.address)
    work.run(20)  # every process of the proxy has begun
    peer.pin(0)
    with SystemCalls(peer.pids()) as counted:
        done = work.run(milliseconds)
    work.close()
    units = load.units(done)
    return counted.count and units and counted.count / units


def idle(work, peer, count):
    """What an idle connection costs: PSS in bytes and open files."""
    work.open("idle", 1, 64, peer.address)
    work.close()
    memory, files = peer.memory(), peer.files()
    work.open("idle", count, 64, peer.address)
    cost = ((peer.memory() - memory) / count, (peer.files() - files) / count)
    work.close()
    return cost
