"""The session of README.md is what a real daemon does."""
import os

import pytest

import holdfast


@pytest.mark.plain
def test_the_session_is_seen_so():
    done = holdfast.run(os.path.join(holdfast.SOURCE, "packaging/record"), holdfast.BUILD, "--check", bound=120,
                        env=holdfast.environment(PORT=str(holdfast.free_port())))
    assert done.returncode == 0, done.stdout + done.stderr
