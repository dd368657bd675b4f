"""servers - asks servers, in turn or all at once, over TCP, TLS and HTTP, within a time and a size.

Whoever asks is given a Call, which knows how much time is left and ends all its connections when it is over.
"""
import base64
import http.client
import json
import queue
import re
import socket
import ssl
import threading
import time

import lookup
from lookup import Failure

ANSWER_MAX = 4 * 1024 * 1024
LINE_MAX = 1024 * 1024     # of a stream
ASKED_MAX = 16             # servers


# Options -------------------------------------------------------------------------------------------------

def add_options(options, default=None, port=None, user=None, token=None, what="servers, asked in turn"):
    """--server and what belongs to TLS; with credentials if they have a use, which user and token tell."""
    shown = f" ({default})" if default else ""
    if what:
        options.several("--server", metavar="HOST[:PORT]", required=not default, help=what + shown)
        options.set_defaults(server_default=default, server_port=port)
    options.add_argument("--tls", action="store_true", help="use TLS, with the authorities that the system trusts")
    options.add_argument("--ca", metavar="FILE", help="use TLS; the authority that has signed their certificates")
    options.add_argument("--cert", metavar="FILE", help="our certificate, in PEM")
    options.add_argument("--key", metavar="FILE", help="its key, unless it is in the same file")
    options.add_argument("--tls-name", metavar="NAME", help="the name that a certificate must have (the server's)")
    secret = "FILE, or credential:NAME of systemd's LoadCredential="
    if user:
        options.add_argument("--user", metavar="NAME", help=user)
        options.add_argument("--password-file", metavar="FILE", help="its password: " + secret)
    if token:
        options.add_argument("--token-file", metavar="FILE", help=f"{token}: {secret}")


def password_of(options):
    return lookup.read_secret(options.password_file) if options.password_file else None


def bearer(options):
    """The header of --token-file, if that is given."""
    return {"Authorization": "Bearer " + lookup.read_secret(options.token_file)} if options.token_file else {}


class Server:
    """[http[s]://]HOST[:PORT]; without a scheme TLS is used if an option says so."""

    def __init__(self, text, port, tls):
        match = re.fullmatch(r"(?:(https?)://)?(\[[0-9A-Fa-f:.%]+\]|[^\[\]:/@\s]+)(?::([0-9]+))?/?", text)
        if not match:
            raise Failure(f"--server {text}: not [http[s]://]HOST[:PORT]")
        scheme, host, own_port = match.groups()
        self.tls = scheme == "https" or (tls and scheme is None)
        self.host, self.port = host.strip("[]"), lookup.whole(own_port or port, "port", 1)
        self.name = f"{host}:{self.port}"

    def __str__(self):
        return self.name


def wants_tls(options):
    return bool(options.tls or options.ca or options.cert or options.tls_name)


def of_options(options):
    names = options.server or [options.server_default]
    if len(names) > ASKED_MAX:
        raise Failure(f"{len(names)} servers, {ASKED_MAX} are the most")
    return [Server(name, options.server_port, wants_tls(options)) for name in names]


def tls_context(options):
    try:
        context = ssl.create_default_context(cafile=options.ca)
    except (OSError, ssl.SSLError) as error:
        raise Failure(f"--ca {options.ca}: {told(error)}") from None
    if options.cert:
        try:
            key = lookup.secret_path(options.key) if options.key else None
            context.load_cert_chain(lookup.secret_path(options.cert), key)
        except (OSError, ssl.SSLError) as error:
            raise Failure(f"--cert {options.cert}, --key {options.key}: {told(error)}") from None
    return context


# Calls ---------------------------------------------------------------------------------------------------

def told(error):
    """What an exception says, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}; see --ca and --tls-name"
    if isinstance(error, ssl.SSLEOFError):
        return "it has ended the TLS handshake: it may want a certificate of ours, see --cert"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, socket.gaierror):
        return f"its name is not found: {error.strerror}"
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return "it has closed the connection without an answer; with TLS, or without, it may answer"
    if isinstance(error, http.client.HTTPException):
        return f"not an answer of HTTP ({type(error).__name__})"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class Call:
    """One server's: the time for it, and its connections."""

    def __init__(self, options, seconds):
        self.options = options
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds
        self.made = []
        self.over = False
        self.said = ""  # the beginning of an answer, for a message about it

    def left(self):
        left = self.deadline - time.monotonic()
        if left <= 0 or self.over:
            raise TimeoutError
        return left

    def connect(self, server):
        """Over all addresses of the name; with TLS where the server has it."""
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
        for number, (family, kind, protocol, _, address) in enumerate(found):
            one = socket.socket(family, kind, protocol)
            self.made.append(one)
            one.settimeout(self.left() / (len(found) - number))
            try:
                one.connect(address)
                break
            except OSError:
                one.close()
                if number + 1 == len(found):
                    raise
        for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 3)):
            one.setsockopt(socket.IPPROTO_TCP, option, value)  # a watch is silent: is the server there?
        one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if server.tls:
            one.settimeout(self.left())
            one = tls_context(self.options).wrap_socket(one, server_hostname=self.options.tls_name or server.host)
            self.made.append(one)
        one.settimeout(self.left())
        return one

    def keep(self, connection):
        """This one outlives the call."""
        self.made.remove(connection)

    def end(self):
        """Whoever still reads gets an end of file: its thread ends."""
        self.over = True
        for one in self.made:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def begin(server, ask, call, answers):
    """Asks in a thread of its own: what nothing else bounds (a name server, a byte a second) is left behind."""
    def work():
        try:
            answers.put((server, ask(server, call), None))
        except Failure as failure:
            answers.put((server, None, failure))
        except TimeoutError:
            answers.put((server, None, Failure(f"no answer within {call.seconds:.1f} s")))
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            answers.put((server, None, Failure(told(error))))
        except Exception as error:
            answers.put((server, None, lookup.odd(error, call.said)))
    threading.Thread(target=work, daemon=True).start()


