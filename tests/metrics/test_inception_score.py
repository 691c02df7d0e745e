"""Tests of the Inception Score against torch-fidelity, closed forms and the jackknife."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from bench.metrics.inception_score import inception_score
from bench.metrics.uncertainty import standard_error


def draw(count: int, classes: int, scale: float = 3.0) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(0).normal(0, scale, size=(count, classes)).astype(np.float32)


@pytest.mark.reference
@pytest.mark.parametrize(
    ("count", "classes", "splits", "seed"), [(997, 50, 10, 2020), (40, 7, 3, 1), (10, 5, 10, 2020)]
)
def test_the_score_equals_that_of_torch_fidelity(count: int, classes: int, splits: int, seed: int) -> None:
    logits = draw(count, classes)
    expected = isc_features_to_metric(torch.from_numpy(logits), splits=splits, rng_seed=seed)
    found = inception_score(logits, splits=splits, seed=seed)
    assert found.value == pytest.approx(expected["inception_score_mean"], rel=1e-10)
    assert found.splits_std == pytest.approx(expected["inception_score_std"], rel=1e-10, abs=1e-10)


@pytest.mark.reference
def test_certain_classes_score_their_number_and_uniform_ones_score_one() -> None:
    classes = np.tile(np.arange(4), 50)
    certain = np.where(classes[:, None] == np.arange(4), 0.0, -1000.0)  # so far below that the softmax is exactly 0
    assert inception_score(certain, splits=1).value == pytest.approx(4)
    assert inception_score(np.zeros((30, 6))).value == pytest.approx(1)
    beyond = np.hstack([certain, np.full((200, 3), -1000.0)])
    assert inception_score(beyond, splits=1).value == pytest.approx(4)


@pytest.mark.blackbox
def test_log_probabilities_are_accepted_as_logits() -> None:
    logits = draw(200, 9).astype(np.float64)
    shifted = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert inception_score(shifted).value == pytest.approx(inception_score(logits + 5).value, rel=1e-12)


@pytest.mark.blackbox
def test_logits_far_from_zero_do_not_overflow() -> None:
    """An offset of all logits of an image keeps its probabilities, but the exponential exceeds float64."""
    logits = draw(200, 9).astype(np.float64)
    found, expected = inception_score(logits + np.linspace(-2000, 2000, 200)[:, None]), inception_score(logits)
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    assert found.influence == pytest.approx(expected.influence, rel=1e-6, abs=1e-9)


@pytest.mark.reference
@pytest.mark.parametrize(("count", "splits"), [(400, 1), (1203, 4)])
def test_influence_has_mean_zero_and_agrees_with_the_jackknife(count: int, splits: int) -> None:
    """Each item is left out of its own split; splits have unlike sizes in the second case."""
    logits = draw(count, 8, 2.0).astype(np.float64)
    found = inception_score(logits, splits=splits)
    assert found.influence.mean() == pytest.approx(0, abs=1e-12)

    order = np.random.RandomState(2020).permutation(count)
    parts = [order[k * count // splits : (k + 1) * count // splits] for k in range(splits)]
    values = [inception_score(logits[part], splits=1).value for part in parts]
    left_out = np.empty(count)
    for k, part in enumerate(parts):
        for item in part:
            without = inception_score(logits[part[part != item]], splits=1).value
            left_out[item] = np.mean([*values[:k], without, *values[k + 1 :]])
    jackknife = np.sqrt((count - 1) / count * np.square(left_out - left_out.mean()).sum())
    assert standard_error(found.influence) == pytest.approx(jackknife, rel=0.005)
    assert np.corrcoef(found.influence, -left_out)[0, 1] > 0.999  # and item by item


@pytest.mark.reference
def test_squared_influences_sum_to_the_jackknife_variance_of_each_split() -> None:
    """The variance of the mean of S independent splits is the sum of their jackknife variances, divided by S²."""
    count, splits = 7, 2  # three images in one, four in the other
    logits = draw(count, 4).astype(np.float64)

    def score(chosen: list[int]) -> float:
        p = [np.exp(logits[item]) / np.exp(logits[item]).sum() for item in chosen]
        q = sum(p) / len(p)
        return float(np.exp(np.mean([(one * np.log(one / q)).sum() for one in p])))

    order = [int(item) for item in np.random.RandomState(2020).permutation(count)]
    found, variance, slopes = inception_score(logits, splits=splits), 0.0, {}
    for part in (order[:3], order[3:]):
        without = {item: score([other for other in part if other != item]) for item in part}
        mean = np.mean(list(without.values()))
        variance += (len(part) - 1) / len(part) * sum((one - mean) ** 2 for one in without.values()) / splits**2
        slopes |= {item: mean - one for item, one in without.items()}
    assert found.value == pytest.approx((score(order[:3]) + score(order[3:])) / 2, rel=1e-12)
    assert np.square(found.influence).sum() / count**2 == pytest.approx(variance, rel=1e-10)
    assert [np.sign(slopes[item]) for item in range(count)] == np.sign(found.influence).tolist()


@pytest.mark.blackbox
def test_an_image_alone_in_its_split_has_no_influence() -> None:
    assert inception_score(draw(10, 5)).influence == pytest.approx(np.zeros(10))


@pytest.mark.reference
@pytest.mark.parametrize(("count", "classes"), [(256, 72), (400, 8)])
def test_the_standard_error_equals_the_deviation_over_draws(count: int, classes: int) -> None:
    """Classes of three and of fifty images are tested; the derivative alone is up to a fifth too small."""
    generator = np.random.default_rng(5)
    values, errors = [], []
    for _ in range(400):
        shown = generator.integers(classes, size=count)
        found = inception_score(generator.normal(size=(count, classes)) + 4.0 * (shown[:, None] == np.arange(classes)))
        values.append(found.value)
        errors.append(standard_error(found.influence))
    covered = np.abs(values - np.mean(values)) < 1.96 * np.array(errors)
    assert 0.92 <= covered.mean() <= 0.98
    assert np.mean(errors) / np.std(values) == pytest.approx(1.05, abs=0.12)


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.zeros((9, 4)), "splits: expected a number from 1 to 9, the number of items, found 10"),
        (np.zeros(20), r"^logits must have shape N×d with d >= 1: found \(20,\)"),
        (np.full((20, 3), np.inf), "60 values that are not finite"),
    ],
)
def test_bad_logits_are_refused(logits: np.ndarray, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        inception_score(logits)
