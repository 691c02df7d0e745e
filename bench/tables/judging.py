"""Judging of those statements in `claims.yaml` that are decided by the numbers of one run or of two runs.

`judge` judges all statements that the run of one table decides. It calls three modules, which take their numbers from a
`JudgedRun`: `orders` judges statements on an order, `equality` judges statements on an equality, and `sizes` judges
statements on a size or on printed digits. `judge_across` judges statements that compare the runs of two tables.
Statements that are decided by the paper's printed numbers alone are judged in `bench.tables.printed`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bench.metrics.summary import Measurement, Summary
from bench.metrics.uncertainty import TOO_FEW_SOURCES, Difference, Known, holm, independent_difference
from bench.runtime.not_available import NotAvailable
from bench.tables.claims import Claim, all_claims
from bench.tables.equality import judge_equality
from bench.tables.judged_run import JudgedRun, three
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
    weighed,
)

__all__ = ["DecodedLatents", "at_least", "exact_on", "judge", "judge_across"]

LATENTS = "T2.i"
"""Id of the statement that is judged by comparing the latents that each row decoded."""
SAMPLED = "sampled"


@dataclass(frozen=True)
class DecodedLatents:
    """The identity of the latents that a row decoded, as observed on some items."""

    kind: str
    """Kind of the latents: one of the names in `bench.generation.decoding.LATENTS`, such as `sampled`."""
    hash: str
    """Hash of the values that the row's decoder received. Rows with equal hashes decoded equal latents."""
    items: int
    """Number of items whose latents were observed."""


def judge(
    run: JudgedRun,
    *,
    latents: Mapping[str, DecodedLatents] | None = None,
    structure: Mapping[str, Outcome] | None = None,
) -> list[Verdict]:
    """Judge all statements that the run of a table decides. Some of these statements are from the paper's text.

    Args:
        run: measured run.
        latents: latents that each row decoded; the keys are the rows. None if the latents are unknown.
        structure: outcomes of statements that the numbers of a table cannot decide. The keys are the ids of these
            statements. A statement of this type whose outcome is absent is "not tested".

    Raises:
        ValueError: `structure` contains the id of a statement that the numbers of a table decide, or an unknown id.
    """
    outside = {claim.id for claim in all_claims() if _is_decided_outside(claim)}
    unknown = set(structure or {}) - outside
    if unknown:
        raise ValueError(
            "the argument structure: expected ids of statements that are decided outside a table, found "
            f"{', '.join(sorted(unknown))}"
        )
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
    """Return whether the caller must supply the outcome of a statement, because no number of a table decides it.

    This is the case for statements on structure, and for statements on a size that no metric of a table measures.
    """
    return claim.kind == "structure" or (claim.kind == "size" and claim.where == "run" and not claim.measure)


def _judged_outside(value: Outcome) -> Judgement:
    if isinstance(value, Judgement):
        return value
    if isinstance(value, NotAvailable):
        return Judgement(NOT_TESTED, value.reason)
    return Judgement(HOLDS if value else FAILS, "an exact comparison, made outside the table")


def at_least(claim_id: str, value: float, ci95: tuple[float, float], effective_sources: float, shown: str) -> Judgement:
    """Judge a statement that an effect is present, from a measured value and its interval.

    The statement holds if the whole interval lies at or above the smallest value that counts as present. It does not
    hold if the whole interval lies below this value. Otherwise, or if there are too few effective sources, it is
    inconclusive.

    Args:
        claim_id: id of the statement; its field `at_least` is the smallest value that counts as present.
        value: measured value.
        ci95: 95 % interval of the value.
        effective_sources: number of effective sources from which the interval was computed.
        shown: description of the value in words, for the evidence.
    """
    claim = next(claim for claim in all_claims() if claim.id == claim_id)
    evidence = f"{shown} {three(value, *ci95, claim.at_least)}, counted as present from {claim.at_least:g} on"
    return weighed(placed(*ci95, claim.at_least, math.inf), evidence, effective_sources)


def exact_on(is_exact: bool, items: int) -> Judgement:
    """Return the judgement on a statement that some values are equal, after every single value was compared.

    Args:
        is_exact: whether all compared values are equal.
        items: number of items whose values were compared.
    """
    return Judgement(HOLDS if is_exact else FAILS, f"compared value by value on {items:,} items")


