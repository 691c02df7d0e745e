"""Estimates with influence functions, and the differences between them.

A statistic computed on N items is, to first order, its true value plus the mean of its influence over the items (Efron,
"The jackknife, the bootstrap and other resampling plans", 1982, chapter 6). For a mean over items, the influence of an
item is its deviation from the mean, and everything here reduces to the usual formulas.

The infinitesimal jackknife counts the second-order part of the variance twice, so intervals of a Fréchet distance of
few items are too wide. That part is estimated from the change of each influence on half the sources;
docs/uncertainty.md derives it.
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
"""Boolean mask of the items, among N, from which a statistic is computed."""
Statistic = Callable[[Chosen], "Estimate"]
LEVEL = 0.05
"""Significance level of p-values after Holm's correction."""
TOO_FEW_SOURCES = "fewer than two independent sources"
NO_SPREAD = "every source shows the same value, so its spread is unknown"
_ROUNDING = 1e-13
"""Largest size, relative to the largest value or influence, of a number that is taken for a rounding error of 0."""
_SEED = 0
"""Seed of the random division of sources into parts; it belongs to the method, not to the run."""


@dataclass(frozen=True)
class Estimate:
    """A value with the influence of each item on it, in the manifest's order."""

    value: float
    influence: Array
    change: Array | None = None
    """Change of each influence if the statistic is computed only from the half of the sources to which the item
    belongs; None if there is no second-order part, as for a mean."""


@dataclass(frozen=True)
class Difference:
    """A difference between two estimates, or another weighted sum of estimates."""

    value: float
    stderr: float
    ci95: tuple[float, float]
    """95 % interval of this difference alone, from Student's distribution and longer on the side of the skewness."""
    p_value: float
    """Two-sided p-value for no difference; it is below 0.05 exactly if the interval does not contain 0."""
    sources: int
    """Number of independent sources of the difference."""
    effective_sources: float
    """Effective number of sources of the standard error, from 1 to `sources`."""
    freedom: float
    """Degrees of freedom of the Student interval."""

    @property
    def decided_by_few(self) -> bool:
        """Whether the effective sources are fewer than `FEWEST_EFFECTIVE`, so that no verdict is possible."""
        return self.effective_sources < FEWEST_EFFECTIVE


@dataclass(frozen=True)
class Known:
    """A value with its spread, but without the influences of its items."""

    value: float
    spread: Spread


def mean_estimate(values: npt.ArrayLike) -> Estimate:
    """Return the mean of one value for each item.

    Args:
        values: value of each item.

    Raises:
        ValueError: the list is empty, or a value is not finite.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not len(x) or not np.isfinite(x).all():
        raise ValueError(f"values of a mean must be a list of finite numbers: found shape {x.shape}")
    return Estimate(float(x.mean()), x - x.mean())


def parts(sources: Sequence[str], count: int) -> list[Chosen]:
    """Divide sources at random into equally large parts, which are the same for the same names in any order.

    Args:
        sources: source of each item.
        count: number of parts; each of 2 parts consists of two of 4 parts.

    Returns:
        A mask of the items of each part; all items of a source are in the same part.
    """
    names, group = np.unique(np.asarray(sources), return_inverse=True)
    part = np.random.default_rng(_SEED).permutation(len(names)) * count // len(names)
    return [part[group] == index for index in range(count)]


def estimate_by_halves(statistic: Statistic, sources: Sequence[str]) -> Estimate:
    """Return a statistic of all items, with the change of its influences on half the sources.

    Args:
        statistic: function that returns the estimate for a subset of the items; it must be defined for either half of
            the sources.
        sources: source of each item, at least two different ones.
    """
    whole = statistic(np.ones(len(sources), np.bool_))
    change = np.empty(len(sources))
    for half in parts(sources, 2):
        change[half] = statistic(half).influence - whole.influence[half]
    return replace(whole, change=change)


def combined(weighted: Sequence[tuple[float, Estimate]]) -> Estimate:
    """Return a weighted sum of estimates on the same items.

    Raises:
        ValueError: the estimates have different numbers of items.
    """
    counts = list(dict.fromkeys(len(estimate.influence) for _, estimate in weighted))
    if len(counts) > 1:
        raise ValueError(f"estimates must have the same items: found {' and '.join(map(str, counts))} items")
    changes = [weight * estimate.change for weight, estimate in weighted if estimate.change is not None]
    return Estimate(
        sum(weight * estimate.value for weight, estimate in weighted),
        np.sum([weight * estimate.influence for weight, estimate in weighted], axis=0),
        np.sum(changes, axis=0) if changes else None,
    )


def paired_difference(new: Estimate, old: Estimate, sources: Sequence[str] | None = None) -> Difference | NotAvailable:
    """Subtract `old` from `new` on the same items, or return the reason why the difference has no interval.

    Args:
        new: estimate that is compared.
        old: estimate with which it is compared.
        sources: source of each item; None if every item is its own source.
    """
    return contrast([(1.0, new), (-1.0, old)], sources)


def contrast(
    weighted: Sequence[tuple[float, Estimate]], sources: Sequence[str] | None = None
) -> Difference | NotAvailable:
    """Compare a weighted sum of estimates on the same items with 0, or return the reason why it has no interval.

    If all sources show the same sum, its spread is unknown, unless the estimates are exactly equal.
    """
    found = combined(weighted)
    rounding = rounding_of(weighted)
    value = 0.0 if abs(found.value) <= rounding else found.value
    spread = Spread.of(found.influence, sources, change=found.change, rounding=rounding)
    return NotAvailable(TOO_FEW_SOURCES) if spread is None else _difference(value, spread)


def rounding_of(weighted: Sequence[tuple[float, Estimate]]) -> float:
    """Return the largest size of a weighted sum's value or influence that is taken for a rounding error of 0."""
    return _ROUNDING * sum(
        abs(weight) * max(abs(estimate.value), float(np.abs(estimate.influence).max(initial=0.0)))
        for weight, estimate in weighted
    )


def independent_difference(new: Known, old: Known) -> Difference | NotAvailable:
    """Subtract `old` from `new` on independent items, or return the reason why the difference has no interval.

    The degrees of freedom are Welch's ("The generalization of 'Student's' problem when several different population
    variances are involved", 1947). Third and fourth moments add up like those of independent sources.
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
    """Adjust a family's p-values by Holm's step-down method, and return them in the given order.

    The method is that of "A simple sequentially rejective multiple test procedure" (1979).
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
