"""Tests of the gate's rule: its verdicts, and the frequency of wrong ones."""

import math

import numpy as np
import pytest

from bench.gate.decision import Verdict, Worsening, decide, p_value, together, upper_bound
from bench.metrics.spread import Spread

FEW = 30
"""Comparisons in a simulated table."""


def estimated(value: float, stderr: float, sources: int) -> Worsening:
    """Return a paired worsening with equal contributions of all sources; its error is unknown if `stderr` is NaN."""
    spread = None if math.isnan(stderr) else Spread(stderr, sources, float(sources), sources - 1.0, 0.0)
    return Worsening(value, spread, paired=True)


def verdict(value: float, stderr: float, margin: float, sources: int | None = 200) -> Verdict:
    worse = Worsening(value) if sources is None else estimated(value, stderr, sources)
    return decide([(worse, margin)])[0]


@pytest.mark.property
def test_equal_values_pass_at_any_margin() -> None:
    for margin in (0.0, 0.1):
        assert verdict(0.0, 0.0, margin) is Verdict.PASS
        assert verdict(0.0, 0.0, margin, None) is Verdict.PASS


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("value", "stderr", "expected"),
    [
        (1.0, 0.1, Verdict.REGRESSION),  # five errors beyond the margin
        (0.3, 0.1, Verdict.PASS),  # two errors below it
        (0.45, 0.1, Verdict.CANNOT_TELL),
        (0.6, 0.1, Verdict.CANNOT_TELL),  # beyond it, but not surely
        (-0.3, 0.1, Verdict.PASS),  # better, by less than the margin
        (-1.0, 0.1, Verdict.IMPROVED),
        (-1.0, 0.7, Verdict.PASS),  # perhaps better, surely not worse by more than the margin
        (0.0, math.nan, Verdict.CANNOT_TELL),
    ],
)
def test_a_worsening_is_judged_by_its_error_and_the_margin(value: float, stderr: float, expected: Verdict) -> None:
    assert verdict(value, stderr, 0.5) is expected


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.5, Verdict.PASS), (0.51, Verdict.REGRESSION), (-0.51, Verdict.IMPROVED), (-0.5, Verdict.PASS)],
)
def test_exact_values_are_compared_with_the_margin_itself(value: float, expected: Verdict) -> None:
    assert verdict(value, 0.0, 0.5, None) is expected


@pytest.mark.reference
def test_bounds_and_p_values_equal_students() -> None:
    worse = estimated(1.0, 0.5, 11)
    assert upper_bound(worse) == pytest.approx(1 + 1.812461 * 0.5, rel=1e-6)  # Student's t, 10 degrees of freedom
    assert p_value(worse, 1.0) == pytest.approx(0.5)
    assert p_value(worse, upper_bound(worse)) == pytest.approx(0.95)
    assert p_value(worse, 1.0 - 1.812461 * 0.5) == pytest.approx(0.05, rel=1e-5)


@pytest.mark.blackbox
def test_many_comparisons_tighten_the_level_of_each() -> None:
    nearly = (estimated(0.5 + 2 * 0.1, 0.1, 200), 0.5)  # p = 0.023
    same = (estimated(0.0, 0.1, 200), 0.5)
    assert decide([nearly])[0] is Verdict.REGRESSION
    assert decide([nearly, same, same])[0] is Verdict.CANNOT_TELL
    assert decide([nearly, (Worsening(0.0), 0.5), (estimated(0.0, math.nan, 1), 0.5)])[0] is Verdict.REGRESSION


@pytest.mark.blackbox
def test_the_worst_verdict_decides_the_outcome() -> None:
    assert together([]) is Verdict.CANNOT_TELL
    assert together([Verdict.PASS, Verdict.IMPROVED]) is Verdict.PASS
    assert together([Verdict.PASS, Verdict.CANNOT_TELL]) is Verdict.CANNOT_TELL
    assert together([Verdict.CANNOT_TELL, Verdict.REGRESSION]) is Verdict.REGRESSION
    assert [each.status for each in Verdict] == [0, 3, 4, 0]


def simulated(truth: np.ndarray, margin: float, runs: int) -> list[Verdict]:  # type: ignore[type-arg]
    """Return verdicts on tables that are truly worse by `truth`, each measured on 100 items."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(runs):
        items = truth + generator.standard_normal((100, len(truth)))
        means, errors = items.mean(0), items.std(0, ddof=1) / 10
        pairs = [(estimated(float(m), float(e), 100), margin) for m, e in zip(means, errors, strict=True)]
        found.append(together(decide(pairs)))
    return found


@pytest.mark.property
def test_at_most_one_table_in_twenty_is_wrongly_called_worse() -> None:
    found = simulated(np.full(FEW, 0.2), 0.2, 2000)  # each on its margin: the hardest that is still none
    share = found.count(Verdict.REGRESSION) / len(found)
    assert 0.02 < share < 0.065  # 0.05 and three deviations of 2,000 draws


@pytest.mark.property
def test_at_most_one_table_in_twenty_wrongly_passes() -> None:
    truth = np.full(FEW, -1.0)
    truth[7] = 0.2  # one on the margin, all others far better
    found = simulated(truth, 0.2, 2000)
    share = found.count(Verdict.PASS) / len(found)
    assert 0.035 < share < 0.065
