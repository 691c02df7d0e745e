"""Judges whether two rows are equal within a margin that was written beforehand."""

from __future__ import annotations

from bench.metrics.uncertainty import Difference
from bench.tables.claims import Claim, Comparison
from bench.tables.judged_run import JudgedRun, compared, few_sources, interval_shown
from bench.tables.verdicts import INCONCLUSIVE, LEVEL, NOT_TESTED, Judgement, all_of, placed

__all__ = ["equal", "judge_equality", "margin_of"]


def judge_equality(run: JudgedRun, claim: Claim) -> Judgement:
    """Whether no comparison of a statement shows a difference larger than the margin."""
    return all_of([equal(run, claim, comparison) for comparison in claim.comparisons])


def equal(run: JudgedRun, claim: Claim, comparison: Comparison) -> Judgement:
    """Whether two rows are equal within the margin, by two one-sided tests.

    Schuirmann, "A comparison of the two one-sided tests procedure and the power approach", 1987; here the 95 % interval
    must lie inside the margin, so that each one-sided test has a level of 2.5 %; with the usual 90 % it would have 5 %.
    """
    found = run.comparisons.difference(comparison)
    if isinstance(found, str):
        return Judgement(NOT_TESTED, found)
    margin = margin_of(run, claim, comparison)
    shown = f"{compared(comparison)} {interval_shown(found, -margin, margin)} (unadjusted), margin ±{margin:.3g}"
    smallest = _smallest_decided(run, comparison.metric)
    if smallest is not None and margin > abs(smallest[1].value) / 2:
        of, difference = smallest
        turns = f"{compared(of)} {difference.value:+.3g}"
        return Judgement(NOT_TESTED, f"no margin: {shown} is above half of what another statement turns on, {turns}")
    if found.decided_by_few:
        return Judgement(INCONCLUSIVE, f"{few_sources(found.effective_sources)}: {shown}")
    return Judgement(placed(*found.ci95, -margin, margin), shown)


def margin_of(run: JudgedRun, claim: Claim, comparison: Comparison) -> float:
    """The margin of a comparison in the metric's unit; both rows have a value."""
    metric = comparison.metric
    if run.is_paper and metric in claim.margin:
        return claim.margin[metric]
    reference = run.summary.measurement(comparison.other, metric).value
    assert reference is not None  # it has a difference
    return claim.margin_share[metric] * abs(reference)


def _smallest_decided(run: JudgedRun, metric: str) -> tuple[Comparison, Difference] | None:
    """The smallest difference on a metric that decides an order of this run; None where none is decided."""
    decided = []
    for claim in run.claims:
        if claim.kind != "order":
            continue
        for comparison in run.comparisons.compared(claim):
            found = run.comparisons.difference(comparison)
            p_value = run.comparisons.p_value(comparison)
            if comparison.metric != metric or isinstance(found, str) or found.decided_by_few:
                continue
            if p_value is not None and p_value < LEVEL:
                decided.append((comparison, found))
    return min(decided, key=lambda pair: abs(pair[1].value), default=None)
