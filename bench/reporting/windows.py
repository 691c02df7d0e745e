"""Squares of an item that are worth looking at closely, found by rule."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Window", "border_window", "known_window"]

Window = tuple[slice, slice]
"""Rows and columns of a square."""
BORDER, KNOWN = 3, 4
"""A square has this part of the picture's side."""


def border_window(mask: npt.NDArray[np.uint8]) -> Window:
    """The square of a third of the side in whose inner half most neighbours are parted by the hole's border, so that
    both sides of it are seen; of such squares the one with most of the border, and of those the first.

    Args:
        mask: S×S, 1 = hole.
    """
    border = np.zeros(mask.shape)
    border[:-1] += mask[:-1] != mask[1:]
    border[:, :-1] += mask[:, :-1] != mask[:, 1:]
    side = max(1, len(mask) // BORDER)
    rim = side // 4
    inner = _sums(border, side - 2 * rim)[rim : len(mask) - side + rim + 1, rim : len(mask) - side + rim + 1]
    return _window(inner * (2 * mask.size + 1) + _sums(border, side), side)


def known_window(mask: npt.NDArray[np.uint8], error: npt.NDArray[np.float64]) -> Window | None:
    """The wholly known square of a quarter of the side with the largest error; None where no such square is known.

    Args:
        mask: S×S, 1 = hole.
        error: S×S, not negative.
    """
    side = max(1, len(mask) // KNOWN)
    known = _sums(mask, side) == 0
    return _window(np.where(known, _sums(error, side), -1.0), side) if known.any() else None


def _sums(values: npt.NDArray[np.generic], side: int) -> npt.NDArray[np.float64]:
    """Over every square of that side, by its first row and column."""
    whole = np.pad(values.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    return np.asarray(whole[side:, side:] - whole[:-side, side:] - whole[side:, :-side] + whole[:-side, :-side])


def _window(sums: npt.NDArray[np.float64], side: int) -> Window:
    row, column = (int(place) for place in np.unravel_index(sums.argmax(), sums.shape))
    return slice(row, row + side), slice(column, column + side)
