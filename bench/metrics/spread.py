"""Standard error, degrees of freedom and skewness of an estimate, computed from each source's influence on the
estimate.

Items of one source, such as the crops of one photograph or the captions of one image, are not independent. Therefore
the influences of a source's items are added before the sum is squared.

The degrees of freedom describe how uncertain the variance itself is (Satterthwaite, "An approximate distribution of
estimates of variance components", 1946). Satterthwaite assumes a normal distribution. This module uses the fourth
moment of the measured sums instead. The skewness is corrected by the method of Hall ("On the removal of skewness by
transformation", 1992), but only where this makes an interval wider. docs/uncertainty.md derives these formulas and
compares them with alternatives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

__all__ = ["FEWEST_EFFECTIVE", "Spread", "standard_error", "variance_shares"]

Array = npt.NDArray[np.float64]
FEWEST_EFFECTIVE = 5.0
"""Smallest number of effective sources for a verdict. If there are fewer, a few sources alone decide the estimate."""


@dataclass(frozen=True)
class Spread:
    """The standard error, degrees of freedom and skewness of an estimate, computed from the sources' influences."""

    stderr: float
    sources: int
    """Number of sources G, at least 2."""
    effective_sources: float
    """Number of effective sources, (Σs²)² / Σs⁴, where s is the sum of the influences of one source's items. It is G if
    all sums are equally large or all influences are 0. It is 1 if only one source has a sum that is not 0."""
    freedom: float
    """Degrees of freedom of Student's distribution: 2 / (1 / effective_sources - 1 / G), but at most G - 1."""
    skewness: float
    """Skewness of the estimate's distribution, Σs³ / (Σs²)^1.5, in [-1, 1]; s is defined at `effective_sources`."""

    @classmethod
    def of(
        cls,
        influence: Array,
        sources: Sequence[str] | None = None,
        *,
        change: Array | None = None,
        rounding: float = 0.0,
    ) -> Spread | None:
        """Compute the spread of an estimate from the influences of its items.

        Args:
            influence: influence of each item.
            sources: source of each item; None if every item is its own source.
            change: second-order part of each item, as in `bench.metrics.uncertainty.Estimate`; None if the estimate has
                no second-order part.
            rounding: limit for rounding errors. If no influence has an absolute value above this limit, all influences
                are treated as 0.

        Returns:
            The spread; None if there are fewer than two sources.
        """
        if np.abs(influence).max(initial=0.0) <= rounding:
            influence, change = np.zeros(len(influence)), None
        sums = _by_source(influence, sources)
        count = len(sums)
        if count < 2:
            return None
        stderr = standard_error(influence, sources, change=change)
        largest = float(np.abs(sums).max())
        if largest == 0:
            return cls(0.0, count, float(count), count - 1.0, 0.0)
        second, third, fourth = (float(((sums / largest) ** power).sum()) for power in (2, 3, 4))
        effective = second**2 / fourth
        inequality = 1 / effective - 1 / count  # 0 where all sums are equally large
        freedom = min(2 / inequality, count - 1.0) if inequality > 0 else count - 1.0
        return cls(stderr, count, effective, freedom, third / second**1.5)

    @property
    def decided_by_few(self) -> bool:
        """True if there are fewer effective sources than `FEWEST_EFFECTIVE`. In this case, no verdict is given."""
        return self.effective_sources < FEWEST_EFFECTIVE

    def mirrored(self) -> Spread:
        """Return the spread of the negated estimate: the skewness has the opposite sign, and the rest is unchanged."""
        return replace(self, skewness=-self.skewness)

    def interval(self, value: float, level: float = 0.95) -> tuple[float, float]:
        """Return the lower and the upper end of the two-sided confidence interval.

        Args:
            value: value of the estimate that has this spread.
            level: confidence level, in (0, 1).
        """
        tail = (1 - level) / 2
        return self.lower_bound(value, tail), self.upper_bound(value, tail)

    def lower_bound(self, value: float, tail: float) -> float:
        """Return the one-sided lower confidence bound.

        Args:
            value: value of the estimate that has this spread.
            tail: probability that the true value lies below the bound, in (0, 0.5).
        """
        return -self.mirrored().upper_bound(-value, tail)

    def upper_bound(self, value: float, tail: float) -> float:
        """Return the one-sided upper confidence bound.

        Args:
            value: value of the estimate that has this spread.
            tail: probability that the true value lies above the bound, in (0, 0.5).
        """
        quantile = float(stdtrit(self.freedom, 1 - tail))
        return value + max(quantile, -_transformed_back(-quantile, self.skewness)) * self.stderr

    def p_above(self, value: float) -> float:
        """Return the one-sided p-value of the estimate `value` against a true value of 0 or less.

        The p-value is below a probability `tail` exactly if `lower_bound(value, tail)` is above 0. If the standard
        error is 0, the p-value is 0 for a positive `value`, and 1 for any other `value`.
        """
        if self.stderr == 0:
            return float(value <= 0)
        statistic = value / self.stderr
        return float(stdtr(self.freedom, -min(statistic, _transformed(statistic, self.skewness))))

    def p_value(self, value: float) -> float:
        """Return the two-sided p-value, at most 1, of the estimate `value` against a true value of 0."""
        above = self.p_above(value) if value > 0 else self.mirrored().p_above(-value)
        return min(2 * above, 1.0)


