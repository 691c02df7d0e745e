"""Masks that are read from files: which of their pixels are the hole, and which files are too unclear.

A mask is turned upright by its own EXIF orientation and must have the size of its upright picture.
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

__all__ = ["MASK_VALUES", "MaskValues", "mask_values", "read_mask"]

Pixels = npt.NDArray[np.uint8]

MASK_VALUES = "dataset.pictures.mask_values"
APART = 96
"""Smallest difference in grey levels between known pixels and hole if no values are given."""
NEAR = 0.25
"""Fraction of the distance between the two levels within which a pixel counts as one of them."""
MOST_BETWEEN = 0.1
"""Largest fraction of pixels that are near neither level, such as those of soft edges."""
SHOWN = 6
LARGEST = 255


@dataclass(frozen=True)
class MaskValues:
    """The two values in a mask's file, in 0–255; for a file with a palette, the two indices."""

    known: int
    hole: int

    def __str__(self) -> str:
        return f"[{self.known},{self.hole}]"


BLACK_AND_WHITE = MaskValues(0, LARGEST)


def mask_values(given: Sequence[Any] | None) -> MaskValues | None:
    """Read the setting `dataset.pictures.mask_values`: null, or the values of known pixels and of the hole.

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
    """Read a mask as uint8 (S, S), 1 = hole, and count the pixels that had neither of the two values.

    A pixel takes the value that it is nearer to; without given values, it is white from level 128 on. Labels have no
    values between them: they are indices of a palette, or given values closer together than `APART`.

    Args:
        path: path of a grey picture, or of one with a single channel.
        resolution: side of the result in pixels.
        like: width and height of the mask's upright image.
        values: values of known pixels and of the hole. If given, a palette's indices are compared with them;
            otherwise its colours are compared with black and white. Pictures of 16 bits use their upper 8 bits.

    Raises:
        BadInputError: the file is missing or broken, has transparent pixels or another size than its image, its
            values are not two distinct levels, or it has no hole or no known pixel, before or after scaling.
    """
    picture = _opened(path)
    indices = values is not None and picture.mode == "P"
    levels = _levels(picture, indices=indices)
    found = (levels.shape[1], levels.shape[0])
    if found != like:
        sizes = ["×".join(map(str, size)) for size in (like, found)]
        raise BadInputError(
            f"{path}: expected a mask of its image's size {sizes[0]}, found {sizes[1]} (both turned upright by EXIF)"
        )
    chosen = values or BLACK_AND_WHITE
    _refuse_unclear(path, levels, chosen, given=values is not None, indices=indices)
    scaled = np.asarray(Image.fromarray(levels).resize((resolution, resolution), Image.Resampling.NEAREST))
    hole = _is_hole(scaled, chosen)
    if hole.all() or not hole.any():
        lost = "known pixel" if hole.all() else "hole"
        raise BadInputError(
            f"{path}: expected a mask with a hole and known pixels at {resolution}×{resolution}, found no {lost} "
            "after scaling"
        )
    between = int(((scaled != chosen.known) & (scaled != chosen.hole)).sum())
    return hole.astype(np.uint8), between


def _opened(path: Path) -> Image.Image:
    """Return an upright mask without transparent pixels."""
    picture = open_picture(path)
    if picture.has_transparency_data and np.asarray(picture.convert("RGBA"))[..., 3].min() < LARGEST:
        raise BadInputError(f"{path}: expected a mask without transparency, found transparent pixels")
    return picture


def _levels(picture: Image.Image, *, indices: bool) -> Pixels:
    """Return the grey levels of a mask, or the indices of its palette, as H×W."""
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
    """Raise BadInputError unless the mask has two distinct levels, of which one is the hole's."""
    hole = _is_hole(levels, values)
    expected = f"the values {values} of {MASK_VALUES}" if given else f"black and white, or {MASK_VALUES}=[KNOWN,HOLE]"
    if hole.all() or not hole.any():
        lacks = "no known pixel" if hole.all() else "an empty hole"
        raise BadInputError(f"{path}: expected a mask of {expected}, found {lacks}: {_listed_values(levels)}")
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
        raise BadInputError(f"{path}: expected a mask of {expected}, found {_listed_values(levels)}")


def _listed_values(levels: Pixels) -> str:
    """List the values of a mask, or the most frequent ones if there are many."""
    values, counts = np.unique(levels, return_counts=True)
    shown = sorted(values[np.argsort(-counts, kind="stable")[:SHOWN]].tolist())
    if len(values) == 1:
        return f"the value {shown[0]} alone"
    more = f", and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return f"the values {', '.join(map(str, shown))}{more}"
