"""nsd - a real name server (NSD) for one zone, example.org, on a port of 127.0.0.1."""
import os
import signal
import subprocess
import time

import holdfast

CONFIGURATION = """
server:
    ip-address: 127.0.0.1@{port}
    {secure}
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    database: ""
    zonelistfile: "{folder}/zone.list"
    pidfile: "{folder}/pid"
    xfrdfile: "{folder}/xfrd"
    xfrdir: "{folder}"
    logfile: "{folder}/log"
remote-control:
    control-enable: no
zone:
    name: example.org
    zonefile: zone
"""


class Nsd:
    def __init__(self, folder, certificate=None):
        self.port, self.tls_port = holdfast.free_port(), holdfast.free_port()
        self.address, self.tls_address = f"127.0.0.1:{self.port}", f"127.0.0.1:{self.tls_port}"
        self.folder = os.path.join(folder, f"nsd-{self.port}")
        self.serial = 0
        self.process = None
        os.mkdir(self.folder)
        secure = ""
        if certificate:
            secure = (f'ip-address: 127.0.0.1@{self.tls_port}\n    tls-port: {self.tls_port}\n'
                      f'    tls-service-pem: "{certificate[0]}"\n    tls-service-key: "{certificate[1]}"')
        with open(os.path.join(self.folder, "conf"), "w") as file:
            file.write(CONFIGURATION.format(port=self.port, folder=self.folder, secure=secure))

    def say(self, *records):
        """The zone's records, such as "db 5 A 10.0.0.1"; a server that runs reads them."""
        self.serial += 1
        with open(os.path.join(self.folder, "zone.new"), "w") as file:
            file.write(f"$ORIGIN example.org.\n@ 3600 SOA ns hostmaster {self.serial} 3600 600 86400 1\n"
                       "@ 3600 NS ns\nns 3600 A 127.0.0.1\n" + "".join(f"{each}\n" for each in records))
        # NSD reads a file again whose time of change is another second.
        os.utime(os.path.join(self.folder, "zone.new"), (time.time(), time.time() + self.serial))
        os.rename(os.path.join(self.folder, "zone.new"), os.path.join(self.folder, "zone"))
        if self.process:
            self.process.send_signal(signal.SIGHUP)

    def start(self, *records):
        self.say(*records)
        with open(os.path.join(self.folder, "out"), "wb") as out:
            self.process = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", os.path.join(self.folder, "conf")],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            env=holdfast.environment())
        holdfast.until(lambda: "nsd started" in self.log(), "nsd is ready")
        return self

    def log(self):
        try:
            with open(os.path.join(self.folder, "log")) as file:
                return file.read()
        except OSError:
            return ""

    def stop(self):
        if self.process:
            self.process.terminate()
            holdfast.wait_exit(self.process)
            self.process = None
