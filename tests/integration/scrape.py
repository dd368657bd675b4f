"""scrape - the daemon's metrics as a monitoring system reads them."""
import socket

from prometheus_client.openmetrics.parser import text_string_to_metric_families

import holdfast

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def listening(address):
    """The top of a configuration."""
    return f'metrics: {{ listen = "{address}"; }};'


def curl(address, *more, path="/metrics"):
    """The answer's body, and behind its last newline code and content type."""
    place = ["--unix-socket", address[5:], "http://h"] if address.startswith("unix:") else [f"http://{address}"]
    done = holdfast.run("curl", "-s", "-m", "10", "-w", "\n%{http_code} %{content_type}", *more,
                        *place[:-1], place[-1] + path)
    assert done.returncode == 0, f"curl: {done.returncode}"
    body, _, end = done.stdout.rpartition("\n")
    code, _, kind = end.partition(" ")
    return body, int(code), kind


def text(address):
    body, code, kind = curl(address, "-H", f"Accept: {OPENMETRICS}")
    assert (code, kind) == (200, OPENMETRICS)
    return body


def values(body):
    """{"name" or 'name{label="value"}': number}; fails unless it is OpenMetrics, strictly."""
    found = {}
    for family in text_string_to_metric_families(body):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


def raw(address, request, bound=holdfast.BOUND):
    """What comes back for these bytes until the end of the connection."""
    with connect(address, bound) as connection:
        try:
            connection.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return rest(connection)


def connect(address, bound=holdfast.BOUND):
    if address.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX)
        place = address[5:]
    else:
        connection = socket.socket()
        host, _, port = address.rpartition(":")
        place = (host, int(port))
    connection.settimeout(bound)
    connection.connect(place)
    return connection


def rest(connection):
    heard = b""
    try:
        while part := connection.recv(65536):
            heard += part
    except ConnectionResetError:
        pass
    return heard
