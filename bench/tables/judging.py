"""Judges the statements of `claims.yaml` on one run's estimates, or on two runs'.

`judge` goes through a table's statements; each kind of statement has a module: `orders`, `sizes` (with digits) and
`equality`. What all of them need of a run is a `JudgedRun`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bench.metrics.summary import Measurement, Summary
from bench.metrics.uncertainty import FEWEST_EFFECTIVE, TOO_FEW_SOURCES, Difference, Known, holm, independent_difference
from bench.tables.claims import Claim, all_claims
from bench.tables.equality import judge_equality
from bench.tables.judged_run import JudgedRun, few_sources, three
from bench.tables.orders import judge_order, order_of_designs
from bench.tables.sizes import judge_digits, judge_size
from bench.tables.verdicts import (
    FAILS,
    HOLDS,
    INCONCLUSIVE,
    LEVEL,
    NOT_TESTED,
    PAPER,
    Judgement,
    Outcome,
    Verdict,
    all_of,
    not_judged,
    p_shown,
    placed,
    verdict_on,
)

__all__ = ["DecodedLatents", "at_least", "exact_on", "judge", "judge_across"]

LATENTS = "T2.i"
"""The statement that is judged by what each row decoded."""
SAMPLED = "sampled"


@dataclass(frozen=True)
class DecodedLatents:
    """What a row decoded."""

    kind: str
    """One of `bench.generation.decoding.LATENTS`."""
    hash: str
    """Of the values that its decoder received."""
    items: int
    """How many items it was observed on."""


def judge(
    run: JudgedRun,
    *,
    latents: Mapping[str, DecodedLatents] | None = None,
    structure: Mapping[str, Outcome] | None = None,
) -> list[Verdict]:
    """Judge a table's statements, and those of the text that its run has the rows for.

    Args:
        run: what was measured.
        latents: what each row decoded; None where that is not known.
        structure: outcomes of statements that no number of the table decides, by id.

    Raises:
        ValueError: an id in `structure` is no such statement's.
    """
    outside = {claim.id for claim in all_claims() if _is_decided_outside(claim)}
    unknown = set(structure or {}) - outside
    if unknown:
        raise ValueError(f"no statements on structure: {', '.join(sorted(unknown))}")
    outcomes = {key: _judged_outside(value) for key, value in (structure or {}).items()}
    if latents:
        outcomes[LATENTS] = _same_latents(latents)
    return [_verdict(run, claim, outcomes.get(claim.id)) for claim in run.claims]


def _verdict(run: JudgedRun, claim: Claim, outcome: Judgement | None) -> Verdict:
    if _is_decided_outside(claim):
        judgement = outcome or Judgement(NOT_TESTED, claim.reason)
        if claim.kind == "size" and run.scope != PAPER and judgement.verdict != NOT_TESTED:
            judgement = Judgement(not_judged(run.scope), judgement.evidence)
        return verdict_on(claim, run.scope, judgement)
    ways: dict[str, Callable[[JudgedRun, Claim], Judgement]] = {
        "order": judge_order,
        "size": judge_size,
        "digits": judge_digits,
        "equal": judge_equality,
    }
    judgement = ways[claim.kind](run, claim)
    if claim.against:
        claim = replace(claim, text=claim.text.format(rows=run.named(claim)))
    design = order_of_designs(run, claim) if claim.design else None
    return verdict_on(claim, run.scope, run.with_recipes(claim, judgement), design)


def _is_decided_outside(claim: Claim) -> bool:
    """Whether a statement's outcome is measured beside the table: structure, and sizes of no table's metric."""
    return claim.kind == "structure" or (claim.kind == "size" and claim.where == "run" and not claim.measure)


def _judged_outside(value: Outcome) -> Judgement:
    if isinstance(value, Judgement):
        return value
    if isinstance(value, str):
        return Judgement(NOT_TESTED, value)
    return Judgement(HOLDS if value else FAILS, "an exact comparison, made beside the table")


def at_least(claim_id: str, value: float, ci95: tuple[float, float], effective_sources: float, shown: str) -> Judgement:
    """The judgement of a statement that something is present, from its value and the interval of that.

    Args:
        claim_id: a statement with a least value, `at_least`.
        value: what was measured.
        ci95: its 95 % interval.
        effective_sources: how many sources of equal weight the interval rests on.
        shown: what the value is, in words.
    """
    claim = next(claim for claim in all_claims() if claim.id == claim_id)
    evidence = f"{shown} {three(value, *ci95, claim.at_least)}, counted as present from {claim.at_least:g} on"
    if effective_sources < FEWEST_EFFECTIVE:
        return Judgement(INCONCLUSIVE, f"{few_sources(effective_sources)}: {evidence}")
    return Judgement(placed(*ci95, claim.at_least, math.inf), evidence)


def exact_on(is_exact: bool, items: int) -> Judgement:
    """The judgement of a statement that was tested value by value on some items."""
    return Judgement(HOLDS if is_exact else FAILS, f"compared value by value on {items:,} items")


def _same_latents(latents: Mapping[str, DecodedLatents]) -> Judgement:
    """Whether the rows that decode sampled latents decode the same ones; the other rows are named."""
    hashes: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    for row, found in latents.items():
        if found.kind == SAMPLED:
            hashes.setdefault(found.hash, []).append(row)
        else:
            others.setdefault(found.kind, []).append(row)
    if sum(len(rows) for rows in hashes.values()) < 2:
        return Judgement(NOT_TESTED, "fewer than two rows decode sampled latents")
    items = min(found.items for found in latents.values() if found.kind == SAMPLED)
    shown = [f"observed on {items:,} items"]
    shown += [f"latents with hash {found[:12]} in {', '.join(rows)}" for found, rows in hashes.items()]
    shown += [f"latents of the kind {kind} in {', '.join(rows)}" for kind, rows in others.items()]
    return Judgement(HOLDS if len(hashes) == 1 else FAILS, "; ".join(shown))


def judge_across(summaries: Mapping[int, Summary], profile: str, *, error: str = "pre_error") -> list[Verdict]:
    """Judge what compares the runs of two tables, which are taken to be independent.

    Args:
        summaries: the runs' estimates, by the table's number.
        profile: the scope of all of them.
        error: the metric that statements on the error over known pixels are judged by.
    """
    claims = [claim for claim in all_claims() if claim.where == "runs"]
    return [verdict_on(claim, profile, _ratios_grow(claim, summaries, error)) for claim in claims]


def _ratios_grow(claim: Claim, summaries: Mapping[int, Summary], error: str) -> Judgement:
    """Whether each row's ratio is larger in the second table, by the difference of logarithms."""
    missing = [f"Table {number}" for number in claim.against_tables if number not in summaries]
    if missing:
        return Judgement(NOT_TESTED, f"no run of {', '.join(missing)}")
    parts: list[Judgement] = []
    tested: list[tuple[Difference, str]] = []
    for row in claim.rows:
        unbounded = _unbounded(claim, summaries, row, error)
        if unbounded is not None:
            parts.append(unbounded)
            continue
        ratios = [summaries[number].ratio(above, row, error) for number, above in claim.against_tables.items()]
        difference = _ratio_of_ratios(*ratios)
        if isinstance(difference, str):
            parts.append(Judgement(NOT_TESTED, difference))
        else:
            falls = " and ".join(f"{ratio.value:.3g}-fold" for ratio in ratios)
            tested.append((difference, f"{error} of {row} falls {falls}"))
    adjusted = holm([difference.p_value for difference, _ in tested])
    for (difference, falls), p_value in zip(tested, adjusted, strict=True):
        bounds = three(*(math.exp(bound) for bound in (difference.value, *difference.ci95)), 1.0)
        shown = f"{falls}, ratio of the two {bounds} (unadjusted), {p_shown(p_value)} (Holm)"
        verdict = INCONCLUSIVE if p_value >= LEVEL else HOLDS if difference.value > 0 else FAILS
        if difference.decided_by_few:
            verdict, shown = INCONCLUSIVE, f"{few_sources(difference.effective_sources)}: {shown}"
        parts.append(Judgement(verdict, shown))
    return all_of(list(dict.fromkeys(parts)))


