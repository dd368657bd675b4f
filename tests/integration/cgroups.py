"""cgroups - groups of processes with a limit, on cgroup version 1 and 2."""
import os
import tempfile

import pytest


def _mounts():
    with open("/proc/mounts") as mounts:
        for line in mounts:
            _, place, kind, options = line.split()[:4]
            yield place, kind, options.split(",")


def _own(controller):
    """This process's group, as /proc/self/cgroup names it: "" is version 2."""
    with open("/proc/self/cgroup") as groups:
        for line in groups:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            if controller in controllers.split(","):
                return path
    return "/"


def _parent(controller):
    """A folder in which a group with this controller can be made, or None."""
    for place, kind, options in _mounts():
        if kind == "cgroup" and controller in options:
            folder = place + _own(controller)
            return folder if os.path.isdir(folder) else place
    for place, kind, _ in _mounts():
        if kind == "cgroup2":
            with open(place + "/cgroup.subtree_control") as file:
                return place if controller in file.read().split() else None
    return None


class Group:
    """A group below this process's own, with values like {"memory.max": "64M"}; files that a version lacks are given
    as a tuple of alternatives."""

    def __init__(self, controller, name, limits):
        parent = _parent(controller)
        if parent is None or not os.access(parent, os.W_OK):
            pytest.skip(f"no cgroup with the controller {controller} can be made here (needs root)")
        self.path = tempfile.mkdtemp(prefix=name + "-", dir=parent)
        for names, value in limits.items():
            found = [one for one in names if os.path.exists(os.path.join(self.path, one))]
            with open(os.path.join(self.path, found[0]), "w") as file:
                file.write(str(value))

    def wrapper(self):
        """Starts a command in the group."""
        return ["sh", "-c", f'echo $$ >{self.path}/cgroup.procs; exec "$@"', "sh"]

    def read(self, *names):
        for name in names:
            path = os.path.join(self.path, name)
            if os.path.exists(path):
                with open(path) as file:
                    return file.read()
        raise FileNotFoundError(names)

    def remove(self):
        os.rmdir(self.path)


def memory(limit):
    return Group("memory", "holdfast-test", {("memory.max", "memory.limit_in_bytes"): limit})
