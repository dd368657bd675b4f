"""visitor - clients that come and go while a daemon is given new configurations."""
import threading

import holdfast


def at(name, address, path, more=""):
    return holdfast.fixed(name, address, f'listen: {{ path = "{path}"; {more} }};')


class Visitor(threading.Thread):
    """Connects to one of several paths, whichever is there, asks, and goes, again and again.  What must not happen is
    that none is there, or that a client that was let in is not answered."""

    def __init__(self, paths):
        super().__init__()
        self.paths = paths
        self.visits = 0
        self.failures = []
        self.over = threading.Event()

    def visit(self):
        errors = []
        for path in self.paths:
            try:
                with holdfast.Client(path) as client:
                    if not client.ask("x").endswith(b"x\n"):
                        self.failures.append(f"{path}: no answer")
                    self.visits += 1
                    return
            except (FileNotFoundError, ConnectionRefusedError) as error:
                errors.append(f"{path}: {error}")
            except OSError as error:
                self.failures.append(f"{path}: {error}")
                return
        self.failures.append("; ".join(errors))

    def run(self):
        while not self.over.is_set() and not self.failures:
            self.visit()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def reloaded(one):
    """Asks again if the worker dies over it."""
    def ask():
        try:
            return one.command_raw("reload")
        except ConnectionError:
            return None
    answer = holdfast.until(ask, "an answer to reload")
    assert answer["ok"], answer
