"""Tests of standard errors against known formulas, and of the coverage of intervals."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.stats import ttest_ind

from bench.metrics.spread import Spread
from bench.metrics.uncertainty import (
    Chosen,
    Difference,
    Estimate,
    Known,
    combined,
    contrast,
    estimate_by_halves,
    holm,
    independent_difference,
    mean_estimate,
    paired_difference,
    parts,
    standard_error,
)
from bench.runtime.not_available import NotAvailable


def known(found: Difference | NotAvailable) -> Difference:
    assert isinstance(found, Difference)
    return found


@pytest.mark.reference
def test_the_standard_error_of_a_mean_equals_the_usual_formula() -> None:
    values = np.random.default_rng(0).normal(size=50)
    estimate = mean_estimate(values)
    assert estimate.value == pytest.approx(values.mean())
    assert standard_error(estimate.influence) == pytest.approx(values.std(ddof=1) / np.sqrt(50))


@pytest.mark.property
def test_copies_of_an_item_add_no_information_when_clustered() -> None:
    values = np.random.default_rng(1).normal(size=40)
    copied = mean_estimate(np.repeat(values, 5))
    sources = [f"photo {index}" for index in range(40) for _ in range(5)]
    expected = standard_error(mean_estimate(values).influence)
    assert standard_error(copied.influence, sources) == pytest.approx(expected)
    assert standard_error(copied.influence) < 0.5 * expected


@pytest.mark.blackbox
def test_a_single_source_has_no_standard_error() -> None:
    assert np.isnan(standard_error(np.array([0.1, -0.1]), ["one", "one"]))


@pytest.mark.property
def test_intervals_of_paired_differences_cover_the_truth() -> None:
    generator = np.random.default_rng(2)
    covered = 0
    for _ in range(500):
        shared = generator.normal(size=80)
        new, old = (mean_estimate(shared + generator.normal(size=80) + mean) for mean in (0.3, 0.0))
        low, high = known(paired_difference(new, old)).ci95
        covered += low <= 0.3 <= high
    assert 0.92 <= covered / 500 <= 0.98


def squared_mean(values: np.ndarray, chosen: Chosen) -> Estimate:  # type: ignore[type-arg]
    """Return the squared length of the mean of vectors, which is of second order if they are centred at 0."""
    mean = values[chosen].mean(0)
    return Estimate(float(mean @ mean), 2 * (values[chosen] - mean) @ mean)


@pytest.mark.reference
@pytest.mark.parametrize("centre", [0.0, 0.1, 0.3, 2.0])
def test_halves_correct_the_jackknifes_double_counting(centre: float) -> None:
    """For 20 dimensions the variance is 4·20·centre² / N + 2·20 / N², and the jackknife's second part twice that."""
    count, generator = 60, np.random.default_rng(4)
    names = [str(index) for index in range(count)]
    plain, corrected = [], []
    for _ in range(600):
        values = generator.normal(centre, 1, size=(count, 20))
        found = estimate_by_halves(partial(squared_mean, values), names)
        plain.append(standard_error(found.influence) ** 2)
        corrected.append(standard_error(found.influence, change=found.change) ** 2)
    first, second = 80 * centre**2 / count, 40 / count**2
    assert np.mean(plain) == pytest.approx(first + 2 * second, rel=0.05)
    # That no more than half is taken off leaves the case without a first order a little too wide.
    assert np.mean(corrected) == pytest.approx(first + second, rel=0.2 if centre == 0 else 0.05)


