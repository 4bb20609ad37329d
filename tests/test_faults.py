"""A share of `make faults`: each kind of damage to a result once, and readers beside those who remove and damage."""

import random

import faults
import pytest


@pytest.mark.slow
@pytest.mark.parametrize(("part", "times"), [("damages", len(faults.DAMAGES)), ("readers", 200)])
def test_nothing_is_wrong_and_nothing_lost(part, times, tmp_path, monkeypatch):
    monkeypatch.setenv("STAGES_LOG", str(tmp_path / "log"))
    counts = faults.PARTS[part][0](random.Random(1), tmp_path, times)
    assert counts.total() >= times
    assert [what for what in counts if what[1] not in faults.GOOD] == [], faults.table(counts)
