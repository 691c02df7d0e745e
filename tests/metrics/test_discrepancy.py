"""Tests of CMMD against its definition, of its influences, and of its bias against the unbiased estimate."""

import numpy as np
import pytest

from bench.metrics import discrepancy
from bench.metrics.discrepancy import SCALE, discrepancy_estimate, gaussian_kernel
from bench.metrics.features import Features
from bench.metrics.kernel import kernel_estimate
from bench.metrics.uncertainty import standard_error


def drawn(count: int, size: int, seed: int, shift: float = 0.0) -> np.ndarray:  # type: ignore[type-arg]
    """Return embeddings of length 1."""
    values = np.random.default_rng(seed).normal(size=(count, size)) + shift
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def by_definition(x: np.ndarray, y: np.ndarray) -> float:  # type: ignore[type-arg]
    def mean(a: np.ndarray, b: np.ndarray) -> float:  # type: ignore[type-arg]
        return float(np.mean([[np.exp(-np.sum((p - q) ** 2) / 200) for q in b] for p in a]))

    return 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))


@pytest.mark.reference
@pytest.mark.parametrize(("first", "second"), [(9, 9), (12, 5)])
def test_the_discrepancy_equals_its_definition(first: int, second: int) -> None:
    x, y = drawn(first, 6, 0), drawn(second, 6, 1, 0.5)
    assert discrepancy_estimate(x, y).value == pytest.approx(by_definition(x, y), rel=1e-9)


@pytest.mark.reference
def test_two_single_embeddings_have_the_known_discrepancy() -> None:
    x, y = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert discrepancy_estimate(x, y).value == pytest.approx(2000 * (1 - np.exp(-0.01)), rel=1e-12)
    assert discrepancy_estimate(x, x).value == 0


@pytest.mark.property
def test_pieces_do_not_change_the_discrepancy(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = drawn(23, 5, 0), drawn(17, 5, 1, 0.4)
    whole = discrepancy_estimate(x, y)
    monkeypatch.setattr(discrepancy, "BLOCK", 4)
    parts = discrepancy_estimate(Features.of(x), Features.of(y))
    assert parts.value == pytest.approx(whole.value, rel=1e-9)
    assert parts.influence_a == pytest.approx(whole.influence_a, abs=1e-9)
    assert parts.influence_b == pytest.approx(whole.influence_b, abs=1e-9)


@pytest.mark.reference
def test_influences_equal_the_derivative_by_weight() -> None:
    """The discrepancy is a polynomial of degree 2 in the weights, so that a central difference is exact."""
    x, y = drawn(20, 4, 0), drawn(15, 4, 1, 0.3)
    found = discrepancy_estimate(x, y)
    sets = ((x, found.influence_a), (y, found.influence_b))
    kernels = gaussian_kernel(np.concatenate([x, y]), np.concatenate([x, y]))
    for start, (values, influence) in zip((0, len(x)), sets, strict=True):
        for place in range(len(values)):
            changed = []
            for step in (0.1, -0.1):
                signed = np.concatenate([np.full(len(x), 1 / len(x)), np.full(len(y), -1 / len(y))])
                signed[start : start + len(values)] *= 1 - step
                signed[start + place] += step * np.sign(signed[start])
                changed.append(SCALE * signed @ kernels @ signed)
            assert (changed[0] - changed[1]) / 0.2 == pytest.approx(influence[place], rel=1e-6, abs=1e-9)
        assert influence.mean() == pytest.approx(0, abs=1e-9)


@pytest.mark.property
def test_the_bias_is_what_the_docstring_says_and_the_other_estimate_has_none() -> None:
    """Both sets have the same distribution, so that the true discrepancy is 0."""
    count, biased, unbiased, expected = 20, [], [], []
    for seed in range(400):
        x, y = drawn(count, 8, 2 * seed), drawn(count, 8, 2 * seed + 1)
        biased.append(discrepancy_estimate(x, y).value)
        unbiased.append(SCALE * kernel_estimate(x, y, kernel=gaussian_kernel).value)
        within = [(gaussian_kernel(s, s).sum() - count) / (count * (count - 1)) for s in (x, y)]
        expected.append(SCALE * (2 - sum(within)) / count)
    for values, mean in ((biased, np.mean(expected)), (unbiased, 0.0)):
        assert abs(np.mean(values) - mean) < 4 * np.std(values) / np.sqrt(len(values))
    assert np.mean(biased) > 10 * np.std(biased) / np.sqrt(len(biased))
    assert min(biased) > 0 > min(unbiased)


@pytest.mark.property
def test_the_standard_error_is_the_spread_over_draws() -> None:
    values, errors = [], []
    for seed in range(300):
        y = drawn(60, 6, seed)
        x = y + 0.8 * np.random.default_rng(1000 + seed).random((60, 6))
        found = discrepancy_estimate(x, y)
        values.append(found.value)
        errors.append(standard_error(found.influence_a + found.influence_b))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


@pytest.mark.blackbox
def test_bad_embeddings_are_refused() -> None:
    x = drawn(4, 3, 0)
    with pytest.raises(ValueError, match="different dimensions"):
        discrepancy_estimate(x, x[:, :2])
    with pytest.raises(ValueError, match="embeddings b"):
        discrepancy_estimate(x, np.where(x == x[0, 0], np.nan, x))
