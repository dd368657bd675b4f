"""manager - a service manager in the place of systemd: keeps files for the daemon from one start to the next."""
import array
import fcntl
import os
import queue
import select
import signal
import socket
import threading

import holdfast

HIGH = 600  # the stored files' numbers here, clear of those that the daemon is to find them at


class Managed(holdfast.Daemon):
    """holdfastd, started again and again with what it has stored: NOTIFY_SOCKET, FDSTORE, BARRIER, LISTEN_FDS."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.store = []  # (name, fd); the newest first, as systemd hands them over
        self.store_max = 2048
        self.deaf = False  # answers no barrier
        self.told = queue.Queue()
        self.reader = None

    def keep(self, name, fd, watched):
        """Once each file, up to the maximum, and none that has hung up unless that is not to be looked at."""
        if len(self.store) >= self.store_max or any(os.path.sameopenfile(fd, other) for _, other in self.store):
            return
        if watched:
            poll = select.poll()
            poll.register(fd, 0)
            if poll.poll(0):
                return
        self.store.insert(0, (name, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH)))

    def drop(self, wanted):
        """Loses entries: wanted(name) tells which."""
        kept = []
        for name, fd in self.store:
            if wanted(name):
                os.close(fd)
            else:
                kept.append((name, fd))
        self.store = kept

    def take(self, message, files):
        lines = dict(line.partition("=")[::2] for line in message.splitlines())
        if lines.get("FDSTORE") == "1":
            for fd in files:
                self.keep(lines["FDNAME"], fd, lines.get("FDPOLL") != "0")
        elif lines.get("FDSTOREREMOVE") == "1":
            self.drop(lambda name: name == lines["FDNAME"])
        elif lines.get("BARRIER") == "1" and self.deaf:
            return  # whoever waits for its end has to give up
        for fd in files:
            os.close(fd)
        self.told.put(message)

    def read(self, notify):
        while True:
            message, ancillary, _, _ = notify.recvmsg(65536, socket.CMSG_SPACE(4 * 253))
            if message == b"end":
                return
            files = array.array("i")
            for _, _, data in ancillary:
                files.frombytes(data[:len(data) - len(data) % files.itemsize])
            self.take(message.decode(), files)

    def spawn(self):
        self.end_reader()
        names = ":".join(name for name, _ in self.store)
        moves = " ".join(f"{i + 3}<&{fd} {fd}<&-" for i, (_, fd) in enumerate(self.store))
        give = ""
        if self.store:
            give = f"exec {moves}; LISTEN_PID=$$ LISTEN_FDS={len(self.store)} LISTEN_FDNAMES={names} "
        if not self.deaf:
            give += "SYSTEMD_EXEC_PID=$$ "
        self.wrapper = ["bash", "-c", give + 'exec "$@"', "bash"]
        self.pass_fds = [fd for _, fd in self.store]
        super().spawn()
        self.told = queue.Queue()
        self.reader = threading.Thread(target=self.read, args=(self.notify,), daemon=True)
        self.reader.start()
        return self

    def wait_notice(self, wanted, bound=None):
        while True:
            try:
                notice = self.told.get(timeout=bound or holdfast.BOUND)
            except queue.Empty:
                raise holdfast.TookTooLong(f"no {wanted}; so far {self.notices}\n{self.log()}") from None
            self.notices.append(notice)
            if any(line.startswith(wanted) for line in notice.splitlines()):
                return notice

    def term(self):
        """Ends it as for a restart; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return holdfast.wait_exit(self.process)

    def restart(self):
        assert self.term() == 0, self.log()
        self.start()

    def end_reader(self):
        if self.reader:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.sendto(b"end", self.path("notify"))
            self.reader.join()
            self.reader = None

    def end(self):
        self.end_reader()
        super().end()
        for _, fd in self.store:
            os.close(fd)
        self.store = []
