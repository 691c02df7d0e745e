"""What the judges of statements need of one run, and how they write numbers."""

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

__all__ = ["ERROR", "JudgedRun", "compared", "digits_beside", "few_sources", "interval_shown", "sign", "three"]

ERROR = "pre_error"
"""What statements call the error over known pixels, whichever of its readings a run puts first."""
FEWEST_DIGITS, MOST_DIGITS = 3, 17
"""Significant digits of numbers in evidence."""
HIGHER_IS_BETTER = ("clip_score", "inception_score")
"""Beginnings of the names of metrics of which the higher value is better; of all others it is the lower one."""


@dataclass(frozen=True)
class JudgedRun:
    """One run of a table, ready to be judged."""

    number: int
    """The table's number in the paper."""
    summary: Summary
    scope: str
    """`paper` for the paper's own sizes; any other scope judges no sizes and no digits."""
    rows: TableRows
    seeds: TrainingSeeds = field(default_factory=NoSeeds)
    error: str = ERROR
    """The reading of the error over known pixels that the statements are judged by."""

    @property
    def is_paper(self) -> bool:
        return self.scope == PAPER

    @cached_property
    def claims(self) -> list[Claim]:
        """The statements that this table's run decides."""
        found = [claim for claim in all_claims() if claim.where == "run" and claim.run == self.number]
        return [_by_reading(claim, self.error) for claim in found]

    @cached_property
    def comparisons(self) -> Comparisons:
        return Comparisons(self.summary, self.rows, self.claims)

    def named(self, claim: Claim) -> str:
        """The labels of the rows that a statement on one row against many compares it with."""
        others = dict.fromkeys(comparison.other for comparison in self.comparisons.compared(claim))
        return ", ".join(self.rows.label(row) for row in others) or "none"

    def with_recipes(self, claim: Claim, judgement: Judgement) -> Judgement:
        """The judgement with how many training recipes were tried for the rows, where the numbers differ."""
        rows = dict.fromkeys(row for one in self.comparisons.compared(claim) for row in (one.better, one.other))
        tried = {row: count for row in rows if (count := self.seeds.recipes_tried(row)) is not None}
        if not claim.design or len(set(tried.values())) < 2:
            return judgement
        shown = ", ".join(f"{row} {count}" for row, count in tried.items())
        return Judgement(judgement.verdict, f"{judgement.evidence}; training recipes tried: {shown}")


def _by_reading(claim: Claim, error: str) -> Claim:
    """A statement on the error over known pixels, about one of its readings."""
    if error == ERROR or ERROR not in claim.metrics:
        return claim

    def renamed(margins: Mapping[str, float]) -> dict[str, float]:
        return {error if name == ERROR else name: value for name, value in margins.items()}

    metrics = tuple(error if name == ERROR else name for name in claim.metrics)
    return replace(claim, metrics=metrics, margin=renamed(claim.margin), margin_share=renamed(claim.margin_share))


def sign(comparison: Comparison) -> int:
    """1 where the higher value of the metric is better, else -1."""
    return 1 if comparison.metric.startswith(HIGHER_IS_BETTER) else -1


def compared(comparison: Comparison) -> str:
    """The comparison as evidence names it."""
    return f"{comparison.metric} {comparison.better} - {comparison.other}:"


def interval_shown(found: Difference, *bounds: float) -> str:
    """A difference with its 95 % interval, signs included, with as many digits as `digits_beside` says."""
    digits = digits_beside(found.ci95, bounds)
    return f"{found.value:+.{digits}g} [{found.ci95[0]:+.{digits}g}, {found.ci95[1]:+.{digits}g}]"


def three(value: float, low: float, high: float, *bounds: float) -> str:
    """A value with its interval, with as many digits as `digits_beside` says."""
    digits = digits_beside((low, high), bounds)
    return f"{value:.{digits}g} [{low:.{digits}g}, {high:.{digits}g}]"


def digits_beside(numbers: Sequence[float], bounds: Sequence[float]) -> int:
    """The fewest significant digits, at least 3, at which every number is printed on its own side of every bound."""

    def side(number: float, bound: float) -> int:
        return int(number > bound) - int(number < bound)

    def keeps_sides(digits: int) -> bool:
        return all(
            side(float(f"{number:.{digits}g}"), bound) == side(number, bound) for number in numbers for bound in bounds
        )

    return next((digits for digits in range(FEWEST_DIGITS, MOST_DIGITS) if keeps_sides(digits)), MOST_DIGITS)


def few_sources(effective: float) -> str:
    """Why a number decides nothing that a handful of sources decides."""
    return f"{effective:.1f} effective sources decide it"
