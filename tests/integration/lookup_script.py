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


class Watched(Source):
    """One that watches the file: it says what it holds when that changes, and when one is told to say it again."""

    def __init__(self, folder, *addresses):
        super().__init__(folder, *addresses)
        self.silent = os.path.join(folder, "silent")
        with open(self.path, "w") as file:
            file.write(f"""#!/bin/sh
if test "$1" != --watch; then
	echo . >>{self.path}.once
	exec cat {self.answer}
fi
echo $$ >>{self.path}.watching
last=
n=0
while :; do
	now=$(stat -c %i {self.answer})
	n=$((n + 1))
	if test ! -e {self.silent} && test "$now" != "$last" -o $n -ge 20; then
		cat {self.answer}
		echo
		last=$now
		n=0
	fi
	sleep 0.01
done
""")

    def once(self):
        """How often it was run for one answer."""
        return lines_of(self.path + ".once")

    def watching(self):
        """The processes that have watched, oldest first."""
        return [int(line) for line in lines_of(self.path + ".watching")]

    def service(self, lookup="", more="warm = 1;"):
        return super().service("watch = true; " + lookup, more)


def lines_of(path):
    try:
        with open(path) as file:
            return file.read().split()
    except FileNotFoundError:
        return []
