"""Bins of mask area, as in LaMa's evaluation.

The source is advimman/lama at 786f593: saicinpainting/evaluation/evaluator.py. LaMa's edges divide the range from 0 to
1 into ten equal bins.

LaMa has two rules for an area that lies exactly on an edge. For every other area, both rules give the same bin. If the
height and the width of an image are powers of two, an area can lie on an edge only at 0, 1/2 and 1. No other tenth of
such an image is a whole number of pixels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["RULES", "area_bin"]

RULES = {"offline": "[a, b)", "online": "(a, b]"}
"""Names of the rules for an area on an edge. Each value shows which end of the interval belongs to the bin."""

EDGES = np.linspace(0, 1, 11)
"""Edges of the bins in float64. Because of rounding, the edge at 30 % is not 0.3 but the next larger number. An area of
exactly 0.3 therefore belongs to the bin below this edge. The same is true at 60 % and at 70 %."""
CLOSE = 1e-9


def area_bin(areas: npt.ArrayLike, low: float, high: float, *, rule: str = "offline") -> npt.NDArray[np.bool_]:
    """Return which items belong to a bin, as booleans in the shape of `areas`.

    Args:
        areas: array of any shape with the mask area of each item: the share of pixels that lie in the hole, in [0, 1].
            Areas are compared as float64. LaMa compares float32 values. In LaMa, an area close to an edge can therefore
            be in the neighbouring bin.
        low: lower edge of the bin in [0, 1]. A multiple of 1/10 is replaced by the nearest number in `EDGES`.
        high: upper edge of the bin in [0, 1], larger than `low`. A multiple of 1/10 is replaced in the same way.
        rule: `offline` is the rule of the tables in papers: the lower edge belongs to the bin. An area of 1/2 is in the
            bin 50-60 %, and an area of 1 is in the last bin. `online` is the rule of the evaluation during training:
            the upper edge belongs to the bin. An area of 1/2 is in the bin 40-50 %, and an area of 0 is in the first
            bin.

    Raises:
        ValueError: an unknown rule, edges out of order or outside [0, 1], or an area outside [0, 1].
    """
    x = np.asarray(areas, dtype=np.float64)
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError("mask areas must lie in [0, 1]")
    if not 0 <= low < high <= 1:
        raise ValueError(f"a bin's edges must satisfy 0 <= low < high <= 1: found {low} and {high}")
    below, above = _edge(low), _edge(high)
    inside: npt.NDArray[np.bool_]
    if rule == "offline":
        inside = (x >= below) & ((x < above) | (above == 1))
    elif rule == "online":
        inside = ((x > below) | (below == 0)) & (x <= above)
    else:
        raise ValueError(f"unknown rule of the bins {rule!r}: expected offline or online")
    return inside


def _edge(value: float) -> float:
    nearest = float(EDGES[np.abs(EDGES - value).argmin()])
    return nearest if abs(nearest - value) < CLOSE else value
