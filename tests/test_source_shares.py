"""Tests of the distribution of a variance over sources, on numbers that are worked out by hand."""

import numpy as np
import pytest

from benchmarks.source_shares import concentration

pytestmark = pytest.mark.reference


def test_items_of_one_source_are_summed_before_they_are_squared() -> None:
    found = concentration(np.array([1.0, 2.0, -1.0, 1.0, -3.0]), ["a", "a", "b", "c", "d"])
    assert found is not None
    # The sums are 3, -1, 1 and -3, their squares 9, 1, 1 and 9.
    assert found.share == pytest.approx(9 / 20)
    assert found.source == "a"
    assert found.effective == pytest.approx(20**2 / (81 + 1 + 1 + 81))
    assert found.items == 2


def test_equal_sources_count_in_full_and_zero_influences_have_no_spread() -> None:
    equal = concentration(np.array([1.0, -1.0, 1.0, -1.0]), list("abcd"))
    assert equal is not None
    assert (equal.share, equal.effective, equal.items) == (0.25, 4.0, 1)
    assert concentration(np.zeros(3), list("abc")) is None
    assert concentration(np.array([1.0, -1.0]), ["a", "a"]) is None
