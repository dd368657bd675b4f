"""lookup - what all lookup programs share: options, secrets, the list that they print, and --watch.

A program describes itself as a Lookup and calls run().  Whatever goes wrong ends as a Failure: one line on standard
error, exit code 1, nothing on standard output.
"""
import argparse
import ipaddress
import os
import re
import select
import sys
import threading
import time

ENDPOINTS_MAX = 64     # holdfastd takes no more
SECRET_MAX = 64 * 1024
NUMBER_MAX = 65535     # of a priority, a weight, a port
TIMEOUT = 3.0          # below lookup.timeout by what a busy machine needs to start us, so that the cause is told
REFRESH = 10.0
PAUSE = 0.1            # at least so long from one look to the next
# What interpreting an answer of another form than the system's own raises.
ODD = (AttributeError, LookupError, TypeError, ValueError)
HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,252})?")


class Failure(Exception):
    """Its text is for an operator."""


class Nothing(Failure):
    """The system was asked and has answered: there is no endpoint.  Another server would say the same."""


def odd(error, said):
    """The Failure of such an answer, with how it begins."""
    return Failure(f"its answer has another form than expected ({type(error).__name__}: {str(error)[:80]})"
                   + (f": {str(said)[:80]}" if said else ""))


def note(text):
    """One line on standard error, whatever a server has put into the text."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in str(text))
    print(f"{os.path.basename(sys.argv[0])}: {shown}", file=sys.stderr, flush=True)


# Endpoints -----------------------------------------------------------------------------------------------

def whole(text, what, least=0):
    if not re.fullmatch("[0-9]{1,5}", str(text)) or not least <= int(text) <= NUMBER_MAX:
        raise Failure(f"{what} is not a whole number from {least} to {NUMBER_MAX}: {str(text)[:40]}")
    return int(text)


def endpoint(host, port, priority=None, weight=None):
    """The line of an endpoint; what does not belong into one is a Failure.  No path of this host: others cannot
    mean one."""
    try:
        if not isinstance(host, str):  # it takes a number, too
            raise ValueError
        address = ipaddress.ip_address(host)
        host = f"[{address}]" if address.version == 6 else str(address)
    except ValueError:
        if not HOST.fullmatch(str(host)):
            raise Failure(f"not a host: {str(host)[:80]!r}") from None
    line = f"{host}:{whole(port, 'port', 1)}"
    for name, value in (("priority", priority), ("weight", weight)):
        if value is not None:
            line += f" {name}={whole(value, name)}"
    return line


def parse_endpoint(text):
    """Of what somebody has published: ADDRESS [priority=N] [weight=N], the first line."""
    words = text.split("\n", 1)[0].split()
    host, _, port = (words[0] if words else "").rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    more = {}
    for word in words[1:]:
        name, _, value = word.partition("=")
        if name not in ("priority", "weight"):
            raise Failure(f"behind an address there is something else than priority= and weight=: {word[:40]!r}")
        more[name] = value
    if not host:
        raise Failure(f"not HOST:PORT: {text[:80]!r}")
    return endpoint(host, port, **more)


def good_ones(candidates, make):
    """make(each), without those of which it says that they are malformed; if all are, the last cause is ours."""
    made, cause = [], None
    for each in candidates:
        try:
            made.append(make(each))
        except Failure as failure:
            cause = failure
            note(f"one entry is ignored: {failure}")
        except ODD as error:
            cause = odd(error, each)
            note(f"one entry is ignored: {cause}")
    if cause and not made:
        raise Failure(f"no entry is well-formed: {cause}")
    return made


def distinct(lines):
    """The first ones, each address once."""
    seen = {}
    for line in lines:
        seen.setdefault(line.split()[0], line)
    if len(seen) > ENDPOINTS_MAX:
        note(f"{len(seen)} addresses: the first {ENDPOINTS_MAX} are used")
    return list(seen.values())[:ENDPOINTS_MAX]


# Secrets -------------------------------------------------------------------------------------------------

def secret_path(name):
    """credential:NAME is a file in $CREDENTIALS_DIRECTORY, as holdfast.conf(5) has it."""
    if not name.startswith("credential:"):
        return name
    place, name = os.environ.get("CREDENTIALS_DIRECTORY"), name[len("credential:"):]
    if not place:
        raise Failure(f"credential:{name}: $CREDENTIALS_DIRECTORY is not set; the unit needs LoadCredential={name}")
    if not name or "/" in name or name in (".", ".."):
        raise Failure(f"credential:{name}: not a credential's name")
    return os.path.join(place, name)


def read_secret(name):
    """One line.  Read for each look, so that a token that is replaced is used."""
    path = secret_path(name)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(SECRET_MAX + 1)
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    text = text.rstrip("\r\n")
    if not text or not text.isprintable():
        raise Failure(f"{path}: a secret is one line of printable characters, and this is "
                      + ("empty" if not text else "not"))
    return text


# Options -------------------------------------------------------------------------------------------------

def seconds(text):
    value = float(text)
    if not 0 < value <= 86400:
        raise ValueError
    return value


def some_of(*choices):
    """The type of an option: words with commas between them."""
    def parse(text):
        words = text.split(",")
        if any(word not in choices for word in words):
            raise argparse.ArgumentTypeError(f"not of {', '.join(choices)}: {text}")
        return words
    return parse


class Options(argparse.ArgumentParser):
    """With --help, --timeout, --watch and --refresh, and the service's name as the last argument."""

    def __init__(self, description, example, watch="for a change"):
        super().__init__(description=description, epilog="Example: " + example + ".  See holdfast-lookup(7).",
                         allow_abbrev=False)
        self.add_argument("--timeout", type=seconds, default=TIMEOUT, metavar="SECONDS",
                          help=f"a look takes no longer, whatever the servers do ({TIMEOUT:g})")
        if watch:
            self.add_argument("--watch", action="store_true",
                              help=f"stay and wait {watch}: each list is ended by an empty line")
            self.add_argument("--refresh", type=seconds, default=REFRESH, metavar="SECONDS",
                              help=f"with --watch: ask and print at least so often ({REFRESH:g})")

    def several(self, name, between=",", **options):
        """An option that may be given more than once, or as a list with commas; a list in any case."""
        self.add_argument(name, action="extend", type=lambda text: [word for word in re.split(between, text) if word],
                          default=[], **options)

    def parse(self):
        self.add_argument("service", metavar="SERVICE", help="the service's name, which holdfastd gives last")
        return self.parse_args()


