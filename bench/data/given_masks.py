"""Reads masks from files: decides which pixels are the hole, and refuses files in which this is not clear.

A mask is turned upright by the EXIF orientation in the file of the mask. Its size must then equal the size of the
upright picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.data.pictures import open_picture
from bench.errors import BadInputError

__all__ = ["MASK_VALUES", "MaskValues", "mask_levels", "mask_values", "read_mask"]

Pixels = npt.NDArray[np.uint8]

MASK_VALUES = "dataset.pictures.mask_values"
APART = 96
"""Smallest difference between the grey levels of known pixels and of the hole, if `mask_values` is not set."""
NEAR = 0.25
"""Largest distance at which a pixel is near one of the two levels, as a fraction of their difference."""
MOST_BETWEEN = 0.1
"""Largest fraction of a mask's pixels that may be near neither of the two levels, such as pixels of soft edges."""
SHOWN = 6
LARGEST = 255


@dataclass(frozen=True)
class MaskValues:
    """The values from 0 to 255 that mean known pixels and hole in a mask's file.

    If the file has a palette, they are indices of the palette. Otherwise, they are grey levels.
    """

    known: int
    hole: int

    def __str__(self) -> str:
        return f"[{self.known},{self.hole}]"


BLACK_AND_WHITE = MaskValues(0, LARGEST)


def mask_values(given: Sequence[Any] | None) -> MaskValues | None:
    """Check the setting `dataset.pictures.mask_values` and convert it.

    Args:
        given: value of the setting: the value of known pixels and the value of the hole, or None.

    Returns:
        The two values, or None if the setting is None.

    Raises:
        BadInputError: the setting is not a pair of different integers from 0 to 255.
    """
    if given is None:
        return None
    values = list(given) if isinstance(given, list | tuple) else []
    whole = all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one <= LARGEST for one in values)
    if len(values) != 2 or not whole or values[0] == values[1]:
        raise BadInputError(
            f"{MASK_VALUES}: expected [KNOWN,HOLE], two different whole numbers from 0 to {LARGEST}, found {given!r}"
        )
    return MaskValues(*values)


def read_mask(
    path: Path, *, resolution: int, like: tuple[int, int], values: MaskValues | None = None
) -> tuple[Pixels, int]:
    """Read a mask, and scale it by taking the nearest pixel.

    A pixel belongs to the hole if its value is nearer to the value of the hole than to the value of known pixels. If
    `values` is None, the pixels with a grey level of 128 or more are therefore the hole.

    The mask must have two distinct levels, one for known pixels and one for the hole. If `values` are given, they are
    the two levels. If `values` is None, the levels are the median of the known pixels and the median of the hole, and
    they must differ by `APART` or more. At most 10 % of the pixels (`MOST_BETWEEN`) may be far from both levels, as at
    a soft edge. If `values` are given, the pixels that are far from both levels must lie between the two levels. If the
    levels are indices of a palette, or if the given values differ by less than `APART`, every pixel must have exactly
    one of the two levels.

    Args:
        path: path of the mask's file. Colours are converted to grey, and of 16-bit values the upper 8 bits are used.
        resolution: side of the result in pixels.
        like: width and height in pixels of the image to which the mask belongs, after the image is turned upright.
        values: values of known pixels and of the hole. In a file with a palette, they are indices of the palette. None
            means that black is known and white is the hole, and the colours of a palette are then converted to grey.

    Returns:
        The mask as uint8 of shape (resolution, resolution), 1 = hole; and the number of pixels of the scaled mask that
            had neither of the two values in the file.

    Raises:
        BadInputError: the file is missing or broken, has transparent pixels, or does not have the size `like`; or the
            pixels do not have two distinct levels; or the mask has no hole or no known pixel, before or after
            scaling.
    """
    picture = _opened(path)
    indices = values is not None and picture.mode == "P"
    levels = _levels(picture, indices=indices)
    found = (levels.shape[1], levels.shape[0])
    if found != like:
        sizes = ["×".join(map(str, size)) for size in (like, found)]
        raise BadInputError(
            f"{path}: expected a mask with the size of its image, {sizes[0]}, found {sizes[1]} (sizes after any EXIF "
            "rotation)"
        )
    chosen = values or BLACK_AND_WHITE
    _refuse_unclear(path, levels, chosen, given=values is not None, indices=indices)
    scaled = np.asarray(Image.fromarray(levels).resize((resolution, resolution), Image.Resampling.NEAREST))
    hole = _is_hole(scaled, chosen)
    if hole.all() or not hole.any():
        lost = "known pixel" if hole.all() else "hole"
        raise BadInputError(
            f"{path}: expected a mask with a hole and known pixels after scaling to {resolution}×{resolution}, found "
            f"no {lost}"
        )
    between = int(((scaled != chosen.known) & (scaled != chosen.hole)).sum())
    return hole.astype(np.uint8), between


