"""Tests of the ranges of metrics, also in later turns of repeated edits."""

import pytest

from bench.metrics.ranges import never_negative, out_of_range

pytestmark = pytest.mark.blackbox


@pytest.mark.parametrize("ending", ["", "_turn_2", "_turn_11", "_saved_round", "_turn_2_40_50"])
def test_a_metric_has_the_same_range_in_every_turn_variant_and_bin(ending: str) -> None:
    assert out_of_range(f"cmmd_unbiased{ending}", -0.5) is None
    assert out_of_range(f"ssim{ending}", 1.5) == "expected -1 to 1, found 1.5"
    assert out_of_range(f"text_ned_outside{ending}", -0.1) == "expected 0 to 1, found -0.1"
    assert never_negative(f"pre_error{ending}")
    assert not never_negative(f"blur{ending}")
