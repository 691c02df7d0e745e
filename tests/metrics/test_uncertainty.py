"""Standard errors against the formulas they must reduce to, and the coverage of the intervals."""

import numpy as np
import pytest

from bench.metrics.uncertainty import Estimate, holm, mean_estimate, paired_difference, standard_error


def test_a_means_standard_error_is_the_usual_one() -> None:
    values = np.random.default_rng(0).normal(size=50)
    estimate = mean_estimate(values)
    assert estimate.value == pytest.approx(values.mean())
    assert standard_error(estimate.influence) == pytest.approx(values.std(ddof=1) / np.sqrt(50))


def test_copies_of_an_item_add_no_information_when_clustered() -> None:
    values = np.random.default_rng(1).normal(size=40)
    copied = mean_estimate(np.repeat(values, 5))
    sources = [f"photo {index}" for index in range(40) for _ in range(5)]
    expected = standard_error(mean_estimate(values).influence)
    assert standard_error(copied.influence, sources) == pytest.approx(expected)
    assert standard_error(copied.influence) < 0.5 * expected


def test_a_single_source_has_no_standard_error() -> None:
    assert np.isnan(standard_error(np.array([0.1, -0.1]), ["one", "one"]))


def test_intervals_of_paired_differences_cover_the_truth() -> None:
    generator = np.random.default_rng(2)
    covered = 0
    for _ in range(500):
        shared = generator.normal(size=80)
        new, old = (mean_estimate(shared + generator.normal(size=80) + mean) for mean in (0.3, 0.0))
        low, high = paired_difference(new, old).ci95
        covered += low <= 0.3 <= high
    assert 0.92 <= covered / 500 <= 0.98


def test_no_difference_at_all_has_p_one_and_unlike_items_are_refused() -> None:
    estimate = mean_estimate([1.0, 2.0, 4.0])
    same = paired_difference(estimate, estimate)
    assert (same.value, same.stderr, same.p_value) == (0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="3 and 2"):
        paired_difference(estimate, Estimate(1.0, np.zeros(2)))
    with pytest.raises(ValueError, match="finite"):
        mean_estimate([])


def test_holms_adjustment_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
