"""Tests of the Fréchet distance that is extrapolated to infinitely many items, against the true value."""

import numpy as np
import pytest

from bench.metrics import frechet_estimate
from bench.metrics.extrapolation import extrapolate
from bench.metrics.uncertainty import Chosen, Estimate, mean_estimate, parts

pytestmark = pytest.mark.reference


def names(count: int) -> list[str]:
    return [str(index) for index in range(count)]


def test_a_bias_of_one_over_n_is_removed() -> None:
    values = np.random.default_rng(0).normal(5, 1, size=200)

    def statistic(chosen: Chosen) -> Estimate:
        mean = mean_estimate(values[chosen])
        return Estimate(mean.value + 40 / chosen.sum(), mean.influence)

    found = extrapolate(statistic, names(200))
    assert found.sizes == (200, 100, 50)
    assert found.values == pytest.approx([values.mean() + bias for bias in (0.2, 0.4, 0.8)])
    assert found.limit == pytest.approx(values.mean())
    assert found.stderr == pytest.approx(values.std(ddof=1) / np.sqrt(200), rel=0.02)


def test_the_standard_error_of_the_limit_sums_influences_by_source() -> None:
    """For the square of the mean, the influence is twice the whole's minus the mean of those of the two halves."""
    generator = np.random.default_rng(2)
    sources = [f"photo {index}" for index in generator.integers(9, size=25)]
    values = generator.normal(3, 1, size=25)

    def statistic(chosen: Chosen) -> Estimate:
        mean = values[chosen].mean()
        return Estimate(float(mean**2), 2 * mean * (values[chosen] - mean))

    found, dealt = extrapolate(statistic, sources), {count: parts(sources, count) for count in (1, 2, 4)}
    sizes = [int(half.sum()) for half in dealt[2]]
    assert sizes[0] != sizes[1]
    means = {count: [values[part].mean() for part in dealt[count]] for count in dealt}
    assert found.sizes == (25, 12, 6)
    assert found.values == pytest.approx([np.mean(np.square(means[count])) for count in (1, 2, 4)])
    assert found.limit == pytest.approx(2 * found.values[0] - found.values[1])

    sums = dict.fromkeys(sources, 0.0)
    for item, source in enumerate(sources):
        sums[source] += 2 * 2 * means[1][0] * (values[item] - means[1][0])
        side = 0 if dealt[2][0][item] else 1
        # Each half's square counts half, and an item of a half that is small moves it the more.
        sums[source] -= 25 / sizes[side] / 2 * 2 * means[2][side] * (values[item] - means[2][side])
    variance = len(sums) / (len(sums) - 1) * sum(one**2 for one in sums.values()) / 25**2
    assert found.stderr == pytest.approx(np.sqrt(variance), rel=1e-12)


def test_the_extrapolated_frechet_distance_is_close_to_its_limit() -> None:
    """With four items per dimension, the remaining bias is smaller than the standard error."""
    dimension, count, generator = 24, 96, np.random.default_rng(1)
    scale = np.arange(1, dimension + 1) ** -0.5
    limit = np.square((1 - 0.85) * scale).sum()  # 0.85² = 0.4² + 0.75²
    found = []
    for _ in range(60):
        truth, noise = generator.normal(size=(2, count, dimension)) * scale
        image = 0.4 * truth + 0.75 * noise

        def statistic(chosen: Chosen, image: np.ndarray = image, truth: np.ndarray = truth) -> Estimate:
            estimate = frechet_estimate(image[chosen], truth[chosen])
            return Estimate(estimate.value, estimate.influence_a + estimate.influence_b)

        found.append(extrapolate(statistic, names(count)))
    values, limits = np.array([one.values[0] for one in found]), np.array([one.limit for one in found])
    assert values.mean() > 3 * limit
    assert abs(limits.mean() - limit) < 0.1 * (values.mean() - limit)
    assert abs(limits.mean() - limit) < np.mean([one.stderr for one in found])
    assert np.mean([one.stderr for one in found]) / limits.std() == pytest.approx(1.15, abs=0.2)
