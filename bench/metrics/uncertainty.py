"""Estimates with influence functions, and the differences between them.

A statistic computed on N items is, to first order, its value plus the mean of its influence over the items (Efron,
"The jackknife, the bootstrap and other resampling plans", 1982, chapter 6). For a mean over items the influence is the
deviation from the mean, and everything here reduces to the usual formulas.

The infinitesimal jackknife counts the second-order part of the variance twice, which makes it too wide for a Fréchet
distance of few items. How far each influence moves on half the sources tells that part; docs/uncertainty.md derives it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bench.metrics.spread import FEWEST_EFFECTIVE, Spread, standard_error

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
"""Which of N items a statistic is taken on."""
Statistic = Callable[[Chosen], "Estimate"]
LEVEL = 0.05
"""Of p-values after Holm's correction, below which something holds."""
TOO_FEW_SOURCES = "fewer than two independent sources"
NO_SPREAD = "every source shows the same value, so that nothing is known of its spread"
_ROUNDING = 1e-13
"""Relative to the largest value or influence, what is taken for a rounding error."""
_SEED = 0
"""Of the parts that sources are dealt out to: it belongs to the method, not to the run."""


@dataclass(frozen=True)
class Estimate:
    """A value with the influence of each item on it, items in the manifest's order."""

    value: float
    influence: Array
    change: Array | None = None
    """How far each influence moves where the statistic is taken on the item's half of the sources alone; None for no
    second-order part, as a mean has none."""


@dataclass(frozen=True)
class Difference:
    """A difference between two estimates, or another weighted sum of estimates."""

    value: float
    stderr: float
    ci95: tuple[float, float]
    """The 95 % interval, of this difference alone: Student's, and longer on the side to which skewness points."""
    p_value: float
    """Two-sided, for no difference; below 0.05 exactly where the interval leaves out 0."""
    sources: int
    """Independent sources that it rests on."""
    effective_sources: float
    """The effective number of sources behind the standard error, from 1 to `sources`."""
    freedom: float
    """Degrees of freedom of its Student interval."""

    @property
    def decided_by_few(self) -> bool:
        """Whether fewer than `FEWEST_EFFECTIVE` sources decide it, so that nothing can be claimed."""
        return self.effective_sources < FEWEST_EFFECTIVE


@dataclass(frozen=True)
class Known:
    """A value with its spread, without the items behind it."""

    value: float
    spread: Spread


def mean_estimate(values: npt.ArrayLike) -> Estimate:
    """The mean of one value an item. Raises ValueError for an empty or non-finite list."""
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not len(x) or not np.isfinite(x).all():
        raise ValueError(f"a mean wants a list of finite values: found shape {x.shape}")
    return Estimate(float(x.mean()), x - x.mean())


def parts(sources: Sequence[str], count: int) -> list[Chosen]:
    """Deal sources out to equally large parts: at random, but the same for the same names in any order.

    Args:
        sources: the source of each item.
        count: of parts; a part of 2 is made up of two parts of 4.

    Returns:
        The items of each part; those of one source are in the same part.
    """
    names, group = np.unique(np.asarray(sources), return_inverse=True)
    part = np.random.default_rng(_SEED).permutation(len(names)) * count // len(names)
    return [part[group] == index for index in range(count)]


def estimate_by_halves(statistic: Statistic, sources: Sequence[str]) -> Estimate:
    """A statistic of all items, with the change of its influences on half the sources.

    Args:
        statistic: of some of the items, with the influence of each of those; defined for either half of the sources.
        sources: the source of each item, at least two different ones.
    """
    whole = statistic(np.ones(len(sources), np.bool_))
    change = np.empty(len(sources))
    for half in parts(sources, 2):
        change[half] = statistic(half).influence - whole.influence[half]
    return replace(whole, change=change)


def combined(weighted: Sequence[tuple[float, Estimate]]) -> Estimate:
    """A weighted sum of estimates on the same items.

    Raises:
        ValueError: not all of them have the same number of items.
    """
    counts = list(dict.fromkeys(len(estimate.influence) for _, estimate in weighted))
    if len(counts) > 1:
        raise ValueError(f"not the same items: {' and '.join(map(str, counts))}")
    changes = [weight * estimate.change for weight, estimate in weighted if estimate.change is not None]
    return Estimate(
        sum(weight * estimate.value for weight, estimate in weighted),
        np.sum([weight * estimate.influence for weight, estimate in weighted], axis=0),
        np.sum(changes, axis=0) if changes else None,
    )


def paired_difference(new: Estimate, old: Estimate, sources: Sequence[str] | None = None) -> Difference | str:
    """Subtract `old` from `new` on the same items; or say why the difference has no interval.

    Args:
        new: the estimate that is compared.
        old: what it is compared with.
        sources: the source of each item; None where every item is its own.
    """
    return contrast([(1.0, new), (-1.0, old)], sources)


def contrast(weighted: Sequence[tuple[float, Estimate]], sources: Sequence[str] | None = None) -> Difference | str:
    """Compare a weighted sum of estimates on the same items with 0; or say why it has no interval.

    Where all sources show the same sum, its spread cannot be known, unless the estimates are exactly equal.
    """
    found = combined(weighted)
    rounding = rounding_of(weighted)
    value = 0.0 if abs(found.value) <= rounding else found.value
    spread = Spread.of(found.influence, sources, change=found.change, rounding=rounding)
    return TOO_FEW_SOURCES if spread is None else _difference(value, spread)


def rounding_of(weighted: Sequence[tuple[float, Estimate]]) -> float:
    """The largest value or influence of a weighted sum that is taken for a rounding error of 0."""
    return _ROUNDING * sum(
        abs(weight) * max(abs(estimate.value), float(np.abs(estimate.influence).max(initial=0.0)))
        for weight, estimate in weighted
    )


def independent_difference(new: Known, old: Known) -> Difference | str:
    """Subtract `old` from `new`, which rest on independent items; or say why the difference has no interval.

    The degrees of freedom are Welch's ("The generalization of 'Student's' problem when several different population
    variances are involved", 1947); third and fourth moments add up as those of independent sources do.
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


def _difference(value: float, spread: Spread) -> Difference | str:
    if spread.stderr == 0 and value != 0:
        return NO_SPREAD
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
    """Holm's step-down adjustment of a family's p-values, in the given order ("A simple sequentially rejective
    multiple test procedure", 1979).
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
