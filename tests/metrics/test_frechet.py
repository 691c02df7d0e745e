"""Tests of the Fréchet distance against closed forms, exact arithmetic and the jackknife, also if singular."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import frechet_distance, frechet_distance_from_statistics, frechet_estimate
from bench.metrics.uncertainty import standard_error


def draw(rows: int, dimension: int, seed: int, *, shift: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(dimension, dimension)) / np.sqrt(dimension)
    return generator.normal(size=(rows, dimension)) @ mixing + shift


def by_eigenvalues(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the textbook formula for covariances of full rank."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real.sum()
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first) + np.trace(second) - 2 * root)


def in_many_digits(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the textbook formula with 80 digits, so that the square root of a rounding error remains negligible."""
    with mpmath.workdps(80):

        def fitted(features: np.ndarray) -> tuple[mpmath.matrix, mpmath.matrix]:
            x = mpmath.matrix(features.tolist())
            mean = mpmath.ones(1, x.rows) * x / x.rows
            x -= mpmath.ones(x.rows, 1) * mean
            return mean, x.T * x / (x.rows - 1)

        (mean_a, first), (mean_b, second) = fitted(a), fitted(b)
        shift = mean_a - mean_b
        roots = [mpmath.sqrt(abs(mpmath.re(value))) for value in mpmath.eig(first * second, left=False, right=False)]
        trace = sum(first[i, i] + second[i, i] for i in range(first.rows))
        return float((shift * shift.T)[0] + trace - 2 * mpmath.fsum(roots))


def degenerate(kind: str) -> tuple[np.ndarray, np.ndarray]:
    a, b = draw(9, 4, 20), draw(12, 4, 21, shift=0.2)
    match kind:
        case "fewer items than dimensions":
            return draw(3, 6, 22), draw(4, 6, 23)
        case "of low rank":
            return a @ draw(4, 6, 24)[:, :6], b[:, :2] @ draw(2, 6, 25)
        case "in ranks apart":
            return np.hstack([a[:, :2], 0 * a[:, :3]]), np.hstack([0 * b[:, :1], b[:, :4]])
        case "duplicated":
            return np.hstack([a, a[:, :2]]), np.hstack([b, b[:, :2]])
        case "constant":
            return np.hstack([a, np.full((9, 2), 3.0)]), np.hstack([b, np.full((12, 2), 1.0)])
        case "all constant":
            return np.ones((5, 3)), draw(6, 3, 26)
        case "a little singular":
            return a * 10.0 ** np.array([0, -1, -2, -3]), b * 10.0 ** np.array([0, -1, -2, -3])
        case "nearly singular":
            return a * 10.0 ** np.array([0, -3, -6, -9]), b * 10.0 ** np.array([0, -3, -6, -9])
        case "few and nearly singular":
            spread = 10.0 ** -np.linspace(0, 6.5, 9)
            return draw(6, 9, 29) * spread, draw(7, 9, 30) * spread
        case "nearly singular on one side":
            return a * 10.0 ** np.array([0, 0, -7, -10]), b
        case _:
            return a, b


KINDS = [
    "whole",
    "fewer items than dimensions",
    "of low rank",
    "in ranks apart",
    "duplicated",
    "constant",
    "all constant",
    "a little singular",
    "nearly singular",
    "few and nearly singular",
    "nearly singular on one side",
]