def mask_levels(path: Path) -> Pixels:
    """Read a mask as grey levels, uint8 of shape (H, W), after it is turned upright. Soft edges are kept.

    Args:
        path: path of the mask's file. Colours are converted to grey, and of 16-bit values the upper 8 bits are used.

    Raises:
        BadInputError: the file is missing or broken, or has transparent pixels.
    """
    return _levels(_opened(path), indices=False)


def _opened(path: Path) -> Image.Image:
    """Read the picture of a mask and turn it upright. Raise BadInputError if it has transparent pixels."""
    picture = open_picture(path)
    if picture.has_transparency_data and np.asarray(picture.convert("RGBA"))[..., 3].min() < LARGEST:
        raise BadInputError(f"{path}: expected a mask without transparency, found transparent pixels")
    return picture


def _levels(picture: Image.Image, *, indices: bool) -> Pixels:
    """Return the grey levels of a mask, or its palette indices if `indices` is True, as uint8 of shape (H, W)."""
    if indices:
        return np.array(picture)
    if picture.mode not in ("1", "L"):
        picture = picture.convert("RGB").convert("L")
    return np.array(picture.convert("L"))


def _is_hole(levels: Pixels, values: MaskValues) -> npt.NDArray[np.bool_]:
    signed = levels.astype(np.int16)
    is_hole: npt.NDArray[np.bool_] = np.abs(signed - values.hole) < np.abs(signed - values.known)
    return is_hole


def _refuse_unclear(path: Path, levels: Pixels, values: MaskValues, *, given: bool, indices: bool) -> None:
    """Raise BadInputError unless a mask has two clearly different levels, one for the hole and one for known pixels.

    Args:
        path: path of the mask, for the message.
        levels: grey levels or palette indices of the mask, of shape (H, W).
        values: values of known pixels and of the hole.
        given: True if the user has set the values; False if they are black and white by default.
        indices: True if `levels` are indices of a palette.
    """
    hole = _is_hole(levels, values)
    expected = (
        f"a mask with the values {values}, which {MASK_VALUES} sets"
        if given
        else f"a mask in black and white, because {MASK_VALUES}=[KNOWN,HOLE] is not set"
    )
    if hole.all() or not hole.any():
        lacks = "no known pixel" if hole.all() else "no pixel of the hole"
        raise BadInputError(f"{path}: expected {expected}, found {lacks}: {_listed_values(levels)}")
    # Without given values, the medians of the file's own levels are used, so that grey and white can be distinguished.
    levels_of = (
        (values.known, values.hole) if given else tuple(float(np.median(levels[part])) for part in (~hole, hole))
    )
    distance = abs(levels_of[1] - levels_of[0])
    labels = indices or (given and distance < APART)
    distances = np.abs(levels[..., None].astype(np.float32) - np.array(levels_of, np.float32)).min(-1)
    lowest, highest = sorted(levels_of)
    between = distances > (0 if labels else NEAR * distance)
    outside = between & ((levels < lowest) | (levels > highest))
    unclear = between.mean() > (0 if labels else MOST_BETWEEN) or (given and bool(outside.any()))
    if unclear or (not given and distance < APART):
        raise BadInputError(f"{path}: expected {expected}, found {_listed_values(levels)}")


def _listed_values(levels: Pixels) -> str:
    """Return a text for a message that lists the values in a mask. At most the six most frequent values are listed."""
    values, counts = np.unique(levels, return_counts=True)
    shown = sorted(values[np.argsort(-counts, kind="stable")[:SHOWN]].tolist())
    if len(values) == 1:
        return f"only the value {shown[0]}"
    more = f", and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return f"the values {', '.join(map(str, shown))}{more}"
