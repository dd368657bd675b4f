"""packaging/quickstart shows all that it promises, and cleans up after itself."""
import os

import pytest

import holdfast


@pytest.mark.plain
def test_quickstart(folder):
    done = holdfast.run(os.path.join(holdfast.SOURCE, "packaging/quickstart"), bound=240,
                        env=holdfast.environment(TMPDIR=folder))
    assert done.returncode == 0, done.stdout + done.stderr
    for shown in ("hello from copy one", "hello from copy two", "all of it went well"):
        assert shown in done.stdout, done.stdout
    assert os.listdir(folder) == []
