"""lookup-kubernetes, with a stand-in: Debian has no Kubernetes.  It answers in the form that the documentation of its
API gives for EndpointSlices (discovery.k8s.io/v1), with watches; a real API server was not asked."""
import json
import os

import pytest

import holdfast
import lookups
from lookups import failed, found
from web import Web

pytestmark = pytest.mark.plain


def endpoint(address, zone="a", for_zones=(), **conditions):
    hints = {"hints": {"forZones": [{"name": name} for name in for_zones]}} if for_zones else {}
    return {"addresses": [address], "conditions": conditions, "nodeName": "node-1", "zone": zone, **hints}


def a_slice(*endpoints, ports=({"name": "http", "protocol": "TCP", "port": 80},), kind="IPv4"):
    return {"metadata": {"name": "s-abc", "namespace": "shop", "labels": {"kubernetes.io/service-name": "s"}},
            "addressType": kind, "ports": list(ports), "endpoints": list(endpoints)}


class Kubernetes:
    """Its resource version is that of the last change; a watch from an older one is told of it at once."""

    def __init__(self, folder):
        self.authority = lookups.Authority(folder)
        self.token = os.path.join(folder, "token")
        with open(self.token, "w") as file:
            file.write("eyJhbGciOi\n")
        self.version, self.slices, self.gone = 100, [], 0
        self.web = Web(self.answer, self.authority.issue("kubernetes"))
        self.ask = ["lookup-kubernetes", "--server", self.web.address, "--ca", self.authority.ca, "--token-file",
                    self.token, "--namespace", "shop"]

    def answer(self, request):
        if request.headers.get("Authorization") != "Bearer eyJhbGciOi":
            return 401, {}, {"kind": "Status", "status": "Failure", "message": "Unauthorized", "code": 401}
        if request.path != "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices":
            return 403, {}, {"kind": "Status", "code": 403, "message": "endpointslices is forbidden"}
        if request.asked("watch"):
            return 200, {}, self.events(int(request.asked("resourceVersion")), float(request.asked("timeoutSeconds")))
        slices = self.slices if request.asked("labelSelector") == "kubernetes.io/service-name=s" else []
        return 200, {}, {"kind": "EndpointSliceList", "metadata": {"resourceVersion": str(self.version)},
                         "items": slices}

    def events(self, version, seconds):
        def line(kind, what):
            return json.dumps({"type": kind, "object": what}).encode() + b"\n"
        if version <= self.gone:
            yield line("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version"})
            return
        yield line("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})
        if self.web.wait(lambda: self.version > version, seconds):
            yield line("MODIFIED", (self.slices or [a_slice()])[0])

    def say(self, *slices):
        def work():
            self.slices, self.version = list(slices), self.version + 1
        self.web.change(work)


@pytest.fixture
def kubernetes(folder):
    one = Kubernetes(folder)
    yield one
    one.web.stop()


def test_endpoints_by_their_conditions(kubernetes):
    kubernetes.say(
        a_slice(endpoint("10.1.0.1", ready=True, serving=True), endpoint("10.1.0.2", ready=False, serving=False),
                endpoint("10.1.0.3", ready=False, serving=True, terminating=True),
                endpoint("10.1.0.4", ready=False, serving=False, terminating=True), endpoint("10.1.0.5")),
        a_slice(endpoint("fd00::1", ready=True), kind="IPv6"))
    assert found(*kubernetes.ask) == ["10.1.0.1:80 priority=0", "10.1.0.5:80 priority=0", "[fd00::1]:80 priority=0",
                                      "10.1.0.3:80 priority=2"]
    assert failed(*kubernetes.ask, service="other").endswith("shop has no EndpointSlice of a service other")
    kubernetes.say(a_slice(endpoint("10.1.0.2", ready=False)))
    assert failed(*kubernetes.ask) == "no endpoint of s in shop is ready"


def test_the_nearest_zone_is_preferred(kubernetes):
    kubernetes.say(a_slice(endpoint("10.1.0.1", "a"), endpoint("10.1.0.2", "b"),
                           endpoint("10.1.0.3", "c", for_zones=["a", "c"])))
    assert found(*kubernetes.ask, "--zone", "a") == ["10.1.0.1:80 priority=0", "10.1.0.3:80 priority=0",
                                                     "10.1.0.2:80 priority=1"]


def test_a_port_by_its_name_or_number(kubernetes):
    ports = [{"name": "http", "protocol": "TCP", "port": 80}, {"name": "metrics", "protocol": "TCP", "port": 9100},
             {"name": "dns", "protocol": "UDP", "port": 53}]
    kubernetes.say(a_slice(endpoint("10.1.0.1"), ports=ports))
    assert found(*kubernetes.ask, "--port", "metrics") == ["10.1.0.1:9100 priority=0"]
    assert found(*kubernetes.ask, "--port", "80") == ["10.1.0.1:80 priority=0"]
    assert "several ports, http, metrics: choose one by --port" in failed(*kubernetes.ask)
    assert failed(*kubernetes.ask, "--port", "dns") == "no endpoint of s in shop is ready at port dns"


def test_it_says_what_is_not_allowed(kubernetes, folder):
    kubernetes.say(a_slice(endpoint("10.1.0.1")))
    assert "HTTP 403: endpointslices is forbidden" in failed(*kubernetes.ask, "--namespace", "other")
    with open(kubernetes.token, "w") as file:
        file.write("other\n")
    assert "HTTP 401: Unauthorized" in failed(*kubernetes.ask)
    other = lookups.Authority(folder, "other")
    assert "its certificate is not accepted" in failed(*kubernetes.ask, "--ca", other.ca)
    with open(kubernetes.token, "w") as file:
        file.write("two\nlines\n")
    assert "a secret is one line" in failed(*kubernetes.ask)


def test_a_watch_follows_slices_and_outlives_an_old_version(kubernetes):
    watch = lookups.Watch(*kubernetes.ask, "--refresh", "60")
    try:
        watch.until([])
        kubernetes.say(a_slice(endpoint("10.1.0.1")))
        watch.until(["10.1.0.1:80 priority=0"])
        kubernetes.gone = kubernetes.version
        kubernetes.say(a_slice(endpoint("10.1.0.2")))
        watch.until(["10.1.0.2:80 priority=0"])
        kubernetes.say()
        watch.until([])
    finally:
        watch.stop()
    assert holdfast.proc_state(watch.process.pid) == ""
