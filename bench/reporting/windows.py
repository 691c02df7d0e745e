"""Functions that choose a window of a picture. The window shows the hole's border, an error or a word in detail."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.data.words import Word

__all__ = ["RATIO", "Window", "border_window", "known_window", "word_window"]

Window = tuple[slice, slice]
"""Rows and columns of a part of a picture."""
RATIO = 2.4
"""Width of the window on a word, divided by its height."""
AROUND = 2
"""Smallest number of pixels between the box of a word and the edge of its window, if the picture is large enough."""
BORDER, KNOWN = 3, 4
"""Side of the picture divided by the side of a window, for a window on a border and for a fully known window."""


def border_window(mask: npt.NDArray[np.uint8]) -> Window:
    """Return the window that shows the longest border between the hole and the known region.

    The side of the window is a third of the image's side. Only the border in the inner half of the window is counted,
    so that the hole and the known region are visible around the border. Among windows with equal counts, the one with
    the longest border in the whole window is returned. If several windows are still equal, the first one is returned.

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
    """Return the fully known window with the largest sum of errors; None if there is no fully known window.

    The side of the window is a quarter of the image's side.

    Args:
        mask: mask S×S, 1 = hole.
        error: error S×S of each pixel, not negative.
    """
    side = max(1, len(mask) // KNOWN)
    known = _sums(mask, side) == 0
    return _window(np.where(known, _sums(error, side), -1.0), side) if known.any() else None


def word_window(word: Word, side: int) -> Window:
    """Return the window that shows a word with a little of what surrounds it.

    Windows of all words have the same ratio of sides, unless the picture is too small for it.

    Args:
        word: the word.
        side: side of the square picture in pixels.
    """
    high, wide = word.bottom - word.top + 2 * AROUND, word.right - word.left + 2 * AROUND
    width = min(side, max(wide, round(RATIO * high)))
    height = min(side, max(high, round(width / RATIO)))
    top = min(max(0, (word.top + word.bottom - height) // 2), side - height)
    left = min(max(0, (word.left + word.right - width) // 2), side - width)
    return slice(top, top + height), slice(left, left + width)


def _sums(values: npt.NDArray[np.generic], side: int) -> npt.NDArray[np.float64]:
    """Return the sums of `values` over all squares with the given side.

    Args:
        values: values H×W.
        side: number of rows and of columns of each square.

    Returns:
        Sums (H-side+1)×(W-side+1), indexed by the first row and the first column of the square.
    """
    whole = np.pad(values.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    return np.asarray(whole[side:, side:] - whole[:-side, side:] - whole[side:, :-side] + whole[:-side, :-side])


def _window(sums: npt.NDArray[np.float64], side: int) -> Window:
    row, column = (int(place) for place in np.unravel_index(sums.argmax(), sums.shape))
    return slice(row, row + side), slice(column, column + side)
