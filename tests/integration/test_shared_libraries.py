"""Client libraries of Redis do their ordinary work over a shared service, whose worker dies or whose Redis restarts:
no wrong answer, no key in another's database, transactions whole, counters exact, no connection left over."""
import json
import os
import shutil
import sys

import pytest
import redis as redis_py

import holdfast
import libraries
from libraries import Place, Program

BLOWS = ["deaths", "restarts"]
pytestmark = pytest.mark.plain


@pytest.fixture
def place(daemon, redis):
    return Place(daemon, redis)


@pytest.mark.parametrize("kind", BLOWS)
def test_redis_py(place, folder, figure, kind):
    figure(place.work(Program(folder, sys.executable, f"{libraries.FOLDER}/library_redis_py.py"), kind, 8))


def test_redis_py_where_the_service_speaks_protocol_3(place, folder, figure):
    """And it does not."""
    figure(place.work(Program(folder, sys.executable, f"{libraries.FOLDER}/library_redis_py.py"), "deaths", 8,
                      service="resp3"))


@pytest.mark.skipif(int(redis_py.__version__.partition(".")[0]) < 5, reason="redis-py before 5 has no protocol 3")
def test_redis_py_with_protocol_3(place, folder, figure):
    figure(place.work(Program(folder, sys.executable, f"{libraries.FOLDER}/library_redis_py.py"), "deaths", 8, 3))


PACKAGES = ["redis@6.3.1", "ioredis@6.0.0", "bullmq@6.7.0"]


@pytest.fixture(scope="session")
def modules(tmp_path_factory):
    """A folder of packages of npm; without a registry that answers, what the distribution has."""
    given = os.environ.get("HOLDFAST_NPM")
    if given:
        return given
    folder = str(tmp_path_factory.mktemp("npm"))
    if shutil.which("npm"):
        done = holdfast.run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0",
                            *PACKAGES, cwd=folder, bound=120)
        if done.returncode == 0:
            return os.path.join(folder, "node_modules")
    return "/usr/share/nodejs"


def node(folder, modules, script, package):
    """A program for node that uses the package."""
    if not shutil.which("node"):
        pytest.skip("there is no node")
    if not os.path.isdir(os.path.join(modules, package)):
        pytest.skip(f"no registry of npm answers, and the distribution has no {package}")
    return Program(folder, "env", f"NODE_PATH={modules}", "node", f"{libraries.FOLDER}/{script}")


@pytest.mark.parametrize("kind", BLOWS)
@pytest.mark.parametrize("library", ["redis", "ioredis"])
def test_node(place, folder, modules, figure, library, kind):
    figure(place.work(node(folder, modules, "library_node.js", library), kind, library, 8))


@pytest.mark.parametrize("service", ["cache", "resp3"])
@pytest.mark.parametrize("library, since", [("redis", 5), ("ioredis", 6)])
def test_node_with_protocol_3(place, folder, modules, figure, library, since, service):
    program = node(folder, modules, "library_node.js", library)
    with open(os.path.join(modules, library, "package.json")) as file:
        version = json.load(file)["version"]
    if int(version.partition(".")[0]) < since:
        pytest.skip(f"{library} {version} has no protocol 3")
    figure(place.work(program, "deaths", library, 8, 3, service=service))


@pytest.fixture(scope="session")
def hiredis(tmp_path_factory):
    if not os.path.exists("/usr/include/hiredis/hiredis.h"):
        pytest.skip("libhiredis-dev is not installed")
    program = str(tmp_path_factory.mktemp("hiredis") / "library_hiredis")
    done = holdfast.run("cc", "-O1", "-o", program, f"{libraries.FOLDER}/library_hiredis.c", "-lhiredis", "-lpthread")
    assert done.returncode == 0, done.stderr
    return program


@pytest.mark.parametrize("kind", BLOWS)
def test_hiredis(place, folder, hiredis, figure, kind):
    figure(place.work(Program(folder, hiredis), kind, 8))


@pytest.fixture
def php():
    done = holdfast.run("php", "-r", "exit(extension_loaded('redis') && extension_loaded('pcntl') ? 0 : 1);")
    if done.returncode != 0:
        pytest.skip("php-cli and php-redis are not installed")
    return "php"


def phpredis(place, folder, php, kind, sessions):
    return place.work(Program(folder, php, f"{libraries.FOLDER}/library_phpredis.php"), kind, 6,
                      place.one.socket(sessions))


def test_phpredis_with_sessions_in_database_1(place, folder, php, figure):
    figure(phpredis(place, folder, php, "deaths", "cache"))


@pytest.mark.parametrize("kind", BLOWS)
def test_phpredis_with_sessions_of_a_service_in_database_1(place, folder, php, figure, kind):
    """As phpredis forgets the database of its sessions when it connects again."""
    figure(phpredis(place, folder, php, kind, "sessions"))


@pytest.mark.parametrize("kind", BLOWS)
def test_bullmq(place, folder, modules, figure, kind):
    figure(place.work(node(folder, modules, "library_bullmq.js", "bullmq"), kind, 2))