def _unbounded(claim: Claim, summaries: Mapping[int, Summary], row: str, error: str) -> Judgement | None:
    """The judgement of a row whose error is exactly 0 in one of the tables, so that its ratio there has no bound."""
    exact = [number for number in claim.against_tables if summaries[number].measurement(row, error).value == 0]
    if not exact:
        return None
    shown = f"{error} of {row} is exactly 0 in Table {' and Table '.join(str(number) for number in exact)}"
    if len(exact) == len(claim.against_tables):
        return Judgement(NOT_TESTED, f"{shown}, so that neither ratio has a bound")
    shown += ", so that its ratio there has no bound"
    difference = summaries[exact[0]].difference(claim.against_tables[exact[0]], row, error)
    if isinstance(difference, str):
        return Judgement(NOT_TESTED, difference)
    if difference.decided_by_few:
        return Judgement(INCONCLUSIVE, f"{few_sources(difference.effective_sources)}: {shown}")
    if difference.p_value >= LEVEL:
        return Judgement(INCONCLUSIVE, shown)
    return Judgement(HOLDS if exact[0] == max(claim.against_tables) else FAILS, shown)


def _ratio_of_ratios(first: Measurement, second: Measurement) -> Difference | str:
    """The logarithm of the second ratio minus that of the first, of independent items; or why there is none."""
    logarithms = []
    for ratio in (first, second):
        if ratio.value is None or ratio.spread is None:
            return ratio.reason or ratio.stderr_reason or TOO_FEW_SOURCES
        if ratio.value <= 0:
            return f"a ratio of errors must be above 0 to be compared: found {ratio.value:.3g}"
        spread = replace(ratio.spread, stderr=ratio.spread.stderr / ratio.value)  # by the delta method
        logarithms.append(Known(math.log(ratio.value), spread))
    return independent_difference(logarithms[1], logarithms[0])
