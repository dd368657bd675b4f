"""upstream - a server behind Holdfast that does what a test wants: accept, refuse, reset, stall, half-close."""
import os
import socket
import struct
import threading

import holdfast


def answering(answer, heard=None):
    """Each line is noted, if heard is a list, and answered with answer(line), if that is not None."""
    def serve(connection):
        with connection.makefile("rb") as lines:
            for line in lines:
                if heard is not None:
                    heard.append(line)
                reply = answer(line)
                if reply is not None:
                    connection.sendall(reply)
    return serve


echo_lines = answering(lambda line: line)


def named(name):
    """Each line is answered with the server's name and the line."""
    return answering(lambda line: name.encode() + b" " + line)


def collecting(heard):
    """Each line is noted, none is answered."""
    return answering(lambda line: None, heard)


def stall(connection):
    """Takes everything, says nothing."""
    while connection.recv(65536):
        pass


def reset(connection):
    """Ends with a reset at once."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer_at_end(answer):
    """Reads to the end of the client's half, then answers with answer(what was sent)."""
    def serve(connection):
        with connection.makefile("rb") as file:
            connection.sendall(answer(file.read()))
    return serve


class Upstream:
    """Listens on a port of its own; each connection has a thread that runs serve(connection)."""

    def __init__(self, serve=echo_lines, port=None, host="127.0.0.1"):
        self.serve = serve
        self.port = port or holdfast.free_port()
        self.host = host
        self.address = f"{host}:{self.port}"
        self.changed = threading.Condition()
        self.accepted = 0
        self.connections = set()
        self.listener = None

    def start(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(1024)
        self.listener = listener
        self.accepting = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self.accepting.start()
        return self

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.changed:
                self.accepted += 1
                self.connections.add(connection)
                self.changed.notify_all()
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        try:
            self.serve(connection)
        except OSError:
            pass
        with self.changed:
            self.connections.discard(connection)
            self.changed.notify_all()
        connection.close()

    def wait(self, condition, what, bound=holdfast.BOUND):
        with self.changed:
            if not self.changed.wait_for(lambda: condition(self), bound):
                raise holdfast.TookTooLong(f"upstream {self.address}: {what}: not within {bound} s")

    def wait_accepted(self, count, bound=holdfast.BOUND):
        self.wait(lambda self: self.accepted >= count, f"{count} connections", bound)

    def stop(self):
        """Like a server's death: when this returns nothing listens and all connections have ended."""
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
            self.accepting.join()
            self.listener.close()
            self.listener = None
        with self.changed:
            ended, self.connections = self.connections, set()
        for connection in ended:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Catalog:
    """A catalog directory, published to as the manual says: aside, then renamed."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def publish(self, service, copy, line):
        place = os.path.join(self.folder, service)
        os.makedirs(place, exist_ok=True)
        aside = os.path.join(place, f".{copy}.tmp")
        with open(aside, "w") as file:
            file.write(line + "\n")
        os.rename(aside, os.path.join(place, copy))

    def withdraw(self, service, copy):
        os.unlink(os.path.join(self.folder, service, copy))
