"""Pictures computed from an item's image: the masked input, a frame around a window, and a row's error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.data.items import Item

__all__ = ["ERROR_GAIN", "error_outside", "framed", "masked"]

Pixels = npt.NDArray[np.uint8]

FRAME = (255, 0, 0)
ERROR_GAIN = 4
"""Factor by which the drawn absolute error is brighter than the error itself."""


def masked(item: Item) -> Pixels:
    """Return the item's image S×S×3 with its hole white."""
    pixels: Pixels = np.where(item.mask[..., None] > 0, 255, item.image).astype(np.uint8)
    return pixels


def framed(picture: Pixels, window: tuple[slice, slice]) -> Pixels:
    """Return the picture S×S×3 with a frame around a square window; the frame is S/64 wide and outside the window."""
    rows, columns = window
    width = max(1, len(picture) // 64)
    marked = picture.copy()
    marked[max(rows.start - width, 0) : rows.stop + width, max(columns.start - width, 0) : columns.stop + width] = FRAME
    marked[window] = picture[window]
    return marked


def error_outside(item: Item, image: Pixels) -> Pixels:
    """Return `ERROR_GAIN` times the absolute error of an image S×S×3 over known pixels, with black in the hole."""
    error = ERROR_GAIN * np.abs(image.astype(np.int32) - item.image) * (item.mask[..., None] == 0)
    clipped: Pixels = error.clip(0, 255).astype(np.uint8)
    return clipped
