"""Judgements on statements that one row is better than another, for the measured networks and for their designs."""

from __future__ import annotations

from bench.metrics.uncertainty import Difference
from bench.runtime.not_available import NotAvailable
from bench.tables.claims import Claim, Comparison
from bench.tables.designs import DesignDifference, design_difference
from bench.tables.equality import equal, margin_of
from bench.tables.judged_run import JudgedRun, compared, interval_shown, sign, three
from bench.tables.verdicts import (
    FAILS,
    HOLDS,
    INCONCLUSIVE,
    LEVEL,
    NOT_TESTED,
    Judgement,
    all_of,
    p_shown,
    placed,
    weighed,
)

__all__ = ["judge_order", "order_of_designs"]


def judge_order(run: JudgedRun, claim: Claim) -> Judgement:
    """Judge a statement on the order of rows, by the adjusted p-value of each of its comparisons.

    The statement holds if, in every comparison, the row that should be better is significantly better.
    """
    comparisons = run.comparisons.compared(claim)
    if not comparisons:
        return Judgement(NOT_TESTED, "none of the rows to compare with was measured")
    judgement = all_of([_better(run, comparison) for comparison in comparisons])
    if claim.against == "paper" and run.rows.unmeasured:
        missing = ", ".join(run.rows.label(row) for row in run.rows.unmeasured)
        judgement = Judgement(judgement.verdict, f"{judgement.evidence}; not measured on these items: {missing}")
    return judgement


def _better(run: JudgedRun, comparison: Comparison) -> Judgement:
    found = run.comparisons.difference(comparison)
    if isinstance(found, NotAvailable):
        return Judgement(NOT_TESTED, found.reason)
    p_value = run.comparisons.p_value(comparison)
    assert p_value is not None  # every comparison of a statement belongs to a family
    shown = f"{compared(comparison)} {interval_shown(found)} (unadjusted), {p_shown(p_value)} (Holm)"
    return weighed(_direction(comparison, found, p_value < LEVEL), shown, found.effective_sources)


def _direction(comparison: Comparison, found: Difference | DesignDifference, is_sure: bool) -> str:
    """Return the verdict on one comparison, which follows from the sign of its difference.

    Args:
        comparison: two rows, with the row that should be better first, and the metric.
        found: value of the first row minus the value of the second row.
        is_sure: whether the difference is significant; if not, the verdict is inconclusive.
    """
    if not is_sure:
        return INCONCLUSIVE
    return HOLDS if sign(comparison) * found.value > 0 else FAILS


def order_of_designs(run: JudgedRun, claim: Claim) -> Judgement:
    """Judge whether a statement on an order or an equality also holds for the designs, over several trainings of each.

    Each comparison is judged twice: for the measured networks and for the designs. If the two verdicts agree, this
    verdict is the result of the comparison. If one of the two verdicts is "not tested", for example because there are
    too few trainings, the result is "not tested". If the two verdicts differ otherwise, the result is "inconclusive".
    The statement holds only if all comparisons hold.

    Args:
        run: measured run.
        claim: statement on an order or an equality of rows.
    """
    comparisons = run.comparisons.compared(claim)
    if not comparisons:
        return Judgement(NOT_TESTED, "none of the rows to compare with was measured")
    return all_of([_confirmed(run, claim, comparison) for comparison in comparisons])


def _confirmed(run: JudgedRun, claim: Claim, comparison: Comparison) -> Judgement:
    measured = equal(run, claim, comparison) if claim.kind == "equal" else _better(run, comparison)
    if measured.verdict == NOT_TESTED:
        return Judgement(NOT_TESTED, f"{compared(comparison)} not tested on the measured networks")
    designs = _of_designs(run, claim, comparison)
    agree = designs.verdict in (measured.verdict, NOT_TESTED)
    return designs if agree else Judgement(INCONCLUSIVE, designs.evidence)


def _of_designs(run: JudgedRun, claim: Claim, comparison: Comparison) -> Judgement:
    better, other, metric = comparison
    measured = run.comparisons.difference(comparison)
    found = design_difference({better: 1.0, other: -1.0}, metric, measured, run.seeds)
    if isinstance(found, NotAvailable):
        return Judgement(NOT_TESTED, found.reason)
    margin = margin_of(run, claim, comparison) if claim.kind == "equal" else None
    bounds = (0.0,) if margin is None else (-margin, margin)
    trainings = ", ".join(f"{row} {count}" for row, count in found.seeds.items())
    shown = (
        f"{compared(comparison)} mean over trainings ({trainings}) {three(found.value, *found.ci95, *bounds)}, "
        f"standard error {found.seed_error:.2g} by training seeds, {found.item_error:.2g} by items"
    )
    low, high = found.ci95
    if margin is None:
        verdict = _direction(comparison, found, not low <= 0 <= high)
    else:
        verdict = placed(low, high, -margin, margin)
    return weighed(verdict, shown, found.effective_sources)
