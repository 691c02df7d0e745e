"""Standard errors and paired differences from influence functions, clustered by source.

A statistic computed on N items is, to first order, its value plus the mean of its influence over the items (Efron,
"The jackknife, the bootstrap and other resampling plans", 1982, chapter 6). For a mean over items the influence is the
deviation from the mean, and everything here reduces to the usual formulas. Items cut from one source (the crops of
one photograph, the captions of one image) are not independent: their influences are summed before they are squared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

__all__ = ["Difference", "Estimate", "holm", "mean_estimate", "paired_difference", "standard_error"]

Array = npt.NDArray[np.float64]
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Estimate:
    """A value with the influence of each item on it, items in the manifest's order."""

    value: float
    influence: Array


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


def standard_error(influence: Array, sources: Sequence[str] | None = None) -> float:
    """Standard error of a statistic from its influences.

    Args:
        influence: one value an item.
        sources: the source of each item; None where every item is its own.

    Returns:
        The standard error with the G/(G-1) correction for G sources; NaN where there are fewer than two.
    """
    sums = influence
    if sources is not None:
        _, group = np.unique(np.asarray(sources), return_inverse=True)
        sums = np.bincount(group, weights=influence).astype(np.float64)
    if len(sums) < 2:
        return float("nan")
    return float(np.sqrt(len(sums) / (len(sums) - 1) * np.square(sums).sum()) / len(influence))


def paired_difference(new: Estimate, old: Estimate, sources: Sequence[str] | None = None) -> Difference:
    """New - old on the same items, with a normal 95 % interval."""
    if len(new.influence) != len(old.influence):
        raise ValueError(f"not the same items: {len(new.influence)} and {len(old.influence)}")
    value = new.value - old.value
    error = standard_error(new.influence - old.influence, sources)
    half = _NORMAL.inv_cdf(0.975) * error
    if error > 0:
        p_value = 2 * (1 - _NORMAL.cdf(abs(value) / error))
    else:
        p_value = float("nan") if np.isnan(error) else float(value == 0)
    return Difference(value, error, (value - half, value + half), p_value)


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
