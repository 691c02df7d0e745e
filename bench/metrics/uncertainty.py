"""Functions that compute estimates with influence functions, and differences between such estimates.

A statistic computed from N items is, to first order, its true value plus the mean of the N influences (Efron, "The
jackknife, the bootstrap and other resampling plans", 1982, chapter 6). If the statistic is a mean, the influence of an
item is the item's deviation from this mean, and the formulas of this module become the usual ones.

The infinitesimal jackknife counts the second-order part of the variance twice. Without a correction, the interval of a
Fréchet distance of few items would therefore be too wide. To estimate the second-order part, this module computes the
statistic again from each half of the sources. It then compares the influences on the two results with the influences on
the whole statistic. docs/uncertainty.md derives the formula.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bench.metrics.spread import FEWEST_EFFECTIVE, Spread, standard_error
from bench.runtime.not_available import NotAvailable

__all__ = [
    "FEWEST_EFFECTIVE",
    "LEVEL",
    "NO_SPREAD",
    "TOO_FEW_SOURCES",
    "Chosen",
    "Difference",
    "Estimate",
    "Known",
    "combined",
    "contrast",
    "estimate_by_halves",
    "holm",
    "independent_difference",
    "mean_estimate",
    "paired_difference",
    "parts",
    "rounding_of",
    "standard_error",
]

Array = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.bool_]
"""N booleans, one for each item: True if a statistic is computed from this item."""
Statistic = Callable[[Chosen], "Estimate"]
LEVEL = 0.05
"""Significance level of p-values after Holm's correction."""
TOO_FEW_SOURCES = "fewer than two independent sources"
NO_SPREAD = "every source shows the same value, so its spread is unknown"
_ROUNDING = 1e-13
"""Limit for rounding errors, relative to the largest value or influence. A number at or below it is treated as 0."""
_SEED = 0
"""Seed of the random division of sources into parts. It is fixed, so the seed of a run does not change the parts."""


@dataclass(frozen=True)
class Estimate:
    """The value of a statistic, and the influence of each item on this value."""

    value: float
    influence: Array
    change: Array | None = None
    """For each item, the difference of two influences: its influence on the statistic of only one half of the sources
    (the half that contains the item's source), minus its influence on the statistic of all items. None if the
    statistic has no second-order part. A mean, for example, has none."""


@dataclass(frozen=True)
class Difference:
    """A difference between two estimates, or another weighted sum of estimates."""

    value: float
    stderr: float
    ci95: tuple[float, float]
    """95 % interval from Student's distribution, without a correction for multiple comparisons. If the distribution is
    skewed, the interval is longer on the side of the long tail."""
    p_value: float
    """Two-sided p-value for a true difference of 0. It is below 0.05 exactly if the interval does not contain 0."""
    sources: int
    """Number of sources of the items from which the difference is computed."""
    effective_sources: float
    """Number of effective sources of the standard error, from 1 to `sources`."""
    freedom: float
    """Degrees of freedom of the Student distribution from which the interval is computed."""

    @property
    def decided_by_few(self) -> bool:
        """True if there are fewer effective sources than `FEWEST_EFFECTIVE`. In this case, no verdict is given."""
        return self.effective_sources < FEWEST_EFFECTIVE


@dataclass(frozen=True)
class Known:
    """A value with a known spread. The influences of the items on the value are not available."""

    value: float
    spread: Spread


