"""Decision rules of the gate: pass, regression, or cannot tell.

Every comparison has a margin, which is the largest worsening that is tolerated. If only two values are compared,
without the influences of the items, a worsening of more than the margin is a regression, and otherwise the number
passes. For every other comparison, two one-sided tests are made at the 5 % level:

- The first test asks whether the number is worse by more than the margin. If so, this is a regression. The p-values of
  all these comparisons are adjusted by Holm's method, so at most one run in twenty reports a regression that does not
  exist.
- The second test asks whether the number is worse by no more than the margin. The run passes only if the answer is yes
  for every comparison. Therefore the p-values of this test need no adjustment (the intersection-union test of Berger,
  "Multiparameter hypothesis testing and acceptance sampling", 1982).

If neither test gives a yes, the gate cannot tell.
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
    """The verdict on one number, or on a whole run; a whole run is never `IMPROVED`."""

    PASS = "pass"
    REGRESSION = "regression"
    CANNOT_TELL = "cannot tell"
    IMPROVED = "improved"
    """Verdict on a number that passes, is better by more than the margin, and is significantly better than before."""

    @property
    def status(self) -> int:
        """Exit status of a command that ends with this verdict: 3 for REGRESSION, 4 for CANNOT_TELL, otherwise 0."""
        return {Verdict.REGRESSION: 3, Verdict.CANNOT_TELL: 4}.get(self, 0)


@dataclass(frozen=True)
class Worsening:
    """The worsening of a number, in the number's unit. A negative worsening means that the new value is better."""

    value: float
    spread: Spread | None = None
    """Spread over the sources, from which the interval follows; None if the number is exact or its error is unknown."""
    paired: bool = False
    """Whether the influences of both sides' items were used; if not, only the two values are compared."""


def p_value(worsening: Worsening, margin: float) -> float:
    """Return the one-sided p-value of the hypothesis that the true worsening is at most `margin`.

    A small p-value shows a regression. If only the two values are compared, the result is 1 if the worsening is at most
    `margin`, and otherwise 0. The result is NaN if the influences of the items are known but the standard error is
    unknown.

    Args:
        worsening: measured worsening.
        margin: largest worsening that is tolerated, in the unit of the worsening.
    """
    if worsening.spread is None:
        return math.nan if worsening.paired else float(worsening.value <= margin)
    return worsening.spread.p_above(worsening.value - margin)


def upper_bound(worsening: Worsening, level: float = LEVEL) -> float:
    """Return the upper bound of the worsening with confidence 1 - `level`.

    If only the two values are compared, the result is the worsening itself. The result is NaN if the influences of the
    items are known but the standard error is unknown.
    """
    if worsening.spread is None:
        return math.nan if worsening.paired else worsening.value
    return worsening.spread.upper_bound(worsening.value, level)


def decide(comparisons: Sequence[tuple[Worsening, float]]) -> list[Verdict]:
    """Return the verdict on each comparison; Holm's method adjusts the p-values of all paired comparisons together.

    Args:
        comparisons: pairs of the worsening of a number and the margin of this number. Both have the same unit, and the
            margin is 0 or more.
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
    """Combine the verdicts on single numbers into the verdict on the whole run.

    The result is REGRESSION if any verdict is REGRESSION. The result is PASS if there is at least one verdict, and each
    verdict is PASS or IMPROVED. In all other cases, the result is CANNOT_TELL.
    """
    p_values = set(verdicts)
    if Verdict.REGRESSION in p_values:
        return Verdict.REGRESSION
    return Verdict.PASS if p_values and Verdict.CANNOT_TELL not in p_values else Verdict.CANNOT_TELL
