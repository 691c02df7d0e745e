"""Bins of mask area, as in LaMa's evaluation.

The source is advimman/lama at 786f593: saicinpainting/evaluation/evaluator.py. Its edges divide 0 to 1 into ten steps.
The two rules differ only for an area exactly on an edge. If the sides of an image are powers of two, such an area can
only be 0, 1/2 or 1, because no other tenth is a whole number of pixels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["RULES", "area_bin"]

RULES = {"offline": "[a, b)", "online": "(a, b]"}
"""Rules for an area on an edge, each with its half-open interval."""

EDGES = np.linspace(0, 1, 11)
"""Edges of the bins in float64: the edge at 30 % lies one bit above 0.3, so an area of 0.3 belongs to the bin below."""
CLOSE = 1e-9


def area_bin(areas: npt.ArrayLike, low: float, high: float, *, rule: str = "offline") -> npt.NDArray[np.bool_]:
    """Return which items belong to a bin.

    Args:
        areas: share of hole in each item, in [0, 1], of any shape; compared as float64. LaMa uses float32, which can
            give another bin for an area on an edge that float32 cannot represent.
        low: lower edge in [0, 1]; a tenth means LaMa's edge.
        high: upper edge in [0, 1]; a tenth means LaMa's edge.
        rule: `offline` for the rule of the papers' tables, closed below: an area of 1/2 is in 50-60 %, and an area of 1
            in the last bin. `online` for the rule of the evaluation during training, closed above: an area of 1/2 is in
            40-50 %, and an area of 0 in the first bin.

    Raises:
        ValueError: an unknown rule, edges out of order or outside [0, 1], or an area outside [0, 1].
    """
    x = np.asarray(areas, dtype=np.float64)
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError("areas must lie in [0, 1]")
    if not 0 <= low < high <= 1:
        raise ValueError(f"a bin's edges must satisfy 0 <= low < high <= 1: found {low} and {high}")
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
