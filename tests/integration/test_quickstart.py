"""packaging/quickstart shows all that it promises, and cleans up after itself."""
import os

import pytest

import holdfast


@pytest.mark.plain
def test_quickstart(folder):
    done = holdfast.run(os.path.join(holdfast.SOURCE, "packaging/quickstart"), bound=240,
                        env=holdfast.environment(TMPDIR=folder, CFLAGS="-O0"))
    assert done.returncode == 0, done.stdout + done.stderr
    for shown in ("hello from instance one", "hello from instance two", "every step succeeded"):
        assert shown in done.stdout, done.stdout
    assert os.listdir(folder) == []
