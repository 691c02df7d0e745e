"""The paper's claims, judged on one run's estimates or on two runs'."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bench.metrics.summary import Measurement, Summary
from bench.metrics.uncertainty import TOO_FEW_SOURCES, Difference, Known, holm, independent_difference
from bench.tables.claims import Claim, Comparison, all_claims
from bench.tables.verdicts import (
    FAILS,
    HOLDS,
    INCONCLUSIVE,
    LEVEL,
    NOT_TESTED,
    PAPER,
    Outcome,
    Part,
    Verdict,
    all_of,
    p_shown,
    placed,
    verdict_on,
)

__all__ = ["judge", "judge_across", "two_by_two"]

HIGHER_IS_BETTER = ("clip_score", "inception_score")
"""Beginnings of the names of metrics; of all others the lower value is better."""
LATENTS = "T2.i"
"""The claim that is judged by the latents' hashes."""
NOTHING = {"gain": 0.0, "share": 0.0, "ratio": 1.0}
"""What a measure of size is where there is no effect."""


def judge(
    number: int,
    summary: Summary,
    *,
    profile: str,
    latents: Mapping[str, str] | None = None,
    structure: Mapping[str, Outcome] | None = None,
) -> list[Verdict]:
    """Judge a table's claims, and those of the text that its run has the rows for.

    Args:
        number: of the table.
        summary: of the run.
        profile: `paper`, or any other name: then sizes are judged by their order alone, and digits are not.
        latents: a hash of what each row decoded; None where it is not known.
        structure: of claims of that kind, by id.

    Raises:
        ValueError: an id in `structure` is no such claim's.
    """
    unknown = set(structure or {}) - {claim.id for claim in all_claims() if claim.kind == "structure"}
    if unknown:
        raise ValueError(f"no claims on structure: {', '.join(sorted(unknown))}")
    claims = [claim for claim in all_claims() if claim.where == "run" and claim.run == number]
    run = _Run(claims, summary, paper=profile == PAPER)
    outcomes = {key: _outcome(value) for key, value in (structure or {}).items()}
    if latents and len(latents) > 1:
        outcomes[LATENTS] = _same_latents(latents)
    return [verdict_on(claim, profile, *(outcomes.get(claim.id) or run.judged(claim))) for claim in claims]


def judge_across(summaries: Mapping[int, Summary], profile: str) -> list[Verdict]:
    """Judge what compares the runs of two tables, which are taken to be independent.

    Args:
        summaries: by the table's number.
        profile: of all of them.
    """
    claims = [claim for claim in all_claims() if claim.where == "runs"]
    return [verdict_on(claim, profile, *_ratios_grow(claim, summaries)) for claim in claims]


def two_by_two(summary: Summary, metric: str) -> list[tuple[str, Difference | str]]:
    """Branch × size: what each changes in the metric, and by how much the branch changes it more at large.

    Returns:
        Name and paired difference, its p-value as it is, or why there is none.
    """
    vanilla = next(
        (row for row in ("stablediffusion", "paint_by_example") if row in summary.metrics), "stablediffusion"
    )
    effects: dict[str, dict[str, float]] = {
        "branch at base": {"base_mask": 1, "base_nomask": -1},
        "branch at large": {"large_mask": 1, "large_nomask": -1},
        "size with the branch": {"large_mask": 1, "base_mask": -1},
        "size without the branch": {"large_nomask": 1, "base_nomask": -1},
        "training on": {"vanilla_finetuned": 1, vanilla: -1},
        "interaction": {"large_mask": 1, "large_nomask": -1, "base_mask": -1, "base_nomask": 1},
    }
    return [(name, summary.contrast(weights, metric)) for name, weights in effects.items()]


# --- one run ---------------------------------------------------------------------------------------------------------


