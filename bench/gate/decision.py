"""Decision rules of the gate: pass, regression, or cannot tell.

Every comparison has a margin, the largest worsening that is tolerated. Two one-sided tests are made at the 5 % level.
The first asks whether the number is worse by more than the margin, which is a regression; the p-values of all
comparisons are adjusted by Holm's method, so that a false regression among them occurs in one run of twenty at most.
The second asks whether it is worse by no more than the margin. The whole passes only if the answer is yes for every
comparison, so that no adjustment is needed (Berger, "Multiparameter hypothesis testing and acceptance sampling", 1982:
the intersection-union test). If neither is shown, the gate cannot tell.
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
    """The verdict on one comparison; a whole comparison has one of the first three."""

    PASS = "pass"
    REGRESSION = "regression"
    CANNOT_TELL = "cannot tell"
    IMPROVED = "improved"
    """A pass that is better by more than the margin, and significantly better."""

    @property
    def status(self) -> int:
        """Exit status of a command that ends with this verdict."""
        return {Verdict.REGRESSION: 3, Verdict.CANNOT_TELL: 4}.get(self, 0)


@dataclass(frozen=True)
class Worsening:
    """The worsening of a number in its own unit; negative values mean better."""

    value: float
    spread: Spread | None = None
    """Spread of its error over the sources; None for a number that is exact, or whose error is unknown."""
    paired: bool = False
    """True if it was computed from the influences of both sides' items; else only the values are compared."""


def p_value(worsening: Worsening, margin: float) -> float:
    """Return the one-sided p-value of a worsening of at most `margin`; NaN if the error is unknown."""
    if worsening.spread is None:
        return math.nan if worsening.paired else float(worsening.value <= margin)
    return worsening.spread.p_above(worsening.value - margin)


def upper_bound(worsening: Worsening, level: float = LEVEL) -> float:
    """Return the upper bound of the worsening with confidence 1 - level; NaN if the error is unknown."""
    if worsening.spread is None:
        return math.nan if worsening.paired else worsening.value
    return worsening.spread.upper_bound(worsening.value, level)


def decide(comparisons: Sequence[tuple[Worsening, float]]) -> list[Verdict]:
    """Return the verdicts on comparisons that are made together.

    Args:
        comparisons: each one with its margin, 0 or more.
    """
    p_values = [p_value(worsening, margin) for worsening, margin in comparisons]
    estimated = [
        index
        for index, (worsening, _) in enumerate(comparisons)
        if worsening.paired and not math.isnan(p_values[index])
    ]
    for index, adjusted in zip(estimated, holm([p_values[index] for index in estimated]), strict=True):
        p_values[index] = adjusted
    return [_verdict(*comparison, p) for comparison, p in zip(comparisons, p_values, strict=True)]


def _verdict(worsening: Worsening, margin: float, p: float) -> Verdict:
    bound = upper_bound(worsening)
    if p <= LEVEL:
        return Verdict.REGRESSION
    if not bound <= margin:
        return Verdict.CANNOT_TELL
    return Verdict.IMPROVED if worsening.value < -margin and bound < 0 else Verdict.PASS


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine verdicts: a regression if there is one, a pass if there are verdicts and all pass, else cannot tell."""
    p_values = set(verdicts)
    if Verdict.REGRESSION in p_values:
        return Verdict.REGRESSION
    return Verdict.PASS if p_values and Verdict.CANNOT_TELL not in p_values else Verdict.CANNOT_TELL
