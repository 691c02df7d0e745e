"""A Fréchet distance at infinitely many items, from its values at N and N/2, with what N/4 says of the line between.

Chong and Forsyth, "Effectively unbiased FID and Inception Score and where to find them" (2020): the bias is close to
linear in 1/N. It is so where the smaller of the two sets still has about as many items as dimensions; with fewer the
bias grows more slowly than 1/N, and the value that is found here is too high.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.metrics.uncertainty import Chosen, Estimate, parts, standard_error

__all__ = ["COUNTS", "Extrapolation", "extrapolate"]

COUNTS = (1, 2, 4)
"""Numbers of parts that the items are dealt out to."""


@dataclass(frozen=True)
class Extrapolation:
    """What more items would make of a value."""

    sizes: tuple[int, ...]
    """Items in a part, for each of `COUNTS`."""
    values: tuple[float, ...]
    """Mean over the parts."""
    limit: float
    """On the line through the first two, at 1/N = 0."""
    stderr: float
    """Of the limit; NaN with fewer than two sources."""


def extrapolate(statistic: Callable[[Chosen], Estimate], sources: Sequence[str]) -> Extrapolation:
    """Follow a statistic to infinitely many items.

    Args:
        statistic: of some of the items, with the influence of each of those; defined for any of four parts.
        sources: the source of each item.
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
