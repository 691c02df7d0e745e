"""Judgements on whether two rows are equal, within a margin that was fixed before the runs."""

from __future__ import annotations

from bench.metrics.uncertainty import Difference
from bench.runtime.not_available import NotAvailable
from bench.tables.claims import Claim, Comparison
from bench.tables.judged_run import JudgedRun, compared, interval_shown
from bench.tables.verdicts import LEVEL, NOT_TESTED, Judgement, all_of, placed, weighed

__all__ = ["equal", "judge_equality", "margin_of"]


def judge_equality(run: JudgedRun, claim: Claim) -> Judgement:
    """Judge a statement on equality, which holds if the two rows of each comparison are equal within the margin."""
    return all_of([equal(run, claim, comparison) for comparison in claim.comparisons])


def equal(run: JudgedRun, claim: Claim, comparison: Comparison) -> Judgement:
    """Judge whether two rows are equal within the margin, by two one-sided tests.

    The method is from Schuirmann, "A comparison of the two one-sided tests procedure and the power approach", 1987. The
    rows are equal if the 95 % interval of their difference lies between -margin and +margin. They are not equal if the
    whole interval lies outside this range. Otherwise, or if the difference has too few effective sources, the judgement
    is "inconclusive". Each of the two tests thus has a level of 2.5 %. (The usual procedure takes a 90 % interval, for
    a level of 5 %.) If the difference is unknown, the judgement is "not tested".

    Too large a margin would treat a real difference as equality. Therefore the margin is compared with the significant
    differences on the same metric that the run's statements on an order contain. If the margin is larger than half of
    the smallest of these differences, the judgement is "not tested".
    """
    found = run.comparisons.difference(comparison)
    if isinstance(found, NotAvailable):
        return Judgement(NOT_TESTED, found.reason)
    margin = margin_of(run, claim, comparison)
    shown = f"{compared(comparison)} {interval_shown(found, -margin, margin)} (unadjusted), margin ±{margin:.3g}"
    smallest = _smallest_decided(run, comparison.metric)
    if smallest is not None and margin > abs(smallest[1].value) / 2:
        other, difference = smallest
        deciding = f"{compared(other)} {difference.value:+.3g}"
        return Judgement(
            NOT_TESTED,
            f"{shown}; this margin is above half of the difference that decides another statement, {deciding}",
        )
    return weighed(placed(*found.ci95, -margin, margin), shown, found.effective_sources)


def margin_of(run: JudgedRun, claim: Claim, comparison: Comparison) -> float:
    """Return the largest difference at which two rows count as equal, in the unit of the metric.

    In a run with the scope `paper`, this is the statement's `margin` for the metric, if the statement has such a
    margin. In all other cases, the result is the statement's `margin_share` times the absolute value of the metric for
    the comparison's second row. This row must have a value.
    """
    metric = comparison.metric
    if run.is_paper and metric in claim.margin:
        return claim.margin[metric]
    reference = run.summary.measurement(comparison.other, metric).value
    assert reference is not None  # a row without a value would have no difference
    return claim.margin_share[metric] * abs(reference)


def _smallest_decided(run: JudgedRun, metric: str) -> tuple[Comparison, Difference] | None:
    """Return the comparison with the smallest significant difference on `metric`, and this difference.

    Only comparisons of the run's statements on an order count. Differences with too few effective sources do not count.
    The result is None if no difference that counts is significant.
    """
    decided = []
    for claim in run.claims:
        if claim.kind != "order":
            continue
        for comparison in run.comparisons.compared(claim):
            found = run.comparisons.difference(comparison)
            p_value = run.comparisons.p_value(comparison)
            if comparison.metric != metric or isinstance(found, NotAvailable) or found.decided_by_few:
                continue
            if p_value is not None and p_value < LEVEL:
                decided.append((comparison, found))
    return min(decided, key=lambda pair: abs(pair[1].value), default=None)
