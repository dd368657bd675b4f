"""Bytes of the table change while nobody looks: the next worker serves, whatever it finds."""
import os
import random

import pytest

import hostile_table

SEED = 20261130


@pytest.mark.plain
def test_a_few_flipped_bytes(folder, figure):
    """A sample of the long one, always the same."""
    run(folder, figure, 6, SEED)


@pytest.mark.long
def test_flipped_bytes(folder, figure):
    run(folder, figure, 2000, int(os.environ.get("HOSTILE_SEED") or random.randrange(1 << 30)))


def run(folder, figure, tries, seed):
    outcomes, bad = hostile_table.run(folder, tries, seed)
    counts = ", ".join(f"{count} {kind}" for kind, count in outcomes.most_common())
    figure(f"seed {seed}: {counts}")
    assert not bad, f"seed {seed}: {bad}"
