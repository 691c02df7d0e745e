"""The Fréchet distance against closed forms and the jackknife, also where covariances are singular."""

import numpy as np
import pytest

from bench.metrics import frechet_distance, frechet_estimate
from bench.metrics.uncertainty import standard_error


def draw(rows: int, dimension: int, seed: int, *, shift: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(dimension, dimension)) / np.sqrt(dimension)
    return generator.normal(size=(rows, dimension)) @ mixing + shift


def by_eigenvalues(a: np.ndarray, b: np.ndarray) -> float:
    """The textbook formula, for covariances of full rank."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real.sum()
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first) + np.trace(second) - 2 * root)


@pytest.mark.parametrize(("rows", "others", "dimension"), [(200, 200, 8), (300, 150, 32), (70, 500, 64)])
def test_full_rank_is_the_textbook_formula(rows: int, others: int, dimension: int) -> None:
    a, b = draw(rows, dimension, 0), draw(others, dimension, 1, shift=0.3)
    assert frechet_distance(a, b) == pytest.approx(by_eigenvalues(a, b), rel=1e-9)


@pytest.mark.parametrize(("rows", "dimension"), [(2, 5), (10, 64), (64, 64), (65, 64), (300, 16)])
def test_a_set_against_itself_is_zero_and_against_its_shift_is_the_shift(rows: int, dimension: int) -> None:
    a = draw(rows, dimension, 2)
    scale = np.square(a).sum(1).mean()
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-12 * scale)
    assert frechet_distance(a, a + 0.5) == pytest.approx(0.25 * dimension, rel=1e-9)


@pytest.mark.parametrize(("rows", "dimension"), [(6, 40), (50, 200)])
def test_a_scaled_set_has_its_closed_form_below_full_rank(rows: int, dimension: int) -> None:
    a = draw(rows, dimension, 3)
    a -= a.mean(0)
    expected = (1 - 3.0) ** 2 * np.cov(a, rowvar=False).trace()
    assert frechet_distance(a, 3.0 * a) == pytest.approx(expected, rel=1e-9)


def test_sets_in_orthogonal_subspaces_have_no_overlap() -> None:
    a, b = np.zeros((20, 6)), np.zeros((30, 6))
    a[:, :3], b[:, 3:] = draw(20, 3, 4), draw(30, 3, 5)
    traces = np.cov(a, rowvar=False).trace() + np.cov(b, rowvar=False).trace()
    assert frechet_distance(a, b) == pytest.approx(traces + np.square(a.mean(0) - b.mean(0)).sum(), rel=1e-9)


def test_constant_and_duplicated_features() -> None:
    a, b = draw(40, 4, 6), draw(50, 4, 7)
    assert frechet_distance(np.ones((5, 3)), np.zeros((7, 3))) == pytest.approx(3)
    doubled = frechet_distance(np.hstack([a, a]), np.hstack([b, b]))
    assert doubled == pytest.approx(2 * frechet_distance(a, b), rel=1e-9)


def test_it_is_symmetric_and_ignores_the_order_of_rows() -> None:
    a, b = draw(90, 24, 8), draw(60, 24, 9)
    expected = frechet_distance(a, b)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-10)
    assert frechet_distance(a[::-1], np.roll(b, 7, 0)) == pytest.approx(expected, rel=1e-10)


def test_influence_has_mean_zero_and_agrees_with_the_jackknife() -> None:
    a, b = draw(600, 6, 10), draw(600, 6, 11, shift=0.1)
    estimate = frechet_estimate(a, b)
    assert estimate.influence_a.mean() == pytest.approx(0, abs=1e-9)
    assert estimate.influence_b.mean() == pytest.approx(0, abs=1e-9)
    for side, influence in ((0, estimate.influence_a), (1, estimate.influence_b)):
        left_out = np.array(
            [
                frechet_distance(*(np.delete(x, i, 0) if k == side else x for k, x in enumerate((a, b))))
                for i in range(600)
            ]
        )
        jackknife = np.sqrt(599 / 600 * np.square(left_out - left_out.mean()).sum())
        assert standard_error(influence) == pytest.approx(jackknife, rel=0.05)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((1, 4)), np.zeros((5, 4)), r"a must have shape N×d.*\(1, 4\)"),
        (np.zeros((5, 4)), np.zeros(5), r"b must have shape"),
        (np.zeros((5, 4)), np.zeros((5, 3)), "a has 4, b has 3"),
        (np.zeros((5, 4)), np.full((5, 4), np.nan), "b hold 20 values"),
    ],
)
def test_bad_features_are_named(a: np.ndarray, b: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frechet_distance(a, b)