class _Run:
    """One run's estimates; the p-values of everything in it whose order is judged are adjusted together."""

    def __init__(self, claims: Sequence[Claim], summary: Summary, *, paper: bool) -> None:
        self.summary, self.paper = summary, paper
        ordered = {
            _unordered(comparison): comparison
            for claim in claims
            if claim.kind == "order" or (claim.kind == "size" and not paper and claim.measure in NOTHING)
            for comparison in claim.comparisons
        }
        found = {key: summary.difference(*comparison) for key, comparison in ordered.items()}
        known = {key: difference.p_value for key, difference in found.items() if isinstance(difference, Difference)}
        self.adjusted = dict(zip(known, holm(list(known.values())), strict=True))

    def judged(self, claim: Claim) -> Part:
        ways: dict[str, Callable[[Claim], Part]] = {
            "order": self._order,
            "size": self._size,
            "digits": self._digits,
            "equal": self._equal,
            "structure": lambda claim: (NOT_TESTED, claim.reason),
        }
        return ways[claim.kind](claim)

    # --- order

    def _order(self, claim: Claim) -> Part:
        parts = {comparison: self._better(comparison) for comparison in claim.comparisons}
        tested = [part for part in parts.values() if part[0] != NOT_TESTED]
        if not claim.measured_only or len(tested) in (0, len(parts)):
            return all_of(list(parts.values()))
        verdict, evidence = all_of(tested)
        missing = [old for (_, old, _), (found, _) in parts.items() if found == NOT_TESTED]
        return verdict, f"{evidence}; not measured on these items: {', '.join(missing)}"

    def _better(self, comparison: Comparison) -> Part:
        found = self.summary.difference(*comparison)
        if isinstance(found, str):
            return NOT_TESTED, found
        p_value = self.adjusted[_unordered(comparison)]
        shown = f"{_named(comparison)} {_interval(found)}, {p_shown(p_value)}"
        if p_value >= LEVEL:
            return INCONCLUSIVE, shown
        return (HOLDS if _sign(comparison) * found.value > 0 else FAILS), shown

    # --- size

    def _size(self, claim: Claim) -> Part:
        if claim.measure == "value":
            return all_of([self._value(claim, row, metric) for row in claim.rows for metric in claim.metrics])
        if self.paper:
            return all_of([self._sized(claim, comparison, printed) for comparison, printed in _with_printed(claim)])
        if claim.measure not in NOTHING:
            return NOT_TESTED, "a size in the paper's unit, which has no order to judge on another profile"
        verdict, evidence = self._order(claim)
        return verdict, evidence if verdict == NOT_TESTED else f"the order alone is judged here: {evidence}"

    def _sized(self, claim: Claim, comparison: Comparison, printed: float) -> Part:
        if claim.measure == "resolution":
            return self._resolved(comparison, printed)
        found = self._measured(claim.measure, comparison)
        if isinstance(found, str):
            return NOT_TESTED, found
        _, low, high = found
        least, most = claim.between or (printed - claim.rounding, printed + claim.rounding)
        shown = f"{_named(comparison)} {claim.measure} {_three(*found)}, printed {printed:g}"
        verdict = placed(low, high, least, most)
        # A printed value that the interval happens to cover says nothing where it covers no effect as well.
        if verdict == INCONCLUSIVE and math.isfinite(most) and low > NOTHING[claim.measure]:
            verdict = HOLDS
        return verdict, shown + ("" if claim.between is None else f", claimed {_range(least, most)}")

    def _measured(self, measure: str, comparison: Comparison) -> tuple[float, float, float] | str:
        """Value and 95 % interval of a gain, a share or a ratio; or why there is none."""
        new, old, metric = comparison
        if measure == "gain":
            difference = self.summary.difference(*((new, old) if _sign(comparison) > 0 else (old, new)), metric)
            return difference if isinstance(difference, str) else (difference.value, *difference.ci95)
        above, below = (new, old) if measure == "share" else (old, new)
        ratio = self.summary.ratio(above, below, metric)
        if ratio.value is None or ratio.ci95 is None:
            return ratio.reason or "fewer than two independent sources"
        low, high = ratio.ci95
        return (1 - ratio.value, 1 - high, 1 - low) if measure == "share" else (ratio.value, low, high)

    def _resolved(self, comparison: Comparison, printed: float) -> Part:
        """Whether a difference of the printed size would be told from none."""
        found = self.summary.difference(*comparison)
        if isinstance(found, str):
            return NOT_TESTED, found
        half = (found.ci95[1] - found.ci95[0]) / 2
        items = self.summary.measurement(comparison[0], comparison[2]).n
        shown = f"{_named(comparison)} {_interval(found)}, so ±{half:.2g} at {items:,} items, printed {printed:g}"
        return (HOLDS if half < printed else FAILS), shown

    def _value(self, claim: Claim, row: str, metric: str) -> Part:
        found = self.summary.measurement(row, metric)
        if found.value is None or found.ci95 is None:
            return NOT_TESTED, found.reason or "fewer than two independent sources"
        assert claim.between is not None
        shown = f"{metric} of {row} {_three(found.value, *found.ci95)}, claimed {_range(*claim.between)}"
        if not self.paper:
            return NOT_TESTED, f"{shown}, of the paper's models"
        return placed(*found.ci95, *claim.between), shown

    # --- digits and equality

    def _digits(self, claim: Claim) -> Part:
        if not self.paper:
            return NOT_TESTED, "digits are compared on the paper profile alone"
        rows = [all_of(self._printed_values(claim, row)) for row in claim.rows]
        for verdict in (HOLDS, NOT_TESTED, FAILS):
            chosen = [evidence for found, evidence in rows if found == verdict]
            if chosen:
                return verdict, " | ".join(chosen)
        raise AssertionError("a digit is there or not")

    def _printed_values(self, claim: Claim, row: str) -> list[Part]:
        parts = []
        for metric, printed, rounding in zip(claim.metrics, claim.printed, claim.roundings, strict=True):
            found = self.summary.measurement(row, metric)
            if found.value is None:
                parts.append((NOT_TESTED, str(found.reason)))
                continue
            allowed = max(rounding, 2 * (found.stderr or 0.0))
            shown = f"{metric} of {row} {found.value:.4g}, printed {printed:g}, within ±{allowed:.2g}"
            parts.append((HOLDS if abs(found.value - printed) <= allowed else FAILS, shown))
        return parts

    def _equal(self, claim: Claim) -> Part:
        return all_of([self._same(claim, comparison) for comparison in claim.comparisons])

    def _same(self, claim: Claim, comparison: Comparison) -> Part:
        """Whether two rows are equal within the margin, by two one-sided tests.

        Schuirmann, "A comparison of the two one-sided tests procedure and the power approach", 1987; here as the 95 %
        interval inside the margin: 2.5 % on either side, where 90 % would be 5 %.
        """
        found = self.summary.difference(*comparison)
        if isinstance(found, str):
            return NOT_TESTED, found
        _, old, metric = comparison
        margin = claim.margin.get(metric) if self.paper else None
        if margin is None:
            share = claim.margin_share[metric] if self.paper else claim.margin_mini
            reference = self.summary.measurement(old, metric).value
            assert reference is not None  # it has a difference
            margin = share * abs(reference)
        return placed(*found.ci95, -margin, margin), f"{_named(comparison)} {_interval(found)}, margin ±{margin:.3g}"


