"""95 % intervals of the Fréchet distance hold its mean over draws as often as they say, also with few items."""

import pytest

from bench.metrics.kernel import kernel_estimate
from benchmarks.uncertainty import POPULATIONS, study

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("items", [0.5, 1, 2, 5])
@pytest.mark.parametrize("name", POPULATIONS)
def test_intervals_of_values_and_of_paired_differences(name: str, items: float) -> None:
    """Over 500 draws, with N items of so many times the dimension; the standard error is off by 15 % at most."""
    dimension, population = POPULATIONS[name]
    found = study(population, int(items * dimension))["halves"]
    assert min(found.coverage) >= 0.92
    assert max(found.coverage) <= 0.98
    assert min(found.ratio) >= 0.92
    assert max(found.ratio) <= 1.15


def test_the_kernel_distances_intervals_on_real_features() -> None:
    dimension, population = POPULATIONS["pictures, d = 64"]
    found = study(population, 2 * dimension, of=kernel_estimate)["plain"]
    assert min(found.coverage) >= 0.92
    assert max(found.coverage) <= 0.98