def _same_latents(latents: Mapping[str, DecodedLatents]) -> Judgement:
    """Judge whether all rows that decode sampled latents decode the same latents.

    The evidence also names the rows that decode latents from another origin. The statement does not concern these rows.
    """
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
    """Judge the statements that compare the runs of two tables. The two runs are assumed to be independent.

    Args:
        summaries: measured values of each run. The keys are the numbers of the runs' tables.
        profile: scope of all verdicts, such as `mini`.
        error: name of the metric that serves as the error over known pixels.
    """
    claims = [claim for claim in all_claims() if claim.where == "runs"]
    return [verdict_on(claim, profile, _ratios_grow(claim, summaries, error)) for claim in claims]


def _ratios_grow(claim: Claim, summaries: Mapping[int, Summary], error: str) -> Judgement:
    """Judge whether the error of each row falls by a larger factor in the second table than in the first table.

    The factor of a row in a table is a ratio: the error of the table's numerator row, which `claim.against_tables`
    names, divided by the error of this row. The logarithms of the row's two factors are compared. The p-values of all
    rows are adjusted by Holm's method.

    Args:
        claim: statement that compares two tables.
        summaries: measured values of each run. The keys are the numbers of the runs' tables.
        error: name of the metric that is the error.
    """
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
        if isinstance(difference, NotAvailable):
            parts.append(Judgement(NOT_TESTED, difference.reason))
        else:
            factors = " and ".join(f"{ratio.value:.3g}" for ratio in ratios)
            tested.append((difference, f"{error} of {row} falls by the factors {factors}"))
    adjusted = holm([difference.p_value for difference, _ in tested])
    for (difference, falls), p_value in zip(tested, adjusted, strict=True):
        bounds = three(*(math.exp(bound) for bound in (difference.value, *difference.ci95)), 1.0)
        shown = f"{falls}, ratio of the two {bounds} (unadjusted), {p_shown(p_value)} (Holm)"
        verdict = INCONCLUSIVE if p_value >= LEVEL else HOLDS if difference.value > 0 else FAILS
        parts.append(weighed(verdict, shown, difference.effective_sources))
    return all_of(list(dict.fromkeys(parts)))


def _unbounded(claim: Claim, summaries: Mapping[int, Summary], row: str, error: str) -> Judgement | None:
    """Judge a row whose error is exactly 0 in one or both tables. In such a table, the row's ratio is infinite.

    The result is None if there is no such table.
    """
    exact = [number for number in claim.against_tables if summaries[number].measurement(row, error).value == 0]
    if not exact:
        return None
    shown = f"{error} of {row} is exactly 0 in Table {' and Table '.join(str(number) for number in exact)}"
    if len(exact) == len(claim.against_tables):
        return Judgement(NOT_TESTED, f"{shown}, so that neither ratio has a bound")
    shown += ", so that its ratio there has no bound"
    difference = summaries[exact[0]].difference(claim.against_tables[exact[0]], row, error)
    if isinstance(difference, NotAvailable):
        return Judgement(NOT_TESTED, difference.reason)
    verdict = HOLDS if exact[0] == max(claim.against_tables) else FAILS
    return weighed(INCONCLUSIVE if difference.p_value >= LEVEL else verdict, shown, difference.effective_sources)


def _ratio_of_ratios(first: Measurement, second: Measurement) -> Difference | NotAvailable:
    """Return the logarithm of the second ratio minus the logarithm of the first ratio.

    The two ratios are assumed to come from independent items. If one of the ratios has no value or no standard error,
    or if its value is 0 or below, the result is the reason why there is no difference.
    """
    logarithms = []
    for ratio in (first, second):
        if ratio.value is None or ratio.spread is None:
            return NotAvailable(ratio.reason or ratio.stderr_reason or TOO_FEW_SOURCES)
        if ratio.value <= 0:
            return NotAvailable(f"a ratio of errors must be above 0 to be compared: found {ratio.value:.3g}")
        spread = replace(ratio.spread, stderr=ratio.spread.stderr / ratio.value)  # by the delta method
        logarithms.append(Known(math.log(ratio.value), spread))
    return independent_difference(logarithms[1], logarithms[0])
