"""Judges which of two rows is better, for the networks that were measured and for their designs."""

from __future__ import annotations

from bench.tables.claims import Claim, Comparison
from bench.tables.designs import design_difference
from bench.tables.equality import equal, margin_of
from bench.tables.judged_run import JudgedRun, compared, few_sources, interval_shown, sign, three
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
)

__all__ = ["judge_order", "order_of_designs"]


def judge_order(run: JudgedRun, claim: Claim) -> Judgement:
    """Whether every comparison of a statement turns out as stated, by its adjusted p-value."""
    comparisons = run.comparisons.compared(claim)
    if not comparisons:
        return Judgement(NOT_TESTED, "none of the rows that it is compared with was measured")
    judgement = all_of([_better(run, comparison) for comparison in comparisons])
    if claim.against == "paper" and run.rows.unmeasured:
        missing = ", ".join(run.rows.label(row) for row in run.rows.unmeasured)
        judgement = Judgement(judgement.verdict, f"{judgement.evidence}; not measured on these items: {missing}")
    return judgement


def _better(run: JudgedRun, comparison: Comparison) -> Judgement:
    found = run.comparisons.difference(comparison)
    if isinstance(found, str):
        return Judgement(NOT_TESTED, found)
    p_value = run.comparisons.p_value(comparison)
    assert p_value is not None  # every comparison of a statement belongs to a family
    shown = f"{compared(comparison)} {interval_shown(found)} (unadjusted), {p_shown(p_value)} (Holm)"
    if found.decided_by_few:
        return Judgement(INCONCLUSIVE, f"{few_sources(found.effective_sources)}: {shown}")
    if p_value >= LEVEL:
        return Judgement(INCONCLUSIVE, shown)
    return Judgement(HOLDS if sign(comparison) * found.value > 0 else FAILS, shown)


def order_of_designs(run: JudgedRun, claim: Claim) -> Judgement:
    """What further trainings of the same designs say of an order or an equality.

    The verdict on each comparison of the designs is that on the measured networks where the training seeds bear it out,
    and inconclusive where they do not.

    Args:
        run: what was measured.
        claim: an order or an equality of rows.
    """
    comparisons = run.comparisons.compared(claim)
    if not comparisons:
        return Judgement(NOT_TESTED, "none of the rows that it is compared with was measured")
    return all_of([_borne_out(run, claim, comparison) for comparison in comparisons])


def _borne_out(run: JudgedRun, claim: Claim, comparison: Comparison) -> Judgement:
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
    if isinstance(found, str):
        return Judgement(NOT_TESTED, found)
    margin = margin_of(run, claim, comparison) if claim.kind == "equal" else None
    bounds = (0.0,) if margin is None else (-margin, margin)
    trainings = ", ".join(f"{row} {count}" for row, count in found.seeds.items())
    shown = (
        f"{compared(comparison)} mean over trainings ({trainings}) {three(found.value, *found.ci95, *bounds)}, "
        f"standard error {found.seed_error:.2g} by training seeds, {found.item_error:.2g} by items"
    )
    if found.decided_by_few:
        return Judgement(INCONCLUSIVE, f"{few_sources(found.effective_sources)}: {shown}")
    low, high = found.ci95
    if margin is not None:
        return Judgement(placed(low, high, -margin, margin), shown)
    if low <= 0 <= high:
        return Judgement(INCONCLUSIVE, shown)
    return Judgement(HOLDS if sign(comparison) * found.value > 0 else FAILS, shown)
