"""Tests of the kernel distance against its definition, and of its influence against the jackknife."""

from collections.abc import Callable

import numpy as np
import pytest

from bench.metrics import kernel
from bench.metrics.kernel import kernel_distance, kernel_estimate, kernel_estimate_by_parts
from bench.metrics.uncertainty import parts, standard_error


def by_definition(a: np.ndarray, b: np.ndarray) -> float:  # type: ignore[type-arg]
    def k(x: np.ndarray, y: np.ndarray) -> float:  # type: ignore[type-arg]
        return float((x @ y / len(x) + 1) ** 3)

    within = [[k(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j] for s in (a, b)]
    return float(np.mean(within[0]) + np.mean(within[1]) - 2 * np.mean([k(x, y) for x in a for y in b]))


@pytest.mark.reference
def test_the_distance_equals_its_definition() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(9, 4)), generator.normal(0.5, 1.2, size=(7, 4))
    assert kernel_distance(a, b) == pytest.approx(by_definition(a, b), rel=1e-12)
    assert kernel_distance(a, b) == pytest.approx(kernel_distance(b, a), rel=1e-12)


@pytest.mark.blackbox
def test_features_of_one_dimension_and_single_precision_are_accepted() -> None:
    generator = np.random.default_rng(11)
    a, b = generator.normal(size=(5, 1)).astype(np.float32), generator.normal(size=(4, 1)).astype(np.float32)
    assert kernel_distance(a, b) == kernel_distance(a.astype(np.float64), b.astype(np.float64))
    assert kernel_distance(a, b) == pytest.approx(by_definition(a.astype(np.float64), b.astype(np.float64)), rel=1e-12)


@pytest.mark.property
def test_the_distance_is_unbiased_for_equal_distributions() -> None:
    generator = np.random.default_rng(1)
    values = [kernel_distance(generator.normal(size=(12, 3)), generator.normal(size=(12, 3))) for _ in range(2000)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0 < max(values)


@pytest.mark.blackbox
def test_the_estimate_is_near_zero_for_images_close_to_their_truth() -> None:
    """Pairs of an image and its own truth would pull the estimate of few images below zero."""
    truth = np.random.default_rng(3).normal(size=(20, 4))
    image = truth + 1e-6
    assert abs(kernel_estimate(image, truth).value) < 1e-5
    assert kernel_distance(image, truth) < -0.1


@pytest.mark.reference
def test_the_distance_of_paired_sets_equals_its_definition() -> None:
    generator = np.random.default_rng(4)
    a, b = generator.normal(size=(2, 6, 3))

    def k(x: np.ndarray, y: np.ndarray) -> float:  # type: ignore[type-arg]
        return float((x @ y / 3 + 1) ** 3)

    pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
    values = [k(a[i], a[j]) + k(b[i], b[j]) - k(a[i], b[j]) - k(b[i], a[j]) for i, j in pairs]
    assert kernel_estimate(a, b).value == pytest.approx(np.mean(values), rel=1e-12)


def clustered() -> tuple[np.ndarray, np.ndarray, list[str]]:  # type: ignore[type-arg]
    """Return images and truths of 40 items from 21 sources; items of a source resemble each other."""
    generator = np.random.default_rng(8)
    group = np.repeat(np.arange(21), [10, 7, 4, 2, *[1] * 17])
    truth = generator.normal(size=(21, 4))[group] + 0.3 * generator.normal(size=(40, 4))
    order = generator.permutation(40)
    image = 0.7 * truth + generator.normal(0.4, 0.6, size=truth.shape)
    return image[order], truth[order], [f"photograph {group[place]}" for place in order]


@pytest.mark.reference
def test_pairs_of_one_source_are_left_out_of_every_term() -> None:
    image, truth, sources = clustered()

    def k(x: np.ndarray, y: np.ndarray) -> float:  # type: ignore[type-arg]
        return float((x @ y / 4 + 1) ** 3)

    values = [
        k(image[i], image[j]) + k(truth[i], truth[j]) - k(image[i], truth[j]) - k(truth[i], image[j])
        for i in range(40)
        for j in range(40)
        if sources[i] != sources[j]
    ]
    found = kernel_estimate(image, truth, sources)
    assert found.value == pytest.approx(np.mean(values), rel=1e-12)
    assert abs(found.value / kernel_estimate(image, truth).value - 1) > 0.02


@pytest.mark.reference
def test_the_standard_error_over_sources_equals_the_jackknifes() -> None:
    image, truth, sources = clustered()
    names = np.array(sources)
    left_out = []
    for name in dict.fromkeys(sources):
        rest = names != name
        left_out.append(kernel_estimate(image[rest], truth[rest], names[rest].tolist()).value)
    jackknife = np.sqrt(20 / 21 * np.square(left_out - np.mean(left_out)).sum())
    found = kernel_estimate(image, truth, sources)
    assert found.influence.sum() == pytest.approx(0, abs=1e-9)
    assert standard_error(found.influence, sources) == pytest.approx(jackknife, rel=1e-9)


@pytest.mark.property
def test_crops_of_one_photograph_cause_no_bias() -> None:
    """Images and truths of one distribution have distance 0 on average, even if a source has four items."""
    generator = np.random.default_rng(9)
    sources = [str(index // 4) for index in range(40)]
    values, of_items = [], []
    for _ in range(1500):
        truth, image = (
            np.repeat(generator.normal(size=(10, 3)), 4, 0) + 0.2 * generator.normal(size=(40, 3)) for _ in range(2)
        )
        values.append(kernel_estimate(image, truth, sources).value)
        of_items.append(kernel_estimate(image, truth).value)
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 4 * error
    assert np.mean(of_items) > 20 * error


@pytest.mark.blackbox
def test_one_source_has_no_distance_and_two_sources_have_no_error() -> None:
    image, truth = np.random.default_rng(10).normal(size=(2, 6, 3))
    with pytest.raises(ValueError, match="at least two sources: found 6 items of one"):
        kernel_estimate(image, truth, ["one"] * 6)
    assert kernel_estimate(image, truth, ["one"] * 4 + ["other"] * 2).influence.tolist() == [0.0] * 6


@pytest.mark.reference
def test_the_standard_error_equals_the_jackknifes() -> None:
    generator = np.random.default_rng(2)
    truth = generator.normal(size=(200, 5))
    image = 0.7 * truth + generator.normal(0.4, 0.6, size=(200, 5))
    left_out = [kernel_estimate(np.delete(image, i, 0), np.delete(truth, i, 0)).value for i in range(200)]
    jackknife = np.sqrt(199 / 200 * np.square(left_out - np.mean(left_out)).sum())
    estimate = kernel_estimate(image, truth)
    assert estimate.influence.mean() == pytest.approx(0, abs=1e-12)
    assert standard_error(estimate.influence) == pytest.approx(jackknife, rel=1e-9)
    assert kernel_estimate(image[:2], truth[:2]).influence == pytest.approx([0, 0])


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros(3), r"must have shape N×d with N >= 2 and d >= 1: found \(3,\)"),
        (np.zeros((1, 3)), r"must have shape N×d with N >= 2 and d >= 1: found \(1, 3\)"),
        (np.zeros((2, 0)), r"must have shape N×d with N >= 2 and d >= 1: found \(2, 0\)"),
        (np.full((2, 3), np.nan), "hold values that are not finite"),
    ],
)
@pytest.mark.parametrize("estimate", [kernel_distance, kernel_estimate])
def test_invalid_features_are_refused_by_name(
    estimate: Callable[[np.ndarray, np.ndarray], object],  # type: ignore[type-arg]
    bad: np.ndarray,  # type: ignore[type-arg]
    message: str,
) -> None:
    good = np.zeros((2, 3))
    with pytest.raises(ValueError, match=f"^features a {message}$"):
        estimate(bad, good)
    with pytest.raises(ValueError, match=f"^features b {message}$"):
        estimate(good, bad)


