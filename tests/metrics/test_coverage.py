"""Tests that 95 % intervals cover the mean over draws at their level, also for few, clustered or skewed items.

Coverage counts every interval that is printed. Below 5 effective sources nothing is claimed; how often something is
claimed and the interval misses is counted apart.
"""

import pytest

from benchmarks.intervals import OURS
from benchmarks.populations import CASES
from benchmarks.uncertainty import study

pytestmark = [pytest.mark.slow, pytest.mark.property]

GAUSSIAN = ["Gaussian, d = 16", "Gaussian, d = 32", "Gaussian, d = 64"]
SKEWED = [
    (name, count)
    for name in (
        "lognormal scale, d = 32",
        "clusters, Gaussian, d = 32",
        "skewed values",
        "values in clusters, Gaussian",
    )
    for count in CASES[name].counts
]
"""Cases in which Student's interval with G - 1 degrees of freedom is too short, or has large sources."""


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("name", GAUSSIAN)
def test_intervals_of_gaussian_features_cover_the_truth(name: str, place: int) -> None:
    """Over 500 draws with N of 0.5 to 5 times the dimension, the standard error is off by 15 % at most."""
    found = study(CASES[name], CASES[name].counts[place])
    assert all(0.92 <= number.ways[OURS].covered <= 0.98 for number in found)
    assert all(0.92 <= number.ratio <= 1.15 for number in found)
    assert max(number.ways[OURS].wrong for number in found) <= 0.08


@pytest.mark.parametrize(("name", "count"), SKEWED)
def test_intervals_of_skewed_and_clustered_items_cover_the_truth(name: str, count: int) -> None:
    *rows, difference = study(CASES[name], count, draws=400)
    assert 0.92 <= difference.ways[OURS].covered <= 0.98
    assert min(row.ways[OURS].covered for row in rows) >= 0.90
    assert max(number.ways[OURS].wrong for number in (*rows, difference)) <= 0.08


def test_intervals_of_the_kernel_distance_cover_the_truth_on_real_features() -> None:
    """The rows include skewed ones, for which Student's interval holds the mean in only four of five draws."""
    case = CASES["KID, pictures, d = 64"]
    *rows, _ = study(case, case.counts[0])
    assert all(0.92 <= row.ways[OURS].covered <= 0.98 for row in rows)


@pytest.mark.xfail(strict=True, reason="the correction for skewness knows nothing of KID's second-order part")
def test_intervals_of_kernel_distance_differences_cover_the_truth_on_real_features() -> None:
    case = CASES["KID, pictures, d = 64"]
    *_, difference = study(case, case.counts[0])
    assert difference.ways[OURS].covered >= 0.92


def test_intervals_of_the_kernel_distance_are_not_too_short_for_clusters() -> None:
    case = CASES["KID, clusters, Gaussian, d = 32"]
    assert all(number.ways[OURS].covered >= 0.92 for number in study(case, case.counts[0]))
