"""Bins of mask area, as LaMa's evaluation makes them.

advimman/lama at 786f593: saicinpainting/evaluation/evaluator.py. Its edges are ten steps from 0 to 1. The two rules
differ only for an area exactly on an edge; of images whose sides are powers of two these areas are 0, 1/2 and 1, as no
other tenth is a whole number of pixels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["RULES", "area_bin"]

RULES = {"offline": "[a, b)", "online": "(a, b]"}
"""Whose edge an area belongs to, in short."""

EDGES = np.linspace(0, 1, 11)
"""As float64 has them: the edge at 30 % lies one bit above 0.3, so an area of 0.3 counts for the bin below it."""
CLOSE = 1e-9


def area_bin(areas: npt.ArrayLike, low: float, high: float, *, rule: str = "offline") -> npt.NDArray[np.bool_]:
    """Which items belong to a bin.

    Args:
        areas: share of hole in each item, in [0, 1], of any shape; compared as float64. LaMa's own are float32, which
            matters for an area on an edge that float32 does not have.
        low: lower edge; a tenth means LaMa's edge.
        high: upper edge, likewise.
        rule: `offline`, of the papers' tables, closed below: an area of 1/2 is in 50-60 %, and an area of 1 in the
            last bin. `online`, of the evaluation during training, closed above: an area of 1/2 is in 40-50 %, and an
            area of 0 in the first bin.

    Raises:
        ValueError: an unknown rule, edges out of order or outside [0, 1], or an area outside it.
    """
    x = np.asarray(areas, dtype=np.float64)
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError("areas must lie in [0, 1]")
    if not 0 <= low < high <= 1:
        raise ValueError(f"a bin's edges must rise within [0, 1]: found {low} and {high}")
    below, above = _edge(low), _edge(high)
    inside: npt.NDArray[np.bool_]
    if rule == "offline":
        inside = (x >= below) & ((x < above) | (above == 1))
    elif rule == "online":
        inside = ((x > below) | (below == 0)) & (x <= above)
    else:
        raise ValueError(f"unknown rule {rule!r}: expected offline or online")
    return inside


def _edge(value: float) -> float:
    nearest = float(EDGES[np.abs(EDGES - value).argmin()])
    return nearest if abs(nearest - value) < CLOSE else value