def mean_estimate(values: npt.ArrayLike) -> Estimate:
    """Estimate the mean of the items' values.

    Args:
        values: one finite number for each item.

    Returns:
        The mean. The influence of an item is the item's value minus the mean. There is no second-order part.

    Raises:
        ValueError: the list is empty, or a value is not finite.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not len(x) or not np.isfinite(x).all():
        raise ValueError(
            f"values of a mean must be a list of finite numbers: found shape {x.shape}, or NaN or infinite values"
        )
    return Estimate(float(x.mean()), x - x.mean())


def parts(sources: Sequence[str], count: int) -> list[Chosen]:
    """Divide the sources at random into parts with about equally many sources.

    The division depends only on the set of the sources' names. It depends neither on the order of `sources` nor on the
    seed of the run.

    Args:
        sources: name of the source of each of the N items.
        count: number of parts. The division into 4 parts divides each half of the division into 2 parts once more.

    Returns:
        For each part, N booleans that are True for the items of the part. All items of a source are in one part.
    """
    names, group = np.unique(np.asarray(sources), return_inverse=True)
    part = np.random.default_rng(_SEED).permutation(len(names)) * count // len(names)
    return [part[group] == index for index in range(count)]


def estimate_by_halves(statistic: Statistic, sources: Sequence[str]) -> Estimate:
    """Estimate a statistic of all items, including its second-order part.

    The second-order part is saved as `Estimate.change`. To compute it, the function divides the sources into two halves
    and calls `statistic` for each half.

    Args:
        statistic: function that computes the estimate from a subset of the items. Its argument has one boolean for each
            item, True if the item is in the subset. It is called for all items, and for the items of each half.
        sources: source of each item; there must be at least two different sources.
    """
    whole = statistic(np.ones(len(sources), np.bool_))
    change = np.empty(len(sources))
    for half in parts(sources, 2):
        change[half] = statistic(half).influence - whole.influence[half]
    return replace(whole, change=change)


def combined(weighted: Sequence[tuple[float, Estimate]]) -> Estimate:
    """Return the weighted sum of estimates that were computed from the same items.

    Args:
        weighted: pairs of a weight and an estimate.

    Returns:
        An estimate with the weighted sums of the values, of the influences and of the changes. An estimate without
        `change` adds 0 to the sum of the changes. This sum is None if no estimate has a `change`.

    Raises:
        ValueError: the estimates have different numbers of items.
    """
    counts = list(dict.fromkeys(len(estimate.influence) for _, estimate in weighted))
    if len(counts) > 1:
        raise ValueError(f"estimates must have the same number of items, found {' and '.join(map(str, counts))}")
    changes = [weight * estimate.change for weight, estimate in weighted if estimate.change is not None]
    return Estimate(
        sum(weight * estimate.value for weight, estimate in weighted),
        np.sum([weight * estimate.influence for weight, estimate in weighted], axis=0),
        np.sum(changes, axis=0) if changes else None,
    )


def paired_difference(new: Estimate, old: Estimate, sources: Sequence[str] | None = None) -> Difference | NotAvailable:
    """Compute the value of `new` minus the value of `old`, for two estimates from the same items.

    Args:
        new: estimate from which `old` is subtracted.
        old: estimate that is subtracted.
        sources: source of each item; None if every item is its own source.

    Returns:
        The difference with its interval, or a `NotAvailable` with the reason why there is no interval.
    """
    return contrast([(1.0, new), (-1.0, old)], sources)


def contrast(
    weighted: Sequence[tuple[float, Estimate]], sources: Sequence[str] | None = None
) -> Difference | NotAvailable:
    """Compare the weighted sum of several estimates with 0. All estimates must come from the same items.

    Args:
        weighted: pairs of a weight and an estimate.
        sources: source of each item; None if every item is its own source.

    Returns:
        The weighted sum with its interval, or a `NotAvailable` with the reason why there is no interval. There is no
        interval if there are fewer than two sources. There is also no interval if the standard error is 0 but the sum
        is not 0, because the spread is then unknown.
    """
    found = combined(weighted)
    rounding = rounding_of(weighted)
    value = 0.0 if abs(found.value) <= rounding else found.value
    spread = Spread.of(found.influence, sources, change=found.change, rounding=rounding)
    return NotAvailable(TOO_FEW_SOURCES) if spread is None else _difference(value, spread)


def rounding_of(weighted: Sequence[tuple[float, Estimate]]) -> float:
    """Return the limit below which the value and the influences of a weighted sum are treated as 0.

    Numbers below the limit are rounding errors. For each estimate, the absolute weight is multiplied by the largest
    absolute value or influence of the estimate. The limit is `_ROUNDING` times the sum of these products.

    Args:
        weighted: pairs of a weight and an estimate.
    """
    return _ROUNDING * sum(
        abs(weight) * max(abs(estimate.value), float(np.abs(estimate.influence).max(initial=0.0)))
        for weight, estimate in weighted
    )


def independent_difference(new: Known, old: Known) -> Difference | NotAvailable:
    """Compute the value of `new` minus the value of `old`, for two values from independent items.

    The degrees of freedom follow Welch ("The generalization of 'Student's' problem when several different population
    variances are involved", 1947). The skewness and the number of effective sources follow from the rule that the third
    and the fourth moments of independent sums add up.

    Args:
        new: value from which `old` is subtracted, with its spread.
        old: value that is subtracted, with its spread.

    Returns:
        The difference with its interval. If both standard errors are 0 and the values differ, the result is a
        `NotAvailable` with the reason.
    """
    one, other = new.spread, old.spread
    error = float(np.hypot(one.stderr, other.stderr))
    if error == 0:
        return _difference(new.value - old.value, replace(one, sources=one.sources + other.sources))
    share, rest = one.stderr**2 / error**2, other.stderr**2 / error**2
    spread = Spread(
        stderr=error,
        sources=one.sources + other.sources,
        effective_sources=1 / (share**2 / one.effective_sources + rest**2 / other.effective_sources),
        freedom=1 / (share**2 / one.freedom + rest**2 / other.freedom),
        skewness=share**1.5 * one.skewness - rest**1.5 * other.skewness,
    )
    return _difference(new.value - old.value, spread)


def _difference(value: float, spread: Spread) -> Difference | NotAvailable:
    if spread.stderr == 0 and value != 0:
        return NotAvailable(NO_SPREAD)
    return Difference(
        value=value,
        stderr=spread.stderr,
        ci95=spread.interval(value),
        p_value=spread.p_value(value),
        sources=spread.sources,
        effective_sources=spread.effective_sources,
        freedom=spread.freedom,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for multiple comparisons by Holm's step-down method.

    The source is Holm, "A simple sequentially rejective multiple test procedure" (1979).

    Args:
        p_values: p-values of all comparisons that are tested together (one family).

    Returns:
        Adjusted p-values, at most 1, in the order of `p_values`.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
