"""Tests of intervals against tables of Student's distribution, by hand, and for skewed influences."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import t as student

from bench.metrics.spread import Spread, variance_shares


def spread(values: list[float] | np.ndarray, sources: list[str] | None = None) -> Spread:  # type: ignore[type-arg]
    found = Spread.of(np.asarray(values, dtype=np.float64), sources)
    assert found is not None
    return found


@pytest.mark.reference
def test_equal_sources_give_students_interval() -> None:
    """The expected values are those of tables for 1 and 11 degrees of freedom."""
    found = spread([1.0, -1.0])
    assert (found.effective_sources, found.freedom, found.skewness) == (2, 1, 0)
    assert found.interval(3.0) == pytest.approx((3 - 12.7062, 3 + 12.7062), rel=1e-5)
    twelve = spread([1.0, -1.0] * 6)
    assert twelve.freedom == pytest.approx(11)
    assert twelve.interval(0.0)[1] == pytest.approx(2.200985 * twelve.stderr, rel=1e-6)


@pytest.mark.reference
def test_effective_sources_freedom_and_skewness_equal_the_formulas() -> None:
    """Sources add up to 6, -1, -1, -1, -1, -2."""
    found = spread([4.0, 2.0, -1.0, -1.0, -1.0, -1.0, -2.0], ["a", "a", "b", "c", "d", "e", "f"])
    second, third, fourth = 36 + 4 + 4, 216 - 4 - 8, 6**4 + 4 + 16
    assert found.sources == 6
    assert found.effective_sources == pytest.approx(second**2 / fourth)
    assert found.freedom == pytest.approx(2 / (fourth / second**2 - 1 / 6))
    assert found.skewness == pytest.approx(third / second**1.5)
    assert found.stderr == pytest.approx(np.sqrt(6 / 5 * second) / 7)
    assert found.decided_by_few


@pytest.mark.blackbox
def test_sources_with_equal_shares_are_sorted_by_name() -> None:
    """Two runs then list sources in one order, which an unstable sort would not ensure."""
    names = [f"photo {index:02}" for index in range(40)]
    shares = variance_shares(np.tile([1.0, 2.0], 20), names)
    assert list(shares) == names[1::2] + names[::2]
    assert [shares["photo 01"], shares["photo 00"]] == pytest.approx([0.04, 0.01])


@pytest.mark.blackbox
def test_one_source_has_no_spread_and_zero_influences_are_exact() -> None:
    assert Spread.of(np.array([1.0, -1.0]), ["one", "one"]) is None
    exact = spread([0.0, 0.0, 0.0])
    assert (exact.stderr, exact.effective_sources, exact.interval(2.0)) == (0, 3, (2.0, 2.0))
    assert (exact.sources, exact.freedom, exact.skewness) == (3, 2, 0)
    assert (exact.p_value(0.0), exact.p_above(0.1), exact.p_above(-0.1)) == (1, 0, 1)
    tiny = Spread.of(np.array([1e-15, -1e-15]), rounding=1e-14)
    assert tiny is not None
    assert tiny.stderr == 0
    at_most = Spread.of(np.array([1e-14, -1e-14]), rounding=1e-14)
    assert at_most is not None
    assert at_most.stderr == 0
    assert Spread.of(np.zeros(0)) is None


@pytest.mark.blackbox
def test_influences_of_any_size_do_not_overflow() -> None:
    """The fourth powers of these influences exceed float64."""
    for scale in (1e-100, 1e100):
        found = spread([3 * scale, -scale, -scale, -scale])
        assert (found.effective_sources, found.skewness) == (pytest.approx(144 / 84), pytest.approx(24 / 12**1.5))


@pytest.mark.blackbox
def test_a_change_on_halves_makes_the_standard_error_smaller() -> None:
    influence, change = np.array([2.0, -2.0, 1.0, -1.0]), np.array([1.0, 1.0, 1.0, 1.0])
    found = Spread.of(influence, change=change)
    assert found is not None
    assert found.stderr == pytest.approx(np.sqrt(4 / 3 * (10 - 4 / 2)) / 4)


@pytest.mark.property
def test_freedom_of_normal_influences_is_about_the_number_of_sources() -> None:
    generator = np.random.default_rng(0)
    found = [spread(generator.normal(size=200)).freedom for _ in range(200)]
    assert np.median(found) == pytest.approx(199, rel=0.05)
    heavy = [spread(generator.standard_t(3, size=200)).freedom for _ in range(200)]
    assert np.median(heavy) < 80


@pytest.mark.property
@pytest.mark.parametrize("skewness", [-0.9, -0.3, 0.0, 0.3, 0.9])
def test_a_p_value_is_below_a_level_exactly_where_the_interval_leaves_out_zero(skewness: float) -> None:
    found = Spread(0.5, 30, 12.0, 20.0, skewness)
    for level in (0.8, 0.95, 0.999):
        for edge in found.interval(0.0, level):
            assert found.p_value(-edge) == pytest.approx(1 - level, rel=1e-6)
            assert found.p_value(-1.01 * edge) < 1 - level < found.p_value(-0.99 * edge)
        assert found.p_above(-found.lower_bound(0.0, 0.01)) == pytest.approx(0.01, rel=1e-6)
    assert found.p_value(0.0) == 1


@pytest.mark.reference
@pytest.mark.parametrize("skewness", [-0.7, -0.2, 0.2, 0.7])
def test_bounds_and_p_values_equal_halls_correction_solved_by_bisection(skewness: float) -> None:
    """The uncorrected bound is used if it is larger; printed tables have 2.085963 for 20 degrees of freedom."""

    def transformed(statistic: float, a: float) -> float:
        return statistic + a * statistic**2 / 3 + a**2 * statistic**3 / 27 + a / 6

    def bound(a: float) -> float:
        return max(2.085963, -brentq(lambda x: transformed(x, a) + 2.085963, -100, 100))

    found = Spread(0.5, 30, 12.0, 20.0, skewness)
    assert found.upper_bound(3.0, 0.025) == pytest.approx(3 + bound(skewness) / 2, rel=1e-6)
    assert found.lower_bound(3.0, 0.025) == pytest.approx(3 - bound(-skewness) / 2, rel=1e-6)
    for value in (0.2, 0.9, 1.5):
        statistic = value / 0.5
        above = student.sf(min(statistic, transformed(statistic, skewness)), 20)
        below = student.sf(min(statistic, transformed(statistic, -skewness)), 20)
        assert found.p_above(value) == pytest.approx(above, rel=1e-9)
        assert found.p_value(value) == pytest.approx(min(2 * above, 1), rel=1e-9)
        assert found.p_value(-value) == pytest.approx(min(2 * below, 1), rel=1e-9)


@pytest.mark.property
def test_an_interval_is_longer_on_the_side_of_the_long_tail_and_never_shorter() -> None:
    even, skewed = (Spread(1.0, 30, 12.0, 20.0, skewness).interval(0.0) for skewness in (0.0, 0.5))
    assert skewed[0] == even[0]
    assert skewed[1] > 1.3 * even[1]
    assert Spread(1.0, 30, 12.0, 20.0, 0.5).mirrored().interval(0.0) == pytest.approx((-skewed[1], -skewed[0]))


@pytest.mark.property
def test_the_upper_bound_of_a_skewed_mean_holds() -> None:
    """For lognormal values of 40 sources, Student's upper bound alone misses the mean in one of eight draws."""
    generator = np.random.default_rng(1)
    mean, held, students = np.exp(0.5), 0, 0
    for _ in range(2000):
        values = generator.lognormal(size=40)
        found = spread(values - values.mean())
        held += found.upper_bound(values.mean(), 0.025) >= mean
        students += values.mean() + 2.0227 * found.stderr >= mean
    assert students / 2000 < 0.9
    assert 0.945 <= held / 2000 <= 0.98


@pytest.mark.reference
def test_variance_shares_are_summed_by_source() -> None:
    shares = variance_shares(np.array([3.0, 1.0, -2.0, -2.0]), ["b", "b", "a", "c"])
    assert list(shares.items()) == [
        ("b", pytest.approx(16 / 24)),
        ("a", pytest.approx(4 / 24)),
        ("c", pytest.approx(4 / 24)),
    ]
    assert variance_shares(np.zeros(2), ["a", "b"]) == {}
