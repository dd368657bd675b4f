"""outage - what clients of a proxy go through while its server is down."""
import os
import select
import socket
import time

import measure
import peers
from peers import holdfast

LINE = b"\0\0\0\0\10\0\0\0"  # a ping of work.h


class HoldfastCatalog(peers.Holdfast):
    """The address comes from a catalog, in which the server publishes itself when it is back."""
    name = "holdfast-catalog"

    def launch(self):
        self.catalog = os.path.join(self.folder, "catalog")
        os.makedirs(os.path.join(self.catalog, "s"))
        self.daemon = holdfast.Daemon(
            self.folder, f's: {{ lookup: {{ catalog = "{self.catalog}"; }}; hold_timeout = 3600; }};',
            top='log: { level = "error"; target = "stderr"; };')
        self.spawn(os.path.join(holdfast.BUILD, "holdfastd"), "-c", self.daemon.config)

    def publish(self, there):
        name = os.path.join(self.catalog, "s", "one")
        if there:
            with open(name + ".tmp", "w") as file:
                file.write(f"127.0.0.1:{self.port}\n")
            os.rename(name + ".tmp", name)
        elif os.path.exists(name):
            os.unlink(name)


def ask_in_vain(client, seconds):
    """Whether the client was closed instead of held."""
    begin = time.monotonic()
    try:
        client.send(LINE)
        closed = bool(select.select([client], [], [], seconds)[0])
    except ConnectionError:
        closed = True
    holdfast.until(lambda: time.monotonic() - begin > seconds, "the end of the outage", seconds + 5)
    return closed


def answered_after(work, peer, seconds):
    """A client comes while the server is down for so long: milliseconds from its return to the answer, None if the
    client was closed."""
    work.die()
    peer.publish(False)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(peer.path)
        closed = ask_in_vain(client, seconds)
        work.serve()
        begin = time.monotonic()
        peer.publish(True)
        if closed or client.recv(64) == b"":
            return None
        return (time.monotonic() - begin) * 1e3


def crowd_held(work, peer, count, seconds):
    """So many clients come during an outage of so long: PSS in bytes that each costs while it is held.  All must be
    served then, or the load ends with an error."""
    work.open("idle", 1, 64, peer.address)
    work.close()
    work.die()
    before, begin = peer.memory(), time.monotonic()
    work.say(measure.command("idle", count, 64, peer.address))
    peer.daemon.wait_status("s", held=count)
    holdfast.until(lambda: time.monotonic() - begin > seconds, "the end of the outage", seconds + 5)
    cost = (peer.memory() - before) / count
    assert peer.daemon.status("s")["held"] == count
    work.serve()
    assert work.hear() == "ready"
    work.close()
    return cost
