"""An item's pictures that are made of others: what was given, and where a row's image errs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.data.items import Item

__all__ = ["ERROR_GAIN", "error_outside", "framed", "masked"]

Pixels = npt.NDArray[np.uint8]

FRAME = (255, 0, 0)
ERROR_GAIN = 4
"""The absolute error is drawn this many times as bright."""


def masked(item: Item) -> Pixels:
    """The item's image S×S×3 with its hole white."""
    pixels: Pixels = np.where(item.mask[..., None] > 0, 255, item.image).astype(np.uint8)
    return pixels


def framed(picture: Pixels, window: tuple[slice, slice]) -> Pixels:
    """The picture S×S×3 with a frame around a square of it, a sixty-fourth of its side thick and wholly outside."""
    rows, columns = window
    thick = max(1, len(picture) // 64)
    marked = picture.copy()
    marked[max(rows.start - thick, 0) : rows.stop + thick, max(columns.start - thick, 0) : columns.stop + thick] = FRAME
    marked[window] = picture[window]
    return marked


def error_outside(item: Item, image: Pixels) -> Pixels:
    """`ERROR_GAIN` times the absolute error of an image S×S×3 over the item's known pixels; black in the hole."""
    error = ERROR_GAIN * np.abs(image.astype(np.int32) - item.image) * (item.mask[..., None] == 0)
    clipped: Pixels = error.clip(0, 255).astype(np.uint8)
    return clipped
