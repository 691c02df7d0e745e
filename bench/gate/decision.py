"""How the gate decides: pass, regression, or cannot tell.

Every comparison has a margin, the worsening that is still taken for none. Two one-sided questions are asked of it at
5 %. Is the number worse by more than the margin? That is a regression; the p-values of all comparisons are adjusted by
Holm's method, so that among all of them a regression is called wrongly in one run of twenty at most. Is it worse by no
more? Only where the answer is yes for every comparison the whole passes, so that no single one needs an adjustment
(Berger, "Multiparameter hypothesis testing and acceptance sampling", 1982: the intersection-union test). Where neither
is shown, nobody can tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench.metrics.spread import Spread
from bench.metrics.uncertainty import holm

__all__ = ["LEVEL", "Verdict", "Worsening", "decide", "p_value", "together", "upper_bound"]

LEVEL = 0.05


class Verdict(StrEnum):
    """On one comparison; on all of them, one of the first three."""

    PASS = "pass"
    REGRESSION = "regression"
    CANNOT_TELL = "cannot tell"
    IMPROVED = "improved"
    """A pass that is better by more than the margin, and surely better at all."""

    @property
    def status(self) -> int:
        """The exit status of a command that ends with it."""
        return {Verdict.REGRESSION: 3, Verdict.CANNOT_TELL: 4}.get(self, 0)


@dataclass(frozen=True)
class Worsening:
    """By how much a number is worse than it was, in its own unit; below zero where it is better."""

    value: float
    spread: Spread | None = None
    """What its sources tell of its error; None for a number that is known and not estimated, or whose error is not
    known."""
    paired: bool = False
    """Whether it was found from the influences of both sides' items; else the values alone are compared."""


def p_value(worsening: Worsening, margin: float) -> float:
    """One-sided, for a number that is worse by `margin` at most; NaN where the error is not known."""
    if worsening.spread is None:
        return math.nan if worsening.paired else float(worsening.value <= margin)
    return worsening.spread.p_above(worsening.value - margin)


def upper_bound(worsening: Worsening, level: float = LEVEL) -> float:
    """What the worsening is at most, with confidence 1 - level; NaN where the error is not known."""
    if worsening.spread is None:
        return math.nan if worsening.paired else worsening.value
    return worsening.spread.upper_bound(worsening.value, level)


def decide(comparisons: Sequence[tuple[Worsening, float]]) -> list[Verdict]:
    """The verdict on each of all comparisons that are made together.

    Args:
        comparisons: each with its margin, 0 or more.
    """
    found = [p_value(worsening, margin) for worsening, margin in comparisons]
    estimated = [
        index for index, (worsening, _) in enumerate(comparisons) if worsening.paired and not math.isnan(found[index])
    ]
    for index, adjusted in zip(estimated, holm([found[index] for index in estimated]), strict=True):
        found[index] = adjusted
    return [_verdict(*comparison, p) for comparison, p in zip(comparisons, found, strict=True)]


def _verdict(worsening: Worsening, margin: float, p: float) -> Verdict:
    bound = upper_bound(worsening)
    if p <= LEVEL:
        return Verdict.REGRESSION
    if not bound <= margin:
        return Verdict.CANNOT_TELL
    return Verdict.IMPROVED if worsening.value < -margin and bound < 0 else Verdict.PASS


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on all: a regression where there is one, a pass where all pass and there are some."""
    found = set(verdicts)
    if Verdict.REGRESSION in found:
        return Verdict.REGRESSION
    return Verdict.PASS if found and Verdict.CANNOT_TELL not in found else Verdict.CANNOT_TELL