def named(text, service, escape=str):
    """%s in what is asked for stands for the service's name."""
    return text.replace("%s", escape(service))


# Looking -------------------------------------------------------------------------------------------------

class Lookup:
    """What a program has to know."""

    def __init__(self, options):
        self.options = options

    def look(self):
        """The endpoints' lines, the best first, within options.timeout; or a Failure."""
        raise NotImplementedError

    def wait(self, most):
        """Returns when the list may be another one since look(), or after so many seconds."""
        time.sleep(most)


def show(lines, end=""):
    """All at once: who reads sees all or nothing."""
    sys.stdout.write("".join(f"{line}\n" for line in lines) + end)
    sys.stdout.flush()


def look_once(program):
    lines = distinct(program.look())
    if not lines:
        raise Nothing("the answer has no endpoint")
    return lines


def watch(program):
    """Each list when it is another one, and at least every options.refresh seconds.  An empty list says that there is
    no endpoint now; the reason is on standard error.  Ends when nobody has answered for that long."""
    refresh = program.options.refresh
    shown, told = None, time.monotonic() - refresh  # shown: None before the first answer
    while True:
        begun = time.monotonic()
        try:
            lines = look_once(program)
        except Nothing as nothing:
            lines = []
            if shown != []:
                note(nothing)
        except Failure as failure:
            if shown is None or time.monotonic() - told >= refresh:
                raise
            note(f"{failure}; asked again in 0.5 s")
            time.sleep(0.5)
            continue
        if lines != shown or time.monotonic() - told >= refresh:
            show(lines, end="\n")
            shown, told = lines, time.monotonic()
        program.wait(max(told + refresh - time.monotonic(), PAUSE))
        time.sleep(max(0, begun + PAUSE - time.monotonic()))


def end_with_reader():
    """Who watches for a reader that is gone ends at once, and not at its next list."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    poll.poll()
    os._exit(1)


def guarded(work):
    """Calls it and ends with the exit code that it gives, 0 for None.  A thread that still waits for a name server
    does not hold up the end."""
    try:
        code = work() or 0
    except Failure as failure:
        note(failure)
        code = 1
    except BrokenPipeError:
        code = 1
    except Exception as error:  # what nobody has foreseen is one line too
        note(f"a fault of this program: {type(error).__name__}: {error}")
        code = 1
    os._exit(code)


def run(program_of, options):
    """program_of(options) gives the Lookup; does not return."""
    def work():
        program = program_of(options)
        if not options.watch:
            show(look_once(program))
            return
        threading.Thread(target=end_with_reader, daemon=True).start()
        watch(program)
    guarded(work)
