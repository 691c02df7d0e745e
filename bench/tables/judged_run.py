"""Data of one run with which statements are judged, and the format of numbers in evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from bench.metrics.summary import Summary
from bench.metrics.uncertainty import Difference
from bench.tables.claims import Claim, Comparison, all_claims
from bench.tables.comparisons import Comparisons, TableRows
from bench.tables.designs import NoSeeds, TrainingSeeds
from bench.tables.verdicts import PAPER, Judgement

__all__ = ["ERROR", "JudgedRun", "compared", "digits_beside", "interval_shown", "sign", "three"]

ERROR = "pre_error"
"""Name of the error over known pixels in statements, for whichever reading a run shows as its headline."""
FEWEST_DIGITS, MOST_DIGITS = 3, 17
"""Smallest and largest number of significant digits in evidence."""
HIGHER_IS_BETTER = ("clip_score", "inception_score")
"""Prefixes of the names of metrics for which a higher value is better; for all others a lower value is better."""


@dataclass(frozen=True)
class JudgedRun:
    """One run of a table, with everything that is needed to judge statements on it."""

    number: int
    """Number of the table in the paper."""
    summary: Summary
    scope: str
    """Scope of the verdicts: `paper` for the paper's own sizes; in any other scope sizes and digits are not judged."""
    rows: TableRows
    seeds: TrainingSeeds = field(default_factory=NoSeeds)
    error: str = ERROR
    """Reading of the error over known pixels by which the statements are judged."""

    @property
    def is_paper(self) -> bool:
        return self.scope == PAPER

    @cached_property
    def claims(self) -> list[Claim]:
        """Statements that this table's run decides."""
        found = [claim for claim in all_claims() if claim.where == "run" and claim.run == self.number]
        return [_by_reading(claim, self.error) for claim in found]

    @cached_property
    def comparisons(self) -> Comparisons:
        return Comparisons(self.summary, self.rows, self.claims)

    def named(self, claim: Claim) -> str:
        """Return the labels of the rows with which a statement compares its row."""
        others = dict.fromkeys(comparison.other for comparison in self.comparisons.compared(claim))
        return ", ".join(self.rows.label(row) for row in others) or "none"

    def with_recipes(self, claim: Claim, judgement: Judgement) -> Judgement:
        """Return the judgement, with the numbers of training recipes tried for its rows if these numbers differ."""
        rows = dict.fromkeys(row for one in self.comparisons.compared(claim) for row in (one.better, one.other))
        tried = {row: count for row in rows if (count := self.seeds.recipes_tried(row)) is not None}
        if not claim.design or len(set(tried.values())) < 2:
            return judgement
        shown = ", ".join(f"{row} {count}" for row, count in tried.items())
        return Judgement(judgement.verdict, f"{judgement.evidence}; training recipes tried: {shown}")


def _by_reading(claim: Claim, error: str) -> Claim:
    """Return a statement in which the error over known pixels is replaced by one of its readings."""
    if error == ERROR or ERROR not in claim.metrics:
        return claim

    def renamed(margins: Mapping[str, float]) -> dict[str, float]:
        return {error if name == ERROR else name: value for name, value in margins.items()}

    metrics = tuple(error if name == ERROR else name for name in claim.metrics)
    return replace(claim, metrics=metrics, margin=renamed(claim.margin), margin_share=renamed(claim.margin_share))


def sign(comparison: Comparison) -> int:
    """Return 1 if a higher value of the metric is better, or else -1."""
    return 1 if comparison.metric.startswith(HIGHER_IS_BETTER) else -1


def compared(comparison: Comparison) -> str:
    """Return the name of a comparison in evidence."""
    return f"{comparison.metric} {comparison.better} - {comparison.other}:"


def interval_shown(found: Difference, *bounds: float) -> str:
    """Return a difference and its 95 % interval with signs, and with the digits that `digits_beside` gives."""
    digits = digits_beside(found.ci95, bounds)
    return f"{found.value:+.{digits}g} [{found.ci95[0]:+.{digits}g}, {found.ci95[1]:+.{digits}g}]"


def three(value: float, low: float, high: float, *bounds: float) -> str:
    """Return a value and its interval, with the number of digits that `digits_beside` gives."""
    digits = digits_beside((low, high), bounds)
    return f"{value:.{digits}g} [{low:.{digits}g}, {high:.{digits}g}]"


def digits_beside(numbers: Sequence[float], bounds: Sequence[float]) -> int:
    """Return the smallest number of digits, at least 3, at which no printed number changes its side of any bound."""

    def side(number: float, bound: float) -> int:
        return int(number > bound) - int(number < bound)

    def is_enough(digits: int) -> bool:
        return all(
            side(float(f"{number:.{digits}g}"), bound) == side(number, bound) for number in numbers for bound in bounds
        )

    return next((digits for digits in range(FEWEST_DIGITS, MOST_DIGITS) if is_enough(digits)), MOST_DIGITS)
