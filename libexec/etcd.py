"""etcd - what lookup-etcd and publish-etcd know of etcd: its API, version 3, as JSON over HTTP."""
import base64

import lookup
import servers

PREFIX = "/holdfast/%s/"


def add_options(parser):
    servers.add_options(parser, port=2379, user="log in as this user of etcd",
                        what="members of the cluster, asked in turn; port 2379")
    parser.add_argument("--prefix", default=PREFIX, help="keys that begin so are the service's; %%s is its name "
                        f"({PREFIX.replace('%', '%%')})")


def coded(text):
    return base64.b64encode(text.encode()).decode()


def decoded(text):
    try:
        return base64.b64decode(text, validate=True).decode()
    except (ValueError, TypeError):
        raise lookup.Failure("a value is no text") from None


def all_with(prefix):
    """The range of all keys that begin so."""
    cut = prefix.encode().rstrip(b"\xff")
    end = cut[:-1] + bytes([cut[-1] + 1]) if cut else b"\0"
    return {"key": coded(prefix), "range_end": base64.b64encode(end).decode()}


class Client:
    def __init__(self, options):
        self.options = options
        self.servers = servers.of_options(options)

    def headers(self, server, call):
        # A member without a leader must say so, where it would wait for one.
        headers = {"Grpc-Metadata-Hasleader": "true"}
        if self.options.user:
            who = {"name": self.options.user, "password": servers.password_of(self.options) or ""}
            answer = servers.Http(call, server, "/v3/auth/authenticate", body=who).json()
            headers["Authorization"] = str(answer.get("token"))
        return headers

    def begin(self, server, call, path, body):
        return servers.Http(call, server, "/v3/" + path, self.headers(server, call), body)

    def ask(self, path, body, read=lambda answer: answer):
        """(server, what read() makes of the answer) of the first member that answers."""
        def ask(server, call):
            return read(self.begin(server, call, path, body).json())
        return servers.in_turn(self.servers, ask, self.options)

    def ask_stream(self, path, body, read):
        """The first of the answers of which there could be several; likewise."""
        def ask(server, call):
            return read(next(self.begin(server, call, path, body).lines()))
        return servers.in_turn(self.servers, ask, self.options)
