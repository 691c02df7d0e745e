"""The Fréchet distance extrapolated to infinitely many items from its values at N and N/2; N/4 checks the linearity.

The bias is close to linear in 1/N (Chong and Forsyth, "Effectively unbiased FID and Inception Score and where to find
them", 2020). This holds if the smaller of the two sets still has about as many items as dimensions. With fewer items
the bias grows more slowly than 1/N, and the extrapolated value is too high.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.metrics.uncertainty import Chosen, Estimate, parts, standard_error

__all__ = ["COUNTS", "Extrapolation", "extrapolate"]

COUNTS = (1, 2, 4)
"""The items are divided once for each of these numbers of parts."""


@dataclass(frozen=True)
class Extrapolation:
    """The value of a statistic extrapolated to infinitely many items."""

    sizes: tuple[int, ...]
    """Number of items in a part, for each of `COUNTS`."""
    values: tuple[float, ...]
    """Mean value over the parts, for each of `COUNTS`."""
    limit: float
    """Value at 1/N = 0 on the line through the first two values."""
    stderr: float
    """Standard error of the limit; NaN with fewer than two sources."""


def extrapolate(statistic: Callable[[Chosen], Estimate], sources: Sequence[str]) -> Extrapolation:
    """Extrapolate a statistic to infinitely many items.

    Args:
        statistic: function that returns the estimate for a subset of the items; it must be defined for each of four
            parts.
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