@pytest.mark.property
def test_parts_are_of_whole_sources_and_the_same_in_any_order() -> None:
    names = [f"photo {index // 3}" for index in range(60)]
    shuffled = np.random.default_rng(6).permutation(60)
    for count in (1, 2, 4, 10):
        dealt = parts(names, count)
        assert np.sum(dealt, axis=0).tolist() == [1] * 60
        sets = [{name for name, inside in zip(names, part, strict=True) if inside} for part in dealt]
        assert {len(part) for part in sets} == {20 // count}
        again = parts([names[place] for place in shuffled], count)
        assert all(np.array_equal(part[shuffled], other) for part, other in zip(dealt, again, strict=True))
    quarters, pair = parts(names, 4), parts(names, 2)
    assert np.array_equal(quarters[0] | quarters[1], pair[0])


@pytest.mark.blackbox
def test_estimates_combine_with_their_changes() -> None:
    one = Estimate(2.0, np.array([1.0, -1.0]), np.array([0.5, 0.0]))
    other = Estimate(1.0, np.array([3.0, -3.0]))
    found = combined([(2.0, one), (-1.0, other)])
    assert (found.value, found.influence.tolist()) == (3.0, [-1.0, 1.0])
    assert found.change is not None
    assert found.change.tolist() == [1.0, 0.0]
    assert combined([(1.0, other)]).change is None


@pytest.mark.blackbox
def test_a_change_is_summed_over_the_items_of_a_source() -> None:
    influence, change = np.array([2.0, -2.0, 1.0, -1.0]), np.array([1.0, -1.0, 0.5, 0.5])
    names = ["a", "b", "c", "c"]
    assert standard_error(influence, names, change=change) == pytest.approx(np.sqrt(3 / 2 * (8 - (1 + 1 + 1) / 2)) / 4)
    assert standard_error(influence, names, change=9 * change) == pytest.approx(np.sqrt(3 / 2 * 4) / 4)


@pytest.mark.blackbox
def test_equal_rows_have_a_difference_of_exactly_zero() -> None:
    estimate = mean_estimate([0.1, 0.2, 0.4])
    same = known(paired_difference(estimate, estimate))
    assert (same.value, same.stderr, same.ci95, same.p_value) == (0.0, 0.0, (0.0, 0.0), 1.0)
    with pytest.raises(ValueError, match="3 and 2"):
        paired_difference(estimate, Estimate(1.0, np.zeros(2)))
    with pytest.raises(ValueError, match="finite"):
        mean_estimate([])


@pytest.mark.blackbox
@pytest.mark.parametrize("values", [[0.1, 0.7], [0.1, 0.2, 0.4], [1e9, 2e9, 3.3e9]])
def test_a_difference_that_is_the_same_for_all_items_has_no_known_spread(values: list[float]) -> None:
    """Rounding makes the influences of some of them differ in the last digits."""
    old, new = mean_estimate(values), mean_estimate([value + 0.3 for value in values])
    found = paired_difference(new, old)
    assert isinstance(found, NotAvailable)
    assert "every source shows the same value" in found.reason
    assert contrast([(1.0, new), (1.0, old), (-2.0, old)]) == found


@pytest.mark.blackbox
def test_the_limit_of_a_rounding_error_scales_with_the_values() -> None:
    influence = np.array([1.0, -1.0])
    old = Estimate(3.0, influence)
    equal = known(paired_difference(Estimate(3.0 + 1e-14, influence), old))
    assert (equal.value, equal.p_value) == (0.0, 1.0)
    assert known(contrast([(1.0, Estimate(1e-13, influence))])).value == 0.0
    tiny = known(paired_difference(mean_estimate([1e-20, 4e-20, 2e-20]), mean_estimate([0.0, 1e-20, 0.0])))
    assert tiny.value == pytest.approx(2e-20, rel=1e-9)
    assert tiny.stderr > 0


@pytest.mark.blackbox
def test_a_difference_keeps_the_changes_on_halves() -> None:
    influence, change = np.array([2.0, -2.0, 1.0, -1.0]), np.array([1.0, 1.0, 1.0, 1.0])
    found = known(contrast([(1.0, Estimate(5.0, influence, change))]))
    assert found.stderr == standard_error(influence, change=change) < standard_error(influence)


@pytest.mark.blackbox
def test_no_items_give_no_sources() -> None:
    assert contrast([(1.0, Estimate(0.0, np.zeros(0)))]) == NotAvailable("fewer than two independent sources")


@pytest.mark.blackbox
def test_a_mean_of_single_precision_values_is_computed_in_double_precision() -> None:
    values = np.array([0.1, 0.2, 0.4, 0.7, 1.9], np.float32)
    found = mean_estimate(values)
    assert found.value == values.astype(np.float64).mean() != values.mean()
    assert found.influence.dtype == np.float64


@pytest.mark.blackbox
def test_a_single_source_has_no_difference() -> None:
    new, old = mean_estimate([1.0, 2.0]), mean_estimate([1.5, 1.0])
    assert paired_difference(new, old, ["one", "one"]) == NotAvailable("fewer than two independent sources")


@pytest.mark.reference
def test_a_difference_reports_its_effective_sources() -> None:
    """The sources have sums of 9, 1, 1 and -11, from which the expected values are computed by hand."""
    old = mean_estimate([0.0, 0.0, 0.0, 0.0])
    found = known(paired_difference(mean_estimate([9.0, 1.0, 1.0, -11.0]), old))
    effective = (81 + 1 + 1 + 121) ** 2 / (9**4 + 1 + 1 + 11**4)
    assert (found.sources, found.effective_sources) == (4, pytest.approx(effective))
    assert found.freedom == pytest.approx(min(3, 2 / (1 / effective - 1 / 4)))
    assert found.decided_by_few
    values = np.random.default_rng(5).normal(size=100)
    assert not known(paired_difference(mean_estimate(values), mean_estimate(values**2))).decided_by_few


@pytest.mark.reference
def test_holms_adjustment_equals_values_worked_out_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.reference
def test_independent_means_are_compared_by_welchs_test() -> None:
    generator = np.random.default_rng(8)
    new, old = generator.normal(0.3, 1, 12), generator.normal(0, 3, 30)
    described = [
        Known(float(x.mean()), Spread(float(x.std(ddof=1) / np.sqrt(len(x))), len(x), len(x), len(x) - 1, 0.0))
        for x in (new, old)
    ]
    expected = ttest_ind(new, old, equal_var=False)
    found = known(independent_difference(*described))
    assert found.value == pytest.approx(new.mean() - old.mean())
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.ci95 == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.freedom == pytest.approx(expected.df)
    assert found.sources == 42


@pytest.mark.reference
def test_the_moments_of_independent_values_add_up() -> None:
    """The sums of second, third and fourth powers equal those over the sources of all values together."""
    generator = np.random.default_rng(9)
    new, old = generator.exponential(size=20), generator.exponential(2, size=50)
    spreads = [Spread.of(x - x.mean()) for x in (new, old)]
    one, other = (spread for spread in spreads if spread is not None)
    found = known(independent_difference(Known(new.mean(), one), Known(old.mean(), other)))
    parts_of_it = [(new - new.mean()) * one.stderr / new.std(), (old.mean() - old) * other.stderr / old.std()]
    sums = np.concatenate([part / np.sqrt(len(part)) for part in parts_of_it])
    together = Spread.of(sums)
    assert together is not None
    assert found.effective_sources == pytest.approx(together.effective_sources)
    both = Spread(found.stderr, 70, found.effective_sources, found.freedom, together.skewness)
    assert found.ci95 == pytest.approx(both.interval(found.value))


@pytest.mark.blackbox
def test_independent_values_without_error_are_compared_exactly() -> None:
    exact = Spread(0.0, 2, 2.0, 1.0, 0.0)
    same = known(independent_difference(Known(1.0, exact), Known(1.0, replace(exact, sources=3))))
    assert (same.p_value, same.sources) == (1, 5)
    assert isinstance(independent_difference(Known(1.0, exact), Known(2.0, exact)), NotAvailable)
