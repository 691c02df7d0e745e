"""The data with which statements on one run are judged, and functions that format the numbers in the evidence."""

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
"""Name in `claims.yaml` of the error over known pixels.

Some runs show a different metric as this error, such as `pre_error_released`. For these runs, the name of that metric
replaces this name.
"""
FEWEST_DIGITS, MOST_DIGITS = 3, 17
"""Smallest and largest number of significant digits with which a number is shown in evidence."""
HIGHER_IS_BETTER = ("clip_score", "inception_score")
"""Beginnings of the full names of metrics for which a higher value is better.

For each other metric that statements use, a lower value is better.
"""


@dataclass(frozen=True)
class JudgedRun:
    """One run of a table, with everything that is needed to judge statements on it."""

    number: int
    """Number of the table in the paper."""
    summary: Summary
    scope: str
    """Scope of the verdicts, such as `mini`. Only in the scope `paper` are sizes and printed digits judged."""
    rows: TableRows
    seeds: TrainingSeeds = field(default_factory=NoSeeds)
    error: str = ERROR
    """Name of the metric that serves as the error over known pixels, such as `pre_error_released`."""

    @property
    def is_paper(self) -> bool:
        return self.scope == PAPER

    @cached_property
    def claims(self) -> list[Claim]:
        """Statements that the run of this table decides. The metric that `error` names replaces `pre_error` in them."""
        found = [claim for claim in all_claims() if claim.where == "run" and claim.run == self.number]
        return [_by_reading(claim, self.error) for claim in found]

    @cached_property
    def comparisons(self) -> Comparisons:
        return Comparisons(self.summary, self.rows, self.claims)

    def named(self, claim: Claim) -> str:
        """Return, as one text, the labels of the rows with which a statement compares the row that should be better.

        The text is `none` if there are no such rows.
        """
        others = dict.fromkeys(comparison.other for comparison in self.comparisons.compared(claim))
        return ", ".join(self.rows.label(row) for row in others) or "none"

    def with_recipes(self, claim: Claim, judgement: Judgement) -> Judgement:
        """Return a judgement whose evidence also says how many training recipes were tried for each compared row.

        The judgement is returned unchanged if all known numbers are equal, or if the statement does not compare
        designs.
        """
        rows = dict.fromkeys(row for one in self.comparisons.compared(claim) for row in (one.better, one.other))
        tried = {row: count for row in rows if (count := self.seeds.recipes_tried(row)) is not None}
        if not claim.design or len(set(tried.values())) < 2:
            return judgement
        shown = ", ".join(f"{row} {count}" for row, count in tried.items())
        return Judgement(judgement.verdict, f"{judgement.evidence}; training recipes tried: {shown}")


def _by_reading(claim: Claim, error: str) -> Claim:
    """Return a copy of a statement in which the metric that `error` names replaces `pre_error`."""
    if error == ERROR or ERROR not in claim.metrics:
        return claim

    def renamed(margins: Mapping[str, float]) -> dict[str, float]:
        return {error if name == ERROR else name: value for name, value in margins.items()}

    metrics = tuple(error if name == ERROR else name for name in claim.metrics)
    return replace(claim, metrics=metrics, margin=renamed(claim.margin), margin_share=renamed(claim.margin_share))


def sign(comparison: Comparison) -> int:
    """Return 1 if a higher value of the comparison's metric is better, and -1 if a lower value is better."""
    return 1 if comparison.metric.startswith(HIGHER_IS_BETTER) else -1


def compared(comparison: Comparison) -> str:
    """Return the text that names a comparison in evidence, such as `fid large_mask - base_mask:`."""
    return f"{comparison.metric} {comparison.better} - {comparison.other}:"


def interval_shown(found: Difference, *bounds: float) -> str:
    """Return a difference and its 95 % interval as text, with signs.

    Args:
        found: difference.
        bounds: bounds with which the ends of the interval are compared; `digits_beside` chooses the number of digits.
    """
    digits = digits_beside(found.ci95, bounds)
    return f"{found.value:+.{digits}g} [{found.ci95[0]:+.{digits}g}, {found.ci95[1]:+.{digits}g}]"


def three(value: float, low: float, high: float, *bounds: float) -> str:
    """Return a value and its interval as text.

    Args:
        value: value.
        low: lower end of the interval.
        high: upper end of the interval.
        bounds: bounds with which the ends of the interval are compared; `digits_beside` chooses the number of digits.
    """
    digits = digits_beside((low, high), bounds)
    return f"{value:.{digits}g} [{low:.{digits}g}, {high:.{digits}g}]"


def digits_beside(numbers: Sequence[float], bounds: Sequence[float]) -> int:
    """Return the smallest number of significant digits, from 3 to 17, at which rounding moves no number across a bound.

    A number that is above a bound stays above the bound after rounding. A number that is below a bound stays below the
    bound, and a number that is equal to a bound stays equal.

    Args:
        numbers: numbers that are shown.
        bounds: bounds with which a reader compares the numbers.
    """

    def side(number: float, bound: float) -> int:
        return int(number > bound) - int(number < bound)

    def is_enough(digits: int) -> bool:
        return all(
            side(float(f"{number:.{digits}g}"), bound) == side(number, bound) for number in numbers for bound in bounds
        )

    return next((digits for digits in range(FEWEST_DIGITS, MOST_DIGITS) if is_enough(digits)), MOST_DIGITS)
