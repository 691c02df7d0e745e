"""Items, each made from files: a square image, its mask, and optional inputs, with hashes of image and mask.

If masks are drawn, LaMa's rule makes the item. If masks are given, or the whole image is unknown, the image is only
scaled.

LaMa's `bin/gen_mask_dataset.py` (786f593) scales the shorter side to the resolution by bicubic resampling, draws masks
for the whole picture, and crops a square that touches the hole.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.data.given_masks import MaskValues, read_mask
from bench.data.masks import MaskPreset, accept_masks
from bench.data.names import valid_id
from bench.data.pictures import read_rgb, size_of
from bench.errors import BadInputError
from bench.runtime.seeding import numpy_generator

__all__ = ["Item", "Picture", "Pictures", "inpainting_item", "item_of_files", "sha256_of", "square_image"]

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """The files and texts from which an item is made, as an adapter yields them."""

    id: str
    """Stable name, unique in the data set: the path under the root, without the suffix."""
    path: Path
    source: str
    """Original from which the picture was cut; pictures of one source are not independent."""
    mask: Path | None = None
    """Picture of the mask; None if masks are drawn, or if the whole image is unknown."""
    mask_values: MaskValues | None = None
    """Values of known pixels and hole in the mask's file; None if black is known and white is the hole."""
    exemplar: Path | None = None
    """Picture of the content to paint into the hole."""
    caption: str = ""
    reference: bool = True
    """True if its image belongs to the reference set of Fréchet distances, as one caption of each image does."""

    def __post_init__(self) -> None:
        """Make id and source one line of valid Unicode, so that every table, file and message can contain them."""
        object.__setattr__(self, "id", valid_id(self.id))
        object.__setattr__(self, "source", valid_id(self.source))


class Pictures(ABC):
    """Base class of adapters: the pictures of a data set in their order, and the way to make items of them.

    A class that does not inherit gets the same defaults.
    """

    masks: ClassVar[str] = "drawn"
    """`drawn` by LaMa's rule, `given` as files, or `whole` if the whole image is to be generated."""

    @property
    def fit(self) -> str:
        """Way to make a picture square: by default `lama`, for drawn masks; otherwise `squash` or `crop`."""
        return "lama"

    @property
    def subset(self) -> str:
        """Kind of the set: `published`, `reconstructed`, or by default `custom`."""
        return "custom"

    @property
    def left_out(self) -> Mapping[str, str]:
        """Paths that give no picture, with the reason; by default none."""
        return {}

    @abstractmethod
    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures, in the same order every time."""


@dataclass(frozen=True)
class Item:
    """An item to evaluate."""

    id: str
    source: str
    image: Pixels
    """Pixels as uint8 RGB of shape (S, S, 3)."""
    mask: Pixels
    """Mask as uint8 of shape (S, S): 1 = hole, to be generated; 0 = known. It is all ones if only a text is given."""
    caption: str = ""
    exemplar: Pixels | None = None
    """Picture of the content to paint, as uint8 RGB of any size."""

    def __post_init__(self) -> None:
        if self.image.shape != (*self.mask.shape, 3):
            sizes = [f"{pixels.shape[0]}×{pixels.shape[1]}" for pixels in (self.image, self.mask)]
            raise BadInputError(f"item {self.id}: expected a mask of its image's size {sizes[0]}, found {sizes[1]}")

    @property
    def mask_area(self) -> float:
        """Fraction of the image that is hole, in [0, 1]."""
        return float(self.mask.mean())

    @property
    def image_sha256(self) -> str:
        return sha256_of(self.image)

    @property
    def mask_sha256(self) -> str:
        return sha256_of(self.mask)


def inpainting_item(picture: Picture, *, resolution: int, masks: MaskPreset, seed: int) -> Item | None:
    """Make an item by LaMa's rule; return None if all five masks are too large, because LaMa leaves such a picture out.

    Args:
        picture: the picture to read.
        resolution: side of the item in pixels.
        masks: the family of masks; they are drawn from a generator that is seeded by the item's id.
        seed: the run's seed.
    """
    scaled = np.asarray(_covering(read_rgb(picture.path), resolution))
    height, width = scaled.shape[:2]
    accepted = accept_masks(masks, height, width, numpy_generator(seed, picture.id, "mask"))
    if accepted is None:
        return None
    mask, (left, top, side) = accepted
    image = np.ascontiguousarray(scaled[top : top + side, left : left + side])
    return Item(picture.id, picture.source, image, mask, picture.caption, _exemplar(picture.exemplar))


def square_image(path: Path, *, resolution: int, fit: str) -> Pixels:
    """Read a picture as uint8 RGB of shape (S, S, 3), scaled by bicubic resampling.

    Args:
        path: path of the picture.
        resolution: side of the result in pixels.
        fit: `squash` scales both sides to the resolution; `crop` scales the shorter side and cuts out the centre.
    """
    rgb = read_rgb(path)
    if rgb.size == (resolution, resolution):
        return np.asarray(rgb)
    if fit == "squash":
        return np.asarray(rgb.resize((resolution, resolution), Image.Resampling.BICUBIC))
    scaled = _covering(rgb, resolution)
    left, top = ((side - resolution) // 2 for side in scaled.size)
    return np.ascontiguousarray(np.asarray(scaled)[top : top + resolution, left : left + resolution])


def item_of_files(picture: Picture, *, resolution: int, fit: str) -> tuple[Item, int]:
    """Make an item whose mask is given or whose whole image is unknown; also return the number of its mask's grey
    pixels.

    Args:
        picture: the files; without a mask, the whole image is to be generated.
        resolution: side of the item in pixels.
        fit: see `square_image`.

    Raises:
        BadInputError: a file is missing or broken, or `read_mask` refuses the mask.
    """
    image = square_image(picture.path, resolution=resolution, fit=fit)
    mask, between = np.ones((resolution, resolution), np.uint8), 0
    if picture.mask is not None:
        size = size_of(picture.path)
        mask, between = read_mask(picture.mask, resolution=resolution, like=size, values=picture.mask_values)
    return Item(picture.id, picture.source, image, mask, picture.caption, _exemplar(picture.exemplar)), between


def _exemplar(path: Path | None) -> Pixels | None:
    return None if path is None else np.asarray(read_rgb(path))


def _covering(rgb: Image.Image, resolution: int) -> Image.Image:
    """Scale a picture so that its shorter side has the resolution."""
    factor = resolution / min(rgb.size)
    width, height = (max(resolution, round(side * factor)) for side in rgb.size)
    return rgb.resize((width, height), Image.Resampling.BICUBIC)


def sha256_of(pixels: Pixels) -> str:
    """Return the SHA-256 of an image's shape and pixels."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
