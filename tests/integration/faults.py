"""faults - makes the Nth call of a function fail in holdfastd or holdfast-tls: the program preloads a library,
tests/faults/faults.c, which is told so by a file that both map."""
import errno
import mmap
import os
import re
import struct

import holdfast

LIBRARY = os.path.join(holdfast.BUILD, "tests/faults/faults.so")
PROCESSES = ("keeper", "worker", "child", "tls")
SIZE = 16384
HEAD = struct.Struct("=9I4xQ24Q")  # times, processes, function, first, error, passed, fired, frames, functions, base
NAME = 20


class Faults:
    """What is armed, and what was called, in all processes that were started with this environment."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.truncate(SIZE)
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), SIZE)
        holdfast.run(os.path.join(holdfast.BUILD, "holdfastd"), "-V", env=holdfast.environment(**self.environment()))
        assert self.names(), f"{LIBRARY} does not work"  # it has written them down

    def environment(self):
        return {"LD_PRELOAD": LIBRARY, "HOLDFAST_FAULTS": self.path}

    def head(self):
        return HEAD.unpack_from(self.memory)

    def put(self, word, value):
        self.memory[4 * word:4 * word + 4] = struct.pack("=I", value)

    def names(self):
        count = self.head()[8]
        place = HEAD.size + 4 * len(PROCESSES) * count
        return [self.memory[place + NAME * i:place + NAME * (i + 1)].rstrip(b"\0").decode() for i in range(count)]

    def arm(self, function, error, first=1, times=1, process="worker"):
        """From the first call on, counted from now, so many calls in these processes ("a|b") fail."""
        self.disarm()
        bits = sum(1 << PROCESSES.index(one) for one in process.split("|"))
        for word, value in enumerate((bits, self.names().index(function), first,
                                      getattr(errno, error), 0, 0, 0), 1):
            self.put(word, value)
        self.put(0, times)

    def disarm(self):
        """How often the function has failed."""
        self.put(0, 0)
        return self.fired

    @property
    def fired(self):
        return self.head()[6]

    def calls(self):
        """{(process, function): how often it was called so far}."""
        names = self.names()
        counts = struct.unpack_from(f"={len(PROCESSES) * len(names)}I", self.memory, HEAD.size)
        return {(process, name): counts[p * len(names) + n] for p, process in enumerate(PROCESSES)
                for n, name in enumerate(names)}

    def callers(self, program):
        """Functions of the program that led to the first failure, the innermost first."""
        head = self.head()
        places = [hex(frame - head[9] - 1) for frame in head[10:10 + head[7]] if frame > head[9]]
        text = holdfast.run("addr2line", "-f", "-e", program, *places).stdout
        return [name for name in re.findall(r"^(\w\S*)$", text, re.MULTILINE) if not name.startswith("_")]
