"""lookup-consul, with a stand-in: Debian has no Consul.  It answers in the form that the documentation of Consul's
HTTP API gives for /v1/health/service, with its index and blocking queries; a real Consul was not asked."""
import os

import pytest

import holdfast
import lookups
from lookups import failed, found
from web import Web

pytestmark = pytest.mark.plain


def check(name, status):
    return {"Node": "n1", "CheckID": name, "Name": name, "Status": status, "Notes": "", "Output": "",
            "ServiceID": "s1", "ServiceName": "s", "ServiceTags": [], "Namespace": "default"}


def instance(node, address, port, status="passing", weights=(1, 1), tags=()):
    return {"Node": {"ID": "8c2ab8d2", "Node": "n1", "Address": node, "Datacenter": "dc1",
                     "TaggedAddresses": {"lan": node, "wan": node}, "Meta": {}},
            "Service": {"ID": "s1", "Service": "s", "Tags": list(tags), "Address": address, "Meta": {}, "Port": port,
                        "Weights": {"Passing": weights[0], "Warning": weights[1]}, "Namespace": "default"},
            "Checks": [check("serfHealth", "passing"), check("service:s1", status)]}


class Consul:
    def __init__(self, token=None):
        self.token, self.index, self.instances = token, 7, []
        self.web = Web(self.answer)

    def answer(self, request):
        if self.token and request.headers.get("X-Consul-Token") != self.token:
            return 403, {}, b"Permission denied: token lacks permission 'service:read'"
        if request.asked("index"):
            assert request.asked("wait").endswith("s")
            self.web.wait(lambda: self.index > int(request.asked("index")), float(request.asked("wait")[:-1]))
        asked = request.path.removeprefix("/v1/health/service/")
        of_it = [each for each in self.instances if each["Service"]["Service"] == asked]
        if "passing" in request.query:
            of_it = [each for each in of_it if all(one["Status"] == "passing" for one in each["Checks"])]
        of_it = [each for each in of_it if set(request.query.get("tag", [])) <= set(each["Service"]["Tags"])]
        return 200, {"X-Consul-Index": str(self.index), "X-Consul-Knownleader": "true"}, of_it

    def say(self, *instances):
        def work():
            self.instances, self.index = instances, self.index + 1
        self.web.change(work)


@pytest.fixture
def consul():
    yield from holdfast.each_ends(Consul, lambda one: one.web.stop())


def test_instances_that_pass_with_their_weights(consul):
    one = consul()
    one.say(instance("10.0.0.1", "", 8000, weights=(10, 1)), instance("10.0.0.9", "10.0.0.2", 8000, tags=["primary"]),
            instance("10.0.0.3", "", 8000, "warning", weights=(10, 2)), instance("10.0.0.4", "", 8000, "critical"))
    ask = ["lookup-consul", "--server", one.web.address]
    assert found(*ask) == ["10.0.0.1:8000 weight=10", "10.0.0.2:8000 weight=1"]
    assert found(*ask, "--tag", "primary") == ["10.0.0.2:8000 weight=1"]
    assert found(*ask, "--warning") == ["10.0.0.1:8000 priority=0 weight=10", "10.0.0.2:8000 priority=0 weight=1",
                                        "10.0.0.3:8000 priority=1 weight=2"]
    assert found(*ask, "--name", "%s", "--dc", "dc1", "--near", "_agent", "--stale") == found(*ask)
    asked = one.web.requests[-2]
    assert (asked.asked("dc"), asked.asked("near"), asked.asked("stale"), asked.asked("passing")) == \
        ("dc1", "_agent", "", "1")
    assert failed(*ask, service="other") == f"{one.web.address}: no instance of other passes its checks"


def test_with_a_token_from_a_file(consul, folder):
    one = consul(token="b1gs33cr3t")
    one.say(instance("10.0.0.1", "", 8000))
    ask = ["lookup-consul", "--server", one.web.address]
    path = os.path.join(folder, "token")
    with open(path, "w") as file:
        file.write("b1gs33cr3t\n")
    assert found(*ask, "--token-file", path) == ["10.0.0.1:8000 weight=1"]
    assert found(*ask, "--token-file", "credential:token", CREDENTIALS_DIRECTORY=folder)
    cause = failed(*ask)
    assert "HTTP 403: Permission denied" in cause and "see the options for credentials" in cause


def test_what_is_no_answer_of_consul_is_a_failure(consul):
    one = consul()
    ask = ["lookup-consul", "--server", one.web.address]
    for body in (b"{}", b"[1]", b"[[]]", b"no", b"[" * 100000, b'[{"Service": {}, "Node": {}}]', b"\xff"):
        one.web.answer = lambda request, body=body: (200, {}, body)
        failed(*ask)


def test_a_watch_waits_in_a_blocking_query(consul):
    one = consul()
    watch = lookups.Watch("lookup-consul", "--server", f"127.0.0.1:1,{one.web.address}", "--refresh", "60")
    try:
        watch.until([])
        one.say(instance("10.0.0.1", "", 8000))
        watch.until(["10.0.0.1:8000 weight=1"])
        one.say(instance("10.0.0.2", "", 8000))
        watch.until(["10.0.0.2:8000 weight=1"])
        assert len(one.web.requests) < 12
    finally:
        watch.stop()
