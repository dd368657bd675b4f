"""name_server - a name server on an address of this host that nobody else uses; needs root (port 53, a mount)."""
import os
import socket
import struct
import threading

A, CNAME, AAAA = 1, 5, 28


def label(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


class NameServer:
    """Answers each question from zone, whatever the name: {type: [(data, ttl), ...]}; a type that is not in it is
    dropped, one in failing has no answer but that the server failed, one in late comes so many seconds late by UDP.
    May be changed at any time.  With alias = (name, ttl) the name asked for is an alias of that name; with
    truncated nothing but "ask again by TCP" is said by UDP."""

    def __init__(self, zone, alias=None, truncated=False):
        self.zone, self.alias, self.truncated = zone, alias, truncated
        self.address = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
        self.asked, self.failing, self.late = [], set(), {}
        self.packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.packets.bind((self.address, 53))
        self.stream = socket.socket()
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.stream.bind((self.address, 53))
        self.stream.listen()
        self.work = [threading.Thread(target=each) for each in (self.serve_packets, self.serve_stream)]
        for each in self.work:
            each.start()

    def answer(self, question, whole=True):
        """What is answered, or nothing."""
        end = question.index(b"\0", 12) + 5
        kind, = struct.unpack("!H", question[end - 4:end - 2])
        self.asked.append(kind)
        if kind in self.failing:
            return question[:2] + b"\x81\x82\0\1\0\0\0\0\0\0" + question[12:end]
        zone = self.zone
        if kind not in zone:
            return b""
        if not whole:
            return question[:2] + b"\x83\x80\0\1\0\0\0\0\0\0" + question[12:end]
        records, owner = [], b"\xc0\x0c"
        if self.alias is not None:
            name, ttl = self.alias
            records.append(owner + struct.pack("!HHIH", CNAME, 1, ttl, len(label(name))) + label(name))
            owner = label(name)
        records += [owner + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data for data, ttl in zone[kind]]
        head = question[:2] + b"\x81\x80\0\1" + struct.pack("!H", len(records)) + b"\0\0\0\0"
        return head + question[12:end] + b"".join(records)

    def serve_packets(self):
        while True:
            question, client = self.packets.recvfrom(512)
            if not question:
                return
            answer = self.answer(question, not self.truncated)
            late = self.late.get(self.asked[-1])
            if answer and late:
                threading.Timer(late, self.packets.sendto, (answer, client)).start()
            elif answer:
                self.packets.sendto(answer, client)

    def serve_stream(self):
        while True:
            connection, _ = self.stream.accept()
            with connection, connection.makefile("rb") as file:
                if not (size := file.read(2)):
                    return
                while size:
                    answer = self.answer(file.read(struct.unpack("!H", size)[0]))
                    connection.sendall(struct.pack("!H", len(answer)) + answer)
                    size = file.read(2)

    def wrapper(self, folder):
        """How a daemon is started whose /etc/resolv.conf names this server."""
        with open(f"{folder}/resolv.conf", "w") as file:
            file.write(f"nameserver {self.address}\n")
        mount = f'mount --bind {folder}/resolv.conf /etc/resolv.conf && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", mount, "sh"]

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (self.address, 53))
        socket.create_connection((self.address, 53)).close()
        for each in self.work:
            each.join()
        self.packets.close()
        self.stream.close()
