"""Square windows of an item that show its border or its error best, chosen by a rule."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Window", "border_window", "known_window"]

Window = tuple[slice, slice]
"""Rows and columns of a square."""
BORDER, KNOWN = 3, 4
"""Divisors of the picture's side that give the side of a window, for borders and for known squares."""


def border_window(mask: npt.NDArray[np.uint8]) -> Window:
    """Return the square of a third of the side that shows most of the hole's border.

    The border is counted in the square's inner half, so that both of its sides are seen. If several squares have the
    same count there, the one with most of the border is taken, and of those the first.

    Args:
        mask: mask S×S, 1 = hole.
    """
    border = np.zeros(mask.shape)
    border[:-1] += mask[:-1] != mask[1:]
    border[:, :-1] += mask[:, :-1] != mask[:, 1:]
    side = max(1, len(mask) // BORDER)
    rim = side // 4
    inner = _sums(border, side - 2 * rim)[rim : len(mask) - side + rim + 1, rim : len(mask) - side + rim + 1]
    return _window(inner * (2 * mask.size + 1) + _sums(border, side), side)


def known_window(mask: npt.NDArray[np.uint8], error: npt.NDArray[np.float64]) -> Window | None:
    """Return the fully known square of a quarter of the side with the largest error; None if there is none.

    Args:
        mask: mask S×S, 1 = hole.
        error: error S×S of each pixel, not negative.
    """
    side = max(1, len(mask) // KNOWN)
    known = _sums(mask, side) == 0
    return _window(np.where(known, _sums(error, side), -1.0), side) if known.any() else None


def _sums(values: npt.NDArray[np.generic], side: int) -> npt.NDArray[np.float64]:
    """Return the sum of the values over every square of a side, indexed by the square's first row and column."""
    whole = np.pad(values.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    return np.asarray(whole[side:, side:] - whole[:-side, side:] - whole[side:, :-side] + whole[:-side, :-side])


def _window(sums: npt.NDArray[np.float64], side: int) -> Window:
    row, column = (int(place) for place in np.unravel_index(sums.argmax(), sums.shape))
    return slice(row, row + side), slice(column, column + side)