@pytest.mark.reference
@pytest.mark.parametrize("kind", KINDS)
def test_the_distance_agrees_with_many_digit_arithmetic(kind: str) -> None:
    a, b = degenerate(kind)
    assert frechet_distance(a, b) == pytest.approx(in_many_digits(a, b), rel=1e-10)


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("rows", "others", "dimension"), [(40, 60, 5), (60, 40, 5), (9, 40, 20), (9, 12, 20), (9, 40, 9)]
)
def test_well_conditioned_features_need_no_singular_values(
    rows: int, others: int, dimension: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Singular values take three times as long as eigenvalues, which are as precise for these features."""
    a, b = draw(rows, dimension, 31), draw(others, dimension, 32, shift=0.4)
    expected = frechet_estimate(a, b).value
    monkeypatch.delattr("numpy.linalg.svd")
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-11)


@pytest.mark.property
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_choice_of_algorithm_does_not_depend_on_the_scale(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = draw(40, 5, 31), draw(60, 5, 32, shift=0.4)
    expected = frechet_distance(a, b)
    monkeypatch.delattr("numpy.linalg.svd")
    assert frechet_distance(scale * a, scale * b) / scale**2 == pytest.approx(expected, rel=1e-11)


@pytest.mark.reference
def test_constant_features_below_full_rank_have_no_overlap() -> None:
    b = draw(9, 6, 35)
    expected = np.square(1 - b.mean(0)).sum() + b.var(0, ddof=1).sum()
    assert frechet_distance(np.ones((3, 6)), b) == pytest.approx(expected, rel=1e-12)


@pytest.mark.property
@pytest.mark.parametrize("kind", KINDS)
def test_distances_from_statistics_equal_those_from_features(kind: str) -> None:
    """A covariance has no variance below 2⁻⁵² of its largest, which affects the distance by the square root."""
    a, b = degenerate(kind)
    found = frechet_distance_from_statistics(a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))
    assert found == pytest.approx(frechet_distance(a, b), rel=1e-6 if "nearly" in kind else 1e-9)


@pytest.mark.reference
def test_diagonal_covariances_agree_with_the_closed_form() -> None:
    first, second = np.array([4.0, 1.0, 0.0, 0.25]), np.array([1.0, 0.0, 0.0, 9.0])
    found = frechet_distance_from_statistics(np.zeros(4), np.diag(first), np.full(4, 0.5), np.diag(second))
    assert found == pytest.approx(1 + np.square(np.sqrt(first) - np.sqrt(second)).sum(), rel=1e-12)
    nothing = np.zeros((2, 2))
    assert frechet_distance_from_statistics([0, 0], nothing, [3, 4], nothing) == 25


@pytest.mark.reference
def test_one_dimension_agrees_with_the_closed_form() -> None:
    assert frechet_distance_from_statistics([0], [[4]], [1], [[9]]) == pytest.approx(1 + (2 - 3) ** 2)
    assert frechet_distance([[0.0], [2.0]], [[5.0], [5.0], [8.0]]) == pytest.approx(25 + (2**0.5 - 3**0.5) ** 2)


@pytest.mark.blackbox
def test_single_precision_statistics_are_converted_to_double() -> None:
    a, b = draw(30, 4, 27), draw(30, 4, 28, shift=0.5)
    single = [x.astype(np.float32) for s in (a, b) for x in (s.mean(0), np.cov(s, rowvar=False))]
    assert frechet_distance_from_statistics(*single) == frechet_distance_from_statistics(
        *(x.astype(np.float64) for x in single)
    )


@pytest.mark.blackbox
def test_the_invalid_gaussian_is_named() -> None:
    with pytest.raises(ValueError, match=r"^the mean a must be a vector of finite values: found an array of shape"):
        frechet_distance_from_statistics([np.nan, 0], np.eye(2), [0, 0], np.eye(2))
    with pytest.raises(ValueError, match=r"^covariance a is not symmetric"):
        frechet_distance_from_statistics([0, 0], [[1, 2], [0, 1]], [0, 0], np.eye(2))


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("mean", "covariance", "message"),
    [
        (np.zeros(3), np.eye(3), "a has 2, b has 3"),
        (np.zeros((1, 2)), np.eye(2), r"mean b .*\(1, 2\)"),
        (np.zeros(2), np.eye(3), "covariance b must be 2×2"),
        (np.zeros(2), np.array([[1, 0.1], [0, 1]]), "covariance b is not symmetric"),
        (np.zeros(2), np.diag([1, -0.1]), "covariance b has a negative eigenvalue: -0.1"),
        (np.array([0, np.nan]), np.eye(2), r"the mean b must be a vector of finite values"),
        (np.zeros(0), np.eye(0), r"the mean b must be a vector of finite values: found an array of shape \(0,\)"),
        (np.zeros(2), np.diag([1, np.inf]), "covariance b must be 2×2 and finite"),
    ],
)
def test_an_invalid_gaussian_is_refused(mean: np.ndarray, covariance: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frechet_distance_from_statistics(np.zeros(2), np.eye(2), mean, covariance)


@pytest.mark.property
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    rows=st.integers(2, 40),
    others=st.integers(2, 40),
    dimension=st.integers(1, 24),
    rank=st.integers(1, 24),
    scale=st.floats(1e-3, 1e3),
    seed=st.integers(0, 999),
)
def test_the_distance_is_invariant_to_order_rotation_shift_and_padding(
    rows: int, others: int, dimension: int, rank: int, scale: float, seed: int
) -> None:
    """Both algorithms agree; order, rotation, a common shift and padding do not matter; scale acts as a square."""
    generator = np.random.default_rng(seed)
    onto = generator.normal(size=(min(rank, dimension), dimension))
    a, b = draw(rows, len(onto), seed) @ onto, draw(others, len(onto), seed + 1, shift=0.2) @ onto
    distance, size = frechet_distance(a, b), np.square(a).sum() + np.square(b).sum()

    def same(found: float) -> bool:
        return found == pytest.approx(distance, rel=1e-9, abs=1e-12 * size)

    rotation, _ = np.linalg.qr(generator.normal(size=(dimension, dimension)))
    assert same(frechet_estimate(a, b).value)
    assert same(frechet_distance(b, a))
    assert same(frechet_distance(generator.permutation(a), b[::-1]))
    assert same(frechet_distance(a @ rotation, b @ rotation))
    assert same(frechet_distance(a + 3, b + 3))
    assert same(frechet_distance(scale * a, scale * b) / scale**2)
    assert same(frechet_distance(*(np.hstack([x, np.full((len(x), 45), 2.0)]) for x in (a, b))))


@pytest.mark.reference
@pytest.mark.parametrize(("rows", "dimension"), [(8, 30), (40, 5)])
def test_influence_equals_the_derivative_by_an_items_weight(rows: int, dimension: int) -> None:
    """The weight of item 3 is increased in a covariance that is divided by the sum of weights - 1, at any rank."""
    a, b = draw(rows, dimension, 12), draw(rows + 5, dimension, 13, shift=0.3)

    def weighted(step: float) -> float:
        weight = np.full(rows, 1 - step)
        weight[3] += rows * step
        mean = weight @ a / rows
        moved = np.sqrt(weight)[:, None] * (a - mean)
        shift, others = mean - b.mean(0), b - b.mean(0)
        singular = np.linalg.svd(moved @ others.T / np.sqrt((rows - 1) * (len(b) - 1)), compute_uv=False)
        traces = np.square(moved).sum() / (rows - 1) + np.square(others).sum() / (len(b) - 1)
        return float(shift @ shift + traces - 2 * singular.sum())

    step = 1e-5
    slope = (weighted(step) - weighted(-step)) / (2 * step)
    assert frechet_estimate(a, b).influence_a[3] == pytest.approx(slope, rel=1e-5)


@pytest.mark.reference
@pytest.mark.parametrize(("rows", "others", "dimension"), [(200, 200, 8), (300, 150, 32), (70, 500, 64)])
def test_full_rank_distances_equal_the_textbook_formula(rows: int, others: int, dimension: int) -> None:
    a, b = draw(rows, dimension, 0), draw(others, dimension, 1, shift=0.3)
    assert frechet_distance(a, b) == pytest.approx(by_eigenvalues(a, b), rel=1e-9)


@pytest.mark.reference
@pytest.mark.parametrize(("rows", "dimension"), [(2, 5), (10, 64), (64, 64), (65, 64), (300, 16)])
def test_the_distance_to_itself_is_zero_and_to_a_shift_is_its_square(rows: int, dimension: int) -> None:
    a = draw(rows, dimension, 2)
    scale = np.square(a).sum(1).mean()
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-12 * scale)
    assert frechet_distance(a, a + 0.5) == pytest.approx(0.25 * dimension, rel=1e-9)


@pytest.mark.reference
@pytest.mark.parametrize(("rows", "dimension"), [(6, 40), (50, 200)])
def test_a_scaled_set_agrees_with_the_closed_form_below_full_rank(rows: int, dimension: int) -> None:
    a = draw(rows, dimension, 3)
    a -= a.mean(0)
    expected = (1 - 3.0) ** 2 * np.cov(a, rowvar=False).trace()
    assert frechet_distance(a, 3.0 * a) == pytest.approx(expected, rel=1e-9)


@pytest.mark.reference
def test_sets_in_orthogonal_subspaces_have_no_overlap() -> None:
    a, b = np.zeros((20, 6)), np.zeros((30, 6))
    a[:, :3], b[:, 3:] = draw(20, 3, 4), draw(30, 3, 5)
    traces = np.cov(a, rowvar=False).trace() + np.cov(b, rowvar=False).trace()
    assert frechet_distance(a, b) == pytest.approx(traces + np.square(a.mean(0) - b.mean(0)).sum(), rel=1e-9)


@pytest.mark.reference
def test_constant_and_duplicated_features_have_exact_distances() -> None:
    a, b = draw(40, 4, 6), draw(50, 4, 7)
    assert frechet_distance(np.ones((5, 3)), np.zeros((7, 3))) == pytest.approx(3)
    doubled = frechet_distance(np.hstack([a, a]), np.hstack([b, b]))
    assert doubled == pytest.approx(2 * frechet_distance(a, b), rel=1e-9)


@pytest.mark.property
@pytest.mark.parametrize("scale", [1e-10, 1e10])
def test_influence_grows_with_the_square_of_the_features(scale: float) -> None:
    a, b = draw(9, 4, 30), draw(12, 4, 31, shift=0.2)
    found, expected = frechet_estimate(scale * a, scale * b), frechet_estimate(a, b)
    for one, other in ((found.influence_a, expected.influence_a), (found.influence_b, expected.influence_b)):
        assert one / scale**2 == pytest.approx(other, rel=1e-6)


@pytest.mark.reference
def test_constant_features_have_a_finite_influence() -> None:
    """The Gaussian is a point, so the distance is the other set's variance plus the squared distance of means."""
    b = np.array([[0.0, 1.0], [2.0, 1.0], [1.0, 4.0]])
    found = frechet_estimate(np.ones((4, 2)), b)
    assert found.value == pytest.approx(1.0 + 1.0 + 3.0)
    assert found.influence_a == pytest.approx(np.zeros(4))
    assert found.influence_b.sum() == pytest.approx(0, abs=1e-12)
    assert np.isfinite(found.influence_b).all()


@pytest.mark.reference
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


def with_one(value: float, *, place: tuple[int, int]) -> np.ndarray:
    """Return features that are all 0 except for one value."""
    features = np.zeros((5, 4))
    features[place] = value
    return features


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((1, 4)), np.zeros((5, 4)), r"a must have shape N×d.*\(1, 4\)"),
        (np.zeros((5, 4)), np.zeros(5), r"b must have shape"),
        (np.zeros((5, 4)), np.zeros((5, 3)), "a has 4, b has 3"),
        (np.zeros((5, 4)), np.full((5, 4), np.nan), "b hold 20 values"),
        (np.zeros((5, 4)), with_one(np.nan, place=(3, 2)), "b hold 1 values that are not finite"),
        (with_one(np.inf, place=(0, 0)), np.zeros((5, 4)), "a hold 1 values that are not finite"),
        (with_one(-np.inf, place=(4, 3)), np.zeros((5, 4)), "a hold 1 values that are not finite"),
    ],
)
def test_bad_features_are_named(a: np.ndarray, b: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frechet_distance(a, b)
