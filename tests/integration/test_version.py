"""What a build calls itself: the release's version, and in a clone which commit it is."""
import os
import re
import shutil
import subprocess

import pytest

import holdfast

SCRIPT = os.path.join(holdfast.SOURCE, "packaging/version")
PATTERN = r"\d+\.\d+\.\d+(-(\d+-)?g[0-9a-f]{7,40})?(-dirty)?"


def version(folder, path=None, **options):
    env = holdfast.environment(**({"PATH": path} if path else {}))
    return subprocess.run(["/bin/sh", SCRIPT, folder, "0.1.0"], env=env, capture_output=True, text=True, check=True,
                          timeout=holdfast.BOUND, **options).stdout.strip()


def git(folder, *words):
    done = holdfast.run("git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "safe.directory=*", "-C",
                        folder, *words)
    assert done.returncode == 0, done
    return done.stdout.strip()


@pytest.fixture
def clone(folder):
    """A repository with one commit."""
    if not shutil.which("git"):
        pytest.skip("needs git: apt-get install git")
    place = os.path.join(folder, "clone")
    os.mkdir(place)
    git(place, "init", "-q")
    commit(place)
    return place


def commit(place):
    with open(os.path.join(place, "file"), "a") as file:
        file.write("line\n")
    git(place, "add", "file")
    git(place, "commit", "-q", "-m", "x")
    return git(place, "rev-parse", "--short=7", "HEAD")


def test_all_programs_tell_the_same_version(daemon):
    one = daemon(holdfast.fixed("s", "127.0.0.1:9"))
    programs = [os.path.join(holdfast.BUILD, name) for name in ("holdfastd", "holdfastctl")]
    said = [holdfast.run(program, "-V").stdout.split() for program in programs]
    assert [words[0] for words in said] == ["holdfastd", "holdfastctl"]
    assert said[0][1] == said[1][1] == one.status()["version"]
    assert f'version="{said[0][1]}"' in one.command("metrics")["metrics"]
    assert re.fullmatch(PATTERN, said[0][1]), said


def test_a_tarball_has_the_release_s_version_also_within_another_clone(clone):
    inside = os.path.join(clone, "holdfast-0.1.0")
    os.mkdir(inside)
    assert version(inside) == "0.1.0"
    assert version(clone, path="/nonexistent") == "0.1.0", "no git"


def test_a_clone_tells_its_commit(clone, folder):
    first = git(clone, "rev-parse", "--short=7", "HEAD")
    assert version(clone) == f"0.1.0-g{first}"
    git(clone, "tag", "v0.0.9")
    assert version(clone) == f"0.1.0-g{first}", "the tag of another version"
    git(clone, "tag", "-a", "-m", "x", "v0.1.0")
    assert version(clone) == "0.1.0"
    last = [commit(clone), commit(clone)][-1]
    assert version(clone) == f"0.1.0-2-g{last}"
    shallow = os.path.join(folder, "shallow")
    git(folder, "clone", "-q", "--depth", "1", "file://" + clone, shallow)
    assert version(shallow) == f"0.1.0-g{last}"
    with open(os.path.join(clone, "file"), "a") as file:
        file.write("changed\n")
    assert version(clone) == f"0.1.0-2-g{last}-dirty"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user: run as root")
def test_another_user_s_clone_tells_its_commit_and_stays_as_it_is(clone):
    commit = git(clone, "rev-parse", "--short=7", "HEAD")
    assert holdfast.run("chown", "-R", "65534:65534", clone).returncode == 0
    os.utime(os.path.join(clone, "file"), (1, 1))  # git would like to note that the file is as it was
    assert version(clone) == f"0.1.0-g{commit}"
    for place, _, names in os.walk(clone):
        assert all(os.lstat(os.path.join(place, name)).st_uid == 65534 for name in names), place
    assert version(clone, user=65533, group=65533, extra_groups=[]) == f"0.1.0-g{commit}"
