"""Fixtures: each gives a factory, keeps logs of failed tests only, and leaves nothing running."""
import glob
import os
import shutil
import signal
import tempfile

import pytest

import asking
import box as box_module
import holdfast
import name_server as name_server_module
import network as network_module
import real_servers
import tls_program
import upstream as upstream_module


def pytest_configure(config):
    # "nohup ... &" ignores these, and what we start would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    config.addinivalue_line("markers", "long: takes minutes; run by make check-long")
    config.addinivalue_line("markers", "plain: not under sanitizers (real programs at full speed, valgrind, ...)")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("long") and not holdfast.LONG:
            item.add_marker(pytest.mark.skip(reason="long: make check-long"))
        if item.get_closest_marker("plain") and holdfast.SANITIZED:
            item.add_marker(pytest.mark.skip(reason="not with sanitizers"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.failed_once = True


@pytest.fixture
def folder(request):
    """A short path (sockets have 108 bytes), open to other users, kept when the test has failed."""
    path = tempfile.mkdtemp(prefix="hf-")
    os.chmod(path, 0o755)
    yield path
    if getattr(request.node, "failed_once", False):
        logs = glob.glob(path + "/**/log", recursive=True) + glob.glob(path + "/**/asan.*", recursive=True)
        for name in sorted(logs):
            with open(name, errors="replace") as file:
                print(f"--- {name}\n{file.read()[-6000:]}")
        print(f"kept: {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def module_folder():
    """The same for what all tests of a module share; not kept."""
    path = tempfile.mkdtemp(prefix="hf-")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def daemon(folder, request):
    """daemon(services, ...) starts one; at the end each must still be running and end with 0."""
    made = []

    def start(services="", start=True, name="d", kind=holdfast.Daemon, **options):
        place = os.path.join(folder, name + (str(len(made)) if made else ""))
        os.makedirs(place)
        one = kind(place, services, **options)
        if holdfast.SANITIZED:
            for kind in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
                given = os.environ.get(kind, "")
                one.environment_more.setdefault(kind, f"{given}:log_path={place}/asan:abort_on_error=1")
        made.append(one)
        return one.start() if start else one

    yield start
    failed_before = getattr(request.node, "failed_once", False)
    request.node.failed_once = True  # what goes wrong from here on keeps the folder too
    codes = []
    try:
        for one in made:
            if one.process and one.process.poll() is None:
                codes.append(one.stop())
    finally:
        for one in made:
            one.end()
    assert not any(codes), f"exit codes {codes}"
    assert not glob.glob(folder + "/**/asan.*", recursive=True), "a sanitizer has complained"
    logs = [one.log() for one in made if os.path.exists(one.log_path)]  # a test may have removed it
    assert not any("in memory is damaged" in log for log in logs), "a table was damaged"
    request.node.failed_once = failed_before


@pytest.fixture
def upstream():
    """upstream(serve) starts a scriptable server on a port of its own."""
    def make(serve=upstream_module.echo_lines, start=True, port=None, host="127.0.0.1"):
        one = upstream_module.Upstream(serve, port, host)
        return one.start() if start else one

    yield from holdfast.each_ends(make, upstream_module.Upstream.stop)


@pytest.fixture
def figure(request):
    """figure(text): a measured value, shown in the summary."""
    return lambda text: request.node.user_properties.append(("figure", f"{request.node.name}: {text}"))


def pytest_terminal_summary(terminalreporter):
    calls = [report for reports in terminalreporter.stats.values() for report in reports
             if getattr(report, "when", None) == "call"]
    figures = [text for report in calls for kind, text in report.user_properties if kind == "figure"]
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.line(line)


@pytest.fixture(scope="module")
def authority(module_folder):
    return tls_program.Authority(module_folder)


@pytest.fixture
def program(folder):
    """program(argument...) starts holdfast-tls."""
    yield from holdfast.each_ends(lambda *arguments: tls_program.Program(folder, *arguments))


@pytest.fixture
def catalog(folder):
    return upstream_module.Catalog(os.path.join(folder, "catalog"))


@pytest.fixture
def load(folder):
    """load() gives a load generator of bytes."""
    yield from holdfast.each_ends(lambda: holdfast.Load(folder))


@pytest.fixture
def ask(folder):
    """ask() gives a load generator of messages."""
    yield from holdfast.each_ends(lambda: asking.Ask(folder))


@pytest.fixture
def name_server():
    """name_server(zone, ...) starts one; one at a time."""
    yield from holdfast.each_ends(name_server_module.NameServer, name_server_module.NameServer.stop)


@pytest.fixture
def network():
    """A network namespace; needs root."""
    one = network_module.Network()
    yield one
    one.end()


@pytest.fixture
def redis(folder):
    """redis(persistent) starts one."""
    def make(persistent=False, start=True):
        one = real_servers.Redis(folder, persistent)
        return one.start() if start else one

    yield from holdfast.each_ends(make, real_servers.Redis.kill)


@pytest.fixture
def memcached(folder):
    """memcached(argument, ...) starts one."""
    yield from holdfast.each_ends(lambda *arguments: real_servers.Memcached(folder, arguments).start(),
                                  real_servers.Memcached.kill)


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    """This build, installed in a folder."""
    folder = str(tmp_path_factory.mktemp("stage"))
    yield box_module.make_stage(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def box(tmp_path_factory, stage):
    """The real systemd with this build installed; one a module."""
    folder = str(tmp_path_factory.mktemp("box"))
    one = box_module.Box(folder)
    try:
        yield one.start(stage)
    finally:
        one.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def started(box):
    """The box with one service, "first", whose server nobody is."""
    box.configure(holdfast.fixed("first", "127.0.0.1:9"))
    box.start_anew()
    return box