def _same_latents(latents: Mapping[str, str]) -> Part:
    kinds: dict[str, list[str]] = {}
    for row, found in latents.items():
        kinds.setdefault(found, []).append(row)
    shown = "; ".join(f"{found[:12]} {', '.join(rows)}" for found, rows in kinds.items())
    return (HOLDS if len(kinds) == 1 else FAILS), shown


def _outcome(value: Outcome) -> Part:
    if isinstance(value, str):
        return NOT_TESTED, value
    if isinstance(value, tuple):
        return (HOLDS if value[0] else FAILS), value[1]
    return (HOLDS if value else FAILS), "exact, measured beside the table"


# --- two runs --------------------------------------------------------------------------------------------------------


def _ratios_grow(claim: Claim, summaries: Mapping[int, Summary]) -> Part:
    """Whether each row's ratio is larger in the second table, by the difference of logarithms."""
    missing = [f"Table {number}" for number in claim.against if number not in summaries]
    if missing:
        return NOT_TESTED, f"no run of {', '.join(missing)}"
    reasons, tested = [], []
    for row in claim.rows:
        for metric in claim.metrics:
            found = [summaries[number].ratio(above, row, metric) for number, above in claim.against.items()]
            first, second = found
            here, there = _logarithm(first), _logarithm(second)
            if here is None or there is None:
                reasons += [one.reason or TOO_FEW_SOURCES for one in found if one.spread is None]
                continue
            difference = independent_difference(there, here)
            if isinstance(difference, str):
                reasons.append(difference)
                continue
            tested.append((difference, f"{metric} of {row} falls {first.value:.3g}-fold and {second.value:.3g}-fold"))
    parts = [(NOT_TESTED, reason) for reason in dict.fromkeys(reasons)]
    adjusted = holm([difference.p_value for difference, _ in tested])
    for (difference, shown), p_value in zip(tested, adjusted, strict=True):
        bounds = _three(*(math.exp(bound) for bound in (difference.value, *difference.ci95)))
        verdict = INCONCLUSIVE if p_value >= LEVEL else HOLDS if difference.value > 0 else FAILS
        parts.append((verdict, f"{shown}, ratio of the two {bounds}, {p_shown(p_value)}"))
    return all_of(parts)


def _logarithm(found: Measurement) -> Known | None:
    """The logarithm of a ratio, its error by the delta method; None where the ratio has none."""
    if found.value is None or found.spread is None:
        return None
    return Known(math.log(found.value), replace(found.spread, stderr=found.spread.stderr / found.value))


# --- words -----------------------------------------------------------------------------------------------------------


def _with_printed(claim: Claim) -> list[tuple[Comparison, float]]:
    return list(zip(claim.comparisons, claim.printed, strict=True))


def _unordered(comparison: Comparison) -> Comparison:
    new, old, metric = comparison
    return min(new, old), max(new, old), metric


def _sign(comparison: Comparison) -> int:
    return 1 if comparison[2].startswith(HIGHER_IS_BETTER) else -1


def _named(comparison: Comparison) -> str:
    new, old, metric = comparison
    return f"{metric} {new} - {old}:"


def _three(value: float, low: float, high: float) -> str:
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"


def _interval(found: Difference) -> str:
    return f"{found.value:+.3g} [{found.ci95[0]:+.3g}, {found.ci95[1]:+.3g}]"


def _range(least: float, most: float) -> str:
    if math.isinf(most):
        return f"at least {least:g}"
    return f"at most {most:g}" if math.isinf(least) else f"{least:g} to {most:g}"