def standard_error(influence: Array, sources: Sequence[str] | None = None, *, change: Array | None = None) -> float:
    """Return the standard error of a statistic from its influences.

    Args:
        influence: influence of each item.
        sources: source of each item; None if every item is its own source.
        change: second-order part of each item, as in `bench.metrics.uncertainty.Estimate`. The function uses it to
            correct the variance. None for the plain infinitesimal jackknife.

    Returns:
        Standard error, whose square includes the correction G/(G-1) for G sources; NaN for fewer than two sources.
    """
    sums = _by_source(influence, sources)
    if len(sums) < 2:
        return float("nan")
    squares = float(np.square(sums).sum())
    if change is not None:
        # The jackknife estimates a/N + 2b/N² instead of a/N + b/N². As a and b are not negative, the estimate
        # is at most twice the variance, so at most half of it is subtracted.
        squares -= min(float(np.square(_by_source(change, sources)).sum()), squares) / 2
    return float(np.sqrt(len(sums) / (len(sums) - 1) * squares)) / len(influence)


def variance_shares(influence: Array, sources: Sequence[str]) -> dict[str, float]:
    """Return the share of the variance that each source causes.

    The variance is proportional to Σs², where s is the sum of the influences of one source's items. The share of a
    source is its s² divided by Σs².

    Args:
        influence: influence of each item.
        sources: source of each item.

    Returns:
        A dictionary from the name of each source to its share in [0, 1]. The largest share comes first. The dictionary
        is empty if every s is 0.
    """
    names, group = np.unique(np.asarray(sources), return_inverse=True)
    squares = np.square(np.bincount(group, weights=influence))
    whole = squares.sum()
    if whole == 0:
        return {}
    return {str(names[place]): float(squares[place] / whole) for place in np.argsort(-squares, kind="stable")}


def _by_source(values: Array, sources: Sequence[str] | None) -> Array:
    if sources is None:
        return values
    _, group = np.unique(np.asarray(sources), return_inverse=True)
    return np.bincount(group, weights=values).astype(np.float64)


def _transformed(statistic: float, skewness: float) -> float:
    """Apply Hall's monotone transformation, which removes the skewness of the distribution of a studentised estimate.

    A studentised estimate t is transformed to t + a t² / 3 + a² t³ / 27 + a / 6, where a is the skewness. The code uses
    the equal expression ((1 + a t / 3)³ - 1) / a + a / 6.
    """
    if skewness == 0:
        return statistic
    return ((1 + skewness * statistic / 3) ** 3 - 1) / skewness + skewness / 6


def _transformed_back(transformed: float, skewness: float) -> float:
    if skewness == 0:
        return transformed
    return 3 * (math.cbrt(1 + skewness * (transformed - skewness / 6)) - 1) / skewness
