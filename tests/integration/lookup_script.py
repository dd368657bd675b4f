"""lookup_script - a lookup script whose answer a test changes."""
import os


class Source:
    """A script that prints what a file holds, and notes when it is run."""

    def __init__(self, folder, *addresses):
        self.answer, self.path = os.path.join(folder, "answer"), os.path.join(folder, "find")
        self.say(*addresses)
        with open(self.path, "w") as file:
            file.write(f'#!/bin/sh\ncut -d" " -f22 /proc/$$/stat >>{self.path}.runs\ncat {self.answer}\n')
        os.chmod(self.path, 0o755)

    def say(self, *addresses):
        with open(self.answer + ".new", "w") as file:
            file.write("".join(f"{address}\n" for address in addresses))
        os.rename(self.answer + ".new", self.answer)

    def runs(self):
        """When each began, in seconds."""
        with open(self.path + ".runs") as file:
            return [int(line) / os.sysconf("SC_CLK_TCK") for line in file]

    def service(self, lookup, more="warm = 1;"):
        return f's: {{ lookup: {{ script = "{self.path}"; {lookup} }}; {more} }};\n'
