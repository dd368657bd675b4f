"""lookups - the lookup programs of libexec, run as holdfastd runs them, once or with --watch; and certificates."""
import os
import queue
import subprocess
import threading
import time

import holdfast

PLACE = os.path.join(holdfast.SOURCE, "libexec")


def clean(**more):
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOLDFAST_SERVICE": "s", "HOLDFAST_FAILURES": "0",
            "HOLDFAST_LAST_ADDRESS": "", "PYTHONDONTWRITEBYTECODE": "1", **more}


def program(name):
    return os.path.join(PLACE, name)


class Answer:
    """What a program printed, and how long it took."""

    def __init__(self, name, *arguments, wrapper=(), service="s", **environment):
        begun = time.monotonic()
        done = holdfast.run(*wrapper, program(name), *arguments, service, env=clean(**environment), cwd="/")
        self.took = time.monotonic() - begun
        self.code, self.lines, self.errors = done.returncode, done.stdout.splitlines(), done.stderr
        self.cause = self.errors.splitlines()[-1] if self.errors else ""


def found(*arguments, **options):
    """The lines of a program that must succeed."""
    answer = Answer(*arguments, **options)
    assert answer.code == 0, answer.errors
    return answer.lines


def failed(*arguments, code=1, **options):
    """The cause of a program that must fail: its last line, which names it; nothing is printed."""
    answer = Answer(*arguments, **options)
    assert answer.code == code and not answer.lines, (answer.code, answer.lines, answer.errors)
    assert answer.took < holdfast.BOUND, answer.took
    assert answer.cause.startswith(arguments[0] + ": "), answer.errors
    return answer.cause[len(arguments[0]) + 2:]


class Watch:
    """A program with --watch, and its lists with the time when each was complete."""

    def __init__(self, name, *arguments, wrapper=(), service="s", **environment):
        self.process = subprocess.Popen([*wrapper, program(name), "--watch", *map(str, arguments), service],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=clean(**environment), cwd="/", start_new_session=True)
        self.lists, self.errors, self.now = queue.Queue(), [], None
        self.threads = [threading.Thread(target=work) for work in (self.read, self.read_errors)]
        for thread in self.threads:
            thread.start()

    def read(self):
        lines = []
        for line in self.process.stdout:
            if line == "\n":
                self.lists.put((time.monotonic(), lines))
                lines = []
            else:
                lines.append(line.rstrip("\n"))

    def read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.rstrip("\n"))

    def next(self, bound=holdfast.BOUND):
        try:
            self.at, self.now = self.lists.get(timeout=bound)
        except queue.Empty:
            raise holdfast.TookTooLong(f"no list within {bound} s: {self.errors}") from None
        return self.now

    def until(self, wanted, bound=60):
        """Waits for this list, however often others come before; gives when it came."""
        deadline = time.monotonic() + bound
        while self.now != wanted:
            try:
                self.next(holdfast.remaining(deadline))
            except holdfast.TookTooLong:
                raise holdfast.TookTooLong(f"no {wanted} within {bound} s: {self.now}, {self.errors}") from None
        return self.at

    def wait_end(self, bound=holdfast.BOUND):
        """It ends by itself; its exit code and the last line of its errors."""
        code = holdfast.wait_exit(self.process, bound)
        for thread in self.threads:
            thread.join()
        return code, self.errors[-1] if self.errors else ""

    def stop(self):
        self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join()
        self.process.stdout.close()
        self.process.stderr.close()


class Authority:
    """Signs certificates, with openssl."""

    def __init__(self, folder, name="authority"):
        self.folder = os.path.join(folder, name)
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o755)
        self.ca = self.file("ca.pem")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                     "2", "-subj", f"/CN={name}", "-keyout", self.file("ca.key"), "-out", self.ca)

    def file(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *words):
        done = holdfast.run("openssl", *words)
        assert done.returncode == 0, done.stderr

    def issue(self, name, names="IP:127.0.0.1,DNS:localhost", subject=None):
        """A certificate and its key, for a server or a client."""
        cert, key, asked, more = (self.file(name + end) for end in (".pem", ".key", ".req", ".ext"))
        with open(more, "w") as file:
            file.write(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                     subject or f"/CN={name}", "-keyout", key, "-out", asked)
        self.openssl("x509", "-req", "-in", asked, "-CA", self.ca, "-CAkey", self.file("ca.key"), "-CAcreateserial",
                     "-days", "2", "-extfile", more, "-out", cert)
        os.chmod(key, 0o644)
        return cert, key