@pytest.mark.blackbox
def test_invalid_features_of_many_items_are_refused_by_name() -> None:
    good, bad = np.zeros((2, 3)), np.zeros(3)
    with pytest.raises(ValueError, match=r"^features a must have shape N×d with d >= 1: found \(3,\)$"):
        kernel_estimate_by_parts(bad, good, ["one", "other"])
    with pytest.raises(ValueError, match=r"^features b must have shape N×d with d >= 1: found \(3,\)$"):
        kernel_estimate_by_parts(good, bad, ["one", "other"])


@pytest.mark.blackbox
def test_unlike_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="different dimensions"):
        kernel_distance(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="the same shape"):
        kernel_estimate(np.zeros((2, 3)), np.zeros((3, 3)))


@pytest.mark.blackbox
def test_only_many_items_are_divided_into_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    truth = generator.normal(size=(120, 4))
    image = truth + generator.normal(0.3, 0.5, size=(120, 4))
    sources = [f"photograph {item // 2}" for item in range(120)]
    assert kernel_estimate_by_parts(image, truth, sources).value == kernel_estimate(image, truth, sources).value
    monkeypatch.setattr(kernel, "MOST", 50)
    found = kernel_estimate_by_parts(image, truth, sources)
    names = np.array(sources)
    values = [kernel_estimate(image[part], truth[part], names[part].tolist()).value for part in parts(sources, 3)]
    assert found.value == pytest.approx(np.mean(values))
    assert found.influence.mean() == pytest.approx(0, abs=1e-12)


@pytest.mark.reference
def test_the_standard_error_of_parts_equals_that_of_repeated_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "MOST", 40)
    generator = np.random.default_rng(6)
    values, errors = [], []
    for _ in range(400):
        truth = generator.normal(size=(120, 4))
        image = 0.8 * truth + generator.normal(0.4, 0.6, size=(120, 4))
        found = kernel_estimate_by_parts(image, truth, [str(item) for item in range(120)])
        values.append(found.value)
        errors.append(standard_error(found.influence))
    assert np.mean(errors) / np.std(values) == pytest.approx(1, abs=0.15)


@pytest.mark.blackbox
def test_every_part_has_two_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "MOST", 20)
    generator = np.random.default_rng(7)
    truth = generator.normal(size=(50, 3))
    image = truth + generator.normal(size=(50, 3))
    for sources in (["one"] * 49 + ["other"], ["one"] * 40 + ["two"] * 5 + ["three"] * 5):
        found = kernel_estimate_by_parts(image, truth, sources)
        assert found.value == kernel_estimate(image, truth, sources).value
    four = np.array(["one"] * 20 + ["two"] * 10 + ["three"] * 10 + ["four"] * 10)
    found = kernel_estimate_by_parts(image, truth, four.tolist())
    pairs = [(kernel_estimate(image[part], truth[part], four[part].tolist()), part) for part in parts(four.tolist(), 2)]
    assert found.value == pytest.approx(sum(one.value * part.mean() for one, part in pairs))
    with pytest.raises(ValueError, match="found 50 items of one"):
        kernel_estimate_by_parts(image, truth, ["one"] * 50)
