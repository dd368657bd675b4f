"""visitor - clients that come and go while a daemon is given new configurations."""
import os
import signal
import socket

import holdfast
import storm


def at(name, address, path, more=""):
    return holdfast.fixed(name, address, f'listen: {{ path = "{path}"; {more} }};')


class TcpClient(holdfast.Client):
    """A connection to a service's port."""

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), holdfast.BOUND)
        self.file = self.socket.makefile("rb")


class Visitor(storm.Again):
    """Connects to one of several paths, whichever is there, asks, and goes, again and again.  What must not happen is
    that none is there, or that a client that was let in is not answered."""

    def __init__(self, paths):
        super().__init__()
        self.paths = paths
        self.visits = 0
        self.failures = []

    def fail(self, text):
        self.failures.append(text)
        self.over.set()

    def once(self):
        errors = []
        for path in self.paths:
            try:
                with holdfast.Client(path) as client:
                    if not client.ask("x").endswith(b"x\n"):
                        self.fail(f"{path}: no answer")
                    self.visits += 1
                    return
            except (FileNotFoundError, ConnectionRefusedError) as error:
                errors.append(f"{path}: {error}")
            except OSError as error:
                self.fail(f"{path}: {error}")
                return
        self.fail("; ".join(errors))


def expect_backlog_served(one, connect, places, services):
    """Who connects to these while nobody accepts, and the reload that moves them is already asked for, is served."""
    os.kill(one.worker(), signal.SIGSTOP)
    clients = [connect(place) for place in places]
    one.configure(services)
    one.process.send_signal(signal.SIGHUP)
    os.kill(one.worker(), signal.SIGCONT)
    one.wait_log("reloaded")
    for number, client in enumerate(clients):
        assert client.ask(str(number)) == f"{number}\n".encode()
        client.close()


def reloaded(one):
    """Asks again if the worker dies over it."""
    def ask():
        try:
            return one.command_raw("reload")
        except ConnectionError:
            return None
    answer = holdfast.until(ask, "an answer to reload")
    assert answer["ok"], answer
