"""Standard errors and paired differences from influence functions, clustered by source.

A statistic computed on N items is, to first order, its value plus the mean of its influence over the items (Efron,
"The jackknife, the bootstrap and other resampling plans", 1982, chapter 6). For a mean over items the influence is the
deviation from the mean, and everything here reduces to the usual formulas. Items cut from one source (the crops of
one photograph, the captions of one image) are not independent: their influences are summed before they are squared.

The infinitesimal jackknife counts the second-order part of the variance twice, which makes it too wide for a Fréchet
distance of few items. How far each influence moves on half the sources tells that part; docs/uncertainty.md derives it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

__all__ = [
    "LEVEL",
    "Chosen",
    "Difference",
    "Estimate",
    "combined",
    "estimate_by_halves",
    "holm",
    "independent_difference",
    "interval",
    "mean_estimate",
    "paired_difference",
    "parts",
    "standard_error",
]

Array = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.bool_]
"""Which of N items a statistic is taken on."""
Statistic = Callable[[Chosen], "Estimate"]
LEVEL = 0.05
"""Of p-values after Holm's correction, below which something holds."""
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
    """A paired difference between two estimates on the same items."""

    value: float
    stderr: float
    ci95: tuple[float, float]
    p_value: float
    """Two-sided, for no difference."""


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


def standard_error(influence: Array, sources: Sequence[str] | None = None, *, change: Array | None = None) -> float:
    """Standard error of a statistic from its influences.

    Args:
        influence: one value an item.
        sources: the source of each item; None where every item is its own.
        change: of the influences on halves, as an `Estimate` has it; None for the plain infinitesimal jackknife.

    Returns:
        The standard error with the G/(G-1) correction for G sources; NaN where there are fewer than two.
    """
    sums = _by_source(influence, sources)
    if len(sums) < 2:
        return float("nan")
    squares = float(np.square(sums).sum())
    if change is not None:
        # Of a variance a/N + b/N² the jackknife finds a/N + 2b/N²; with neither part negative that is twice at most.
        squares -= min(float(np.square(_by_source(change, sources)).sum()), squares) / 2
    return float(np.sqrt(len(sums) / (len(sums) - 1) * squares)) / len(influence)


def _by_source(values: Array, sources: Sequence[str] | None) -> Array:
    if sources is None:
        return values
    _, group = np.unique(np.asarray(sources), return_inverse=True)
    return np.bincount(group, weights=values).astype(np.float64)


def interval(value: float, stderr: float, sources: int) -> tuple[float, float]:
    """The 95 % interval of a value whose standard error rests on so many sources, by Student's t."""
    half = float(stdtrit(sources - 1, 0.975)) * stderr
    return value - half, value + half


def paired_difference(new: Estimate, old: Estimate, sources: Sequence[str] | None = None) -> Difference:
    """New - old on the same items; interval and p-value by Student's t with G-1 degrees of freedom for G sources."""
    difference = combined([(1.0, new), (-1.0, old)])
    value, error = difference.value, standard_error(difference.influence, sources, change=difference.change)
    count = len(difference.influence) if sources is None else len(set(sources))
    if error > 0:
        p_value = 2 * float(stdtr(count - 1, -abs(value) / error))
    else:
        p_value = float("nan") if np.isnan(error) else float(value == 0)
    return Difference(value, error, interval(value, error, count), p_value)


def independent_difference(new: tuple[float, float, int], old: tuple[float, float, int]) -> Difference:
    """New - old of independent items, by Student's t with Welch's degrees of freedom ("The generalization of
    'Student's' problem when several different population variances are involved", 1947).

    Args:
        new: value, standard error, and number of sources, at least two.
        old: as `new`.
    """
    (first, error_a, count_a), (second, error_b, count_b) = new, old
    value, error = first - second, float(np.hypot(error_a, error_b))
    if error == 0:
        return Difference(value, 0.0, (value, value), float(value == 0))
    freedom = error**4 / (error_a**4 / (count_a - 1) + error_b**4 / (count_b - 1))
    half = float(stdtrit(freedom, 0.975)) * error
    return Difference(value, error, (value - half, value + half), 2 * float(stdtr(freedom, -abs(value) / error)))


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