def next_of(answers, until):
    try:
        return answers.get(timeout=max(0, until - time.monotonic()))
    except queue.Empty:
        return None


def in_turn(servers, ask, options):
    """(server, what ask(server, call) gives) of the first that gives something.  One that has not answered within its
    share of the time has the next one asked beside it."""
    answers, calls, causes = queue.SimpleQueue(), [], {}
    deadline = time.monotonic() + options.timeout
    try:
        for number, server in enumerate(servers):
            left = deadline - time.monotonic()
            until = time.monotonic() + left / (len(servers) - number)
            calls.append(Call(options, max(left, 0.001)))
            begin(server, ask, calls[-1], answers)
            while len(causes) < len(calls):
                answer = next_of(answers, until)
                if answer is None:
                    break
                if answer[2] is None:
                    return answer[:2]
                if isinstance(answer[2], lookup.Nothing):
                    raise answer[2]
                causes[str(answer[0])] = answer[2]
                if len(causes) < len(servers):
                    lookup.note(f"{answer[0]}: {answer[2]}; another server is asked")
    finally:
        for call in calls:
            call.end()
    raise Failure(failed(servers, causes, options))


def failed(servers, causes, options):
    late = f"no answer within {options.timeout:g} s"
    parts = [f"{server}: {causes.get(str(server), late)}" for server in servers]
    return parts[0] if len(parts) == 1 else f"none of {len(parts)} servers has answered: " + "; ".join(parts)


def all_at_once(servers, ask, options, enough=lambda answers: False):
    """{server: (what it gives, None) or (None, a Failure)}, of all or until enough() of those so far."""
    answers, found = queue.SimpleQueue(), {}
    calls = [Call(options, options.timeout) for _ in servers]
    deadline = time.monotonic() + options.timeout
    for server, call in zip(servers, calls):
        begin(server, ask, call, answers)
    while len(found) < len(servers) and not enough(found):
        answer = next_of(answers, deadline)
        if answer is None:
            break
        found[answer[0]] = answer[1:]
    for call in calls:
        call.end()
    late = Failure(f"no answer within {options.timeout:g} s")
    return {server: found.get(server, (None, late)) for server in servers}


# HTTP ----------------------------------------------------------------------------------------------------

def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Http:
    """A request to a server and the head of its answer."""

    def __init__(self, call, server, path, headers=None, body=None):
        self.call = call
        self.socket = call.connect(server)
        self.connection = http.client.HTTPConnection(server.host, server.port)
        self.connection.sock = self.socket
        sent = {"Accept": "application/json", "Connection": "close", **(headers or {})}
        if body is not None:
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        self.connection.request("GET" if body is None else "POST", path, body, sent)
        self.response = self.connection.getresponse()
        self.status = self.response.status

    def header(self, name):
        return self.response.getheader(name)

    def read(self):
        """All of the body."""
        text = b""
        while True:
            self.socket.settimeout(self.call.left())
            piece = self.response.read1(65536)
            if not piece:
                break
            text += piece
            if len(text) > ANSWER_MAX:
                raise Failure(f"its answer is longer than {ANSWER_MAX // 1024 // 1024} MiB")
        if self.response.length:
            raise Failure("its answer is cut short")
        return text

    def json(self, accept=(200,)):
        """The body as JSON; another status than those is a Failure, with what the server says."""
        text = self.read()
        if self.status not in accept:
            raise Failure(refused(self.status, text))
        self.call.said = text[:120].decode("utf-8", "replace")
        return parse_json(text)

    def lines(self):
        """Of a stream, JSON in each, until the call's time is over or the server ends it."""
        if self.status != 200:
            raise Failure(refused(self.status, self.read()))
        while True:
            self.socket.settimeout(self.call.left())
            line = self.response.readline(LINE_MAX)
            if not line:
                raise Failure("it has ended the watch")
            if not line.endswith(b"\n"):
                raise Failure(f"a line of its watch is cut short, or longer than {LINE_MAX // 1024} KiB")
            self.call.said = line[:120].decode("utf-8", "replace")
            yield parse_json(line)


def parse_json(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Failure("its answer is not JSON") from None


def refused(status, text):
    said = text[:200].decode("utf-8", "replace").strip()
    try:
        answer = json.loads(text)
        said = answer.get("message") or answer.get("error") or said
    except (ValueError, AttributeError, RecursionError):
        pass
    hint = {401: "; see the options for credentials", 403: "; see the options for credentials",
            301: "; ask where it points to", 302: "; ask where it points to"}.get(status, "")
    said = " ".join(str(said).split())[:160]
    return f"HTTP {status}{': ' + said if said else ''}{hint}"


def wait_on(server, options, most, until):
    """until(call) returns when there is something new on a connection that stays open; a server that sends a byte now
    and then ends no later.  What goes wrong meanwhile is told, and left to the next look; it comes no sooner than in
    half a second."""
    answers, call = queue.SimpleQueue(), Call(options, most)
    begun = time.monotonic()
    begin(server, lambda _, call: until(call), call, answers)
    answer = next_of(answers, call.deadline)
    call.end()
    if answer is None or answer[2] is None or time.monotonic() >= call.deadline:
        return
    lookup.note(f"{server}: the watch has ended: {answer[2]}; servers are asked again")
    time.sleep(max(0, min(begun + 0.5 - time.monotonic(), most)))
