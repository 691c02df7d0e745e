"""Functions that compute pictures for figures, such as the error of a row, and that embed pictures in pages."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bench.data.items import Item

__all__ = ["AT_ONCE", "ERROR_GAIN", "Images", "Pixels", "data_url", "error_outside", "framed", "given", "masked"]

Pixels = npt.NDArray[np.uint8]
Images = Callable[[Sequence[int]], tuple[list[Item], Mapping[str, Pixels]]]
"""Function that takes indices of the manifest. It returns the items there, and the images N×S×S×3 of each row."""

AT_ONCE = 256_000_000
"""Largest size in bytes of the uncompressed images that are in memory at the same time."""

FRAME = (255, 0, 0)
ERROR_GAIN = 4
"""Factor by which the absolute error is multiplied in a picture of the error, so that small errors are visible."""


def data_url(content: bytes, kind: str = "png") -> str:
    """Return a picture as a `data:` address, so that a page with this picture loads no other file.

    Args:
        content: content of the picture's file.
        kind: format of the file, as in its media type, such as `png` or `webp`.
    """
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def masked(item: Item) -> Pixels:
    """Return the item's image S×S×3, in which all pixels of the hole are white."""
    pixels: Pixels = np.where(item.mask[..., None] > 0, 255, item.image).astype(np.uint8)
    return pixels


def given(item: Item) -> dict[str, tuple[str, Pixels]]:
    """Return the pictures that a task gives: `input`, `masked` and `exemplar`, each with its label.

    A picture that the item does not have is left out. An item without known pixels has no masked picture.
    """
    known = bool((item.mask == 0).any())
    found = {}
    if item.pictured:
        found["input"] = ("input" if known else "the caption's own picture", item.image)
    if known:
        found["masked"] = ("masked", masked(item))
    if item.exemplar is not None:
        found["exemplar"] = ("to be painted", item.exemplar)
    return found


def framed(picture: Pixels, window: tuple[slice, slice]) -> Pixels:
    """Return a picture S×S×3 with a red frame around a window.

    The frame is S/64 pixels wide, but at least 1 pixel. It lies outside the window and covers none of the window's
    pixels.

    Args:
        picture: picture S×S×3.
        window: rows and columns of the window.
    """
    rows, columns = window
    width = max(1, len(picture) // 64)
    marked = picture.copy()
    marked[max(rows.start - width, 0) : rows.stop + width, max(columns.start - width, 0) : columns.stop + width] = FRAME
    marked[window] = picture[window]
    return marked


def error_outside(item: Item, image: Pixels) -> Pixels:
    """Return a picture S×S×3 of the absolute error over the known pixels, multiplied by `ERROR_GAIN`.

    The pixels of the hole are black.

    Args:
        item: item with the true image and the mask.
        image: image S×S×3 that a row made of the item.
    """
    error = ERROR_GAIN * np.abs(image.astype(np.int32) - item.image) * (item.mask[..., None] == 0)
    clipped: Pixels = error.clip(0, 255).astype(np.uint8)
    return clipped
