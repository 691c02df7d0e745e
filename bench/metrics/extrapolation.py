"""An extrapolation of the Fréchet distance to infinitely many items.

The Fréchet distance of N items has a bias that is almost linear in 1/N (Chong and Forsyth, "Effectively unbiased FID
and Inception Score and where to find them", 2020). The value for infinitely many items can therefore be computed from
the values for N and N/2 items. The value for N/4 items shows whether the bias is really linear.

The bias is linear only if the smaller of the two compared sets has about as many items as the features have dimensions,
or more. With fewer items the bias grows more slowly than 1/N, and the extrapolated value is too high.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.metrics.uncertainty import Chosen, Estimate, parts, standard_error

__all__ = ["COUNTS", "Extrapolation", "extrapolate"]

COUNTS = (1, 2, 4)
"""Numbers of parts. For each number, the sources are divided into that many parts, and the statistic is computed
from each part."""


@dataclass(frozen=True)
class Extrapolation:
    """An extrapolated value with its standard error, and the values of the statistic for finite numbers of items."""

    sizes: tuple[int, ...]
    """For each number of parts in `COUNTS`, the typical size of a part: the number of all items divided by the number
    of parts, rounded down."""
    values: tuple[float, ...]
    """For each number of parts in `COUNTS`, the mean of the statistic over the parts."""
    limit: float
    """Extrapolated value: the value at 1/N = 0 on the straight line through the first two `values`."""
    stderr: float
    """Standard error of `limit`; NaN if there are fewer than two sources."""


def extrapolate(statistic: Callable[[Chosen], Estimate], sources: Sequence[str]) -> Extrapolation:
    """Extrapolate a statistic to infinitely many items.

    Args:
        statistic: function that computes the estimate from a subset of the items. Its argument has one boolean for each
            item, True if the item is in the subset. It is called for all items, for the items of each half of the
            sources, and for the items of each quarter of the sources.
        sources: source of each item.
    """
    found = {count: [(part, statistic(part)) for part in parts(sources, count)] for count in COUNTS}
    values = [float(np.mean([estimate.value for _, estimate in found[count]])) for count in COUNTS]
    influence = 2 * found[1][0][1].influence
    for half, estimate in found[2]:
        influence[half] -= estimate.influence * len(half) / (2 * half.sum())
    return Extrapolation(
        sizes=tuple(len(sources) // count for count in COUNTS),
        values=tuple(values),
        limit=2 * values[0] - values[1],
        stderr=standard_error(influence, sources),
    )
