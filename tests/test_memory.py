"""Test that a run's memory does not grow with its items."""

from pathlib import Path

import pytest

from benchmarks.memory import MB, STAGES, watch

pytestmark = pytest.mark.blackbox

FEW, MANY = 128, 768
SLACK = 40 * MB
"""Allowed difference; the pictures of 640 more items would take 31 MB as float32, and a row as much."""


@pytest.mark.slow
def test_memory_stays_flat_over_a_run(tmp_path: Path) -> None:
    few, many = (watch(tmp_path / str(items), items, tmp_path / "data") for items in (FEW, MANY))
    assert set(many.quarters) == set(STAGES)
    for second, last in many.quarters.values():
        assert last < second + SLACK
    assert many.peak < few.peak + 2 * SLACK
