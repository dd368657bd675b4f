"""screen - a terminal to run holdfastctl top on, and a control socket that answers as a test wants it."""
import codecs
import datetime
import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import termios
import threading
import time

import pyte

import holdfast


class Terminal:
    """Runs a program on a terminal of its own; what it paints can be read as lines of text."""

    def __init__(self, *command, columns=80, lines=24, **more):
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.Stream(self.screen)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.received = 0
        variables = {"TERM": "linux", "LANG": "C.UTF-8", **more}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                # The size is set before the program asks for it.
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
                os.execve(command[0], list(command), holdfast.environment(**variables))
            finally:
                os._exit(127)  # a second test runner must not go on here

    def feed(self, seconds):
        """Paints what comes within so many seconds, at most one piece; False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.received += len(data)
        self.stream.feed(self.decoder.decode(data))
        return bool(data)

    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def text(self):
        return "\n".join(self.lines())

    def until(self, condition, bound=holdfast.BOUND):
        """Paints until the condition (a function, or a text that must be there) holds; gives its value."""
        if isinstance(condition, str):
            wanted = condition
            return self.until(lambda: wanted in self.text(), bound)
        deadline = time.monotonic() + bound
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0 or not self.feed(min(left, 0.5)):
                raise holdfast.TookTooLong(f"the screen is not as awaited:\n{self.text()}")
        return condition()

    def line(self, part):
        """The first line that holds this."""
        return next((line for line in self.lines() if part in line), "")

    def colour(self, part):
        """The colour and the weight of a text's first character."""
        for number, line in enumerate(self.screen.display):
            if part in line:
                one = self.screen.buffer[number][line.index(part)]
                return one.fg, one.bold, one.reverse
        raise AssertionError(f"{part!r} is not on the screen:\n{self.text()}")

    def press(self, keys):
        os.write(self.fd, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, columns, lines):
        self.screen.resize(lines, columns)
        self.screen.reset()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def exit_code(self, bound=holdfast.BOUND):
        """Waits for its end."""
        deadline = time.monotonic() + bound
        while self.feed(max(0.01, deadline - time.monotonic())):
            assert time.monotonic() < deadline, f"it has not ended:\n{self.text()}"
        status = os.waitpid(self.pid, 0)[1]
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def end(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


def ago(seconds):
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds)
    return then.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def service(name, state="connected", up=True, since=3600, **more):
    """One service's part of a status."""
    part = {"service": name, "mode": "session", "state": state, "up": up, "since": ago(since), "down_since": None,
            "address": "10.0.0.5:6379", "clients": 0, "held": 0, "held_longest_seconds": None, "in_flight": 0,
            "warm": 1, "outages": 0, "failures": 0, "last_error": None, "last_error_at": None, "paused": False,
            "next_attempt_in_seconds": None, "bytes_from_clients": 0, "bytes_to_clients": 0, "clients_total": 0,
            "administered": None, "socket": f"/run/holdfast/{name}.sock"}
    return {**part, **more}


class Control:
    """A control socket: each command is given answers[its first word], which may be changed, or is a function."""

    def __init__(self, path, *services, **more):
        self.path = path
        self.answers = {"status": {"ok": True, "pid": 812, "worker_pid": 813, "worker_restarts": 0,
                                   "version": "0.1.0", "started": ago(273600), "config_error": None,
                                   "services": list(services), **more}}
        self.connections = []
        self.commands = []
        self.listen()

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    words = line.decode().split()
                    self.commands.append(words)
                    answer = self.answers.get(words[0], {"ok": False, "error": "no such command"})
                    answer = answer(*words[1:]) if callable(answer) else answer
                    if answer is not None:
                        connection.sendall(json.dumps(answer).encode() + b"\n")
            except OSError:
                return

    def stop(self):
        """The daemon has ended: nobody listens, connections end."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drop()

    def drop(self):
        """The worker has died: connections end."""
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.connections = []
