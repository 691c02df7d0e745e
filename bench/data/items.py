"""Makes items from the files of a data set. An item is a square image with a mask.

An item also has a caption or an exemplar if the data set contains one for the picture. If masks are drawn, an item is
made by LaMa's rule. If masks are given as files, or if the whole image is to be generated, the picture is only made
square and scaled.

LaMa's rule is defined by LaMa's `bin/gen_mask_dataset.py` (786f593). The picture is scaled by bicubic resampling until
its shorter side has the resolution. Then masks are drawn for the whole picture, and a square that touches the hole is
cut out.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.data.given_masks import MaskValues, read_mask
from bench.data.masks import MaskPreset, accept_masks
from bench.data.names import valid_id
from bench.data.pictures import read_rgb, size_of
from bench.data.squaring import Squaring
from bench.data.words import Word
from bench.errors import BadInputError
from bench.runtime.seeding import numpy_generator

__all__ = [
    "Item",
    "Picture",
    "Pictures",
    "inpainting_item",
    "item_of_files",
    "sha256_of",
    "square_image",
    "unpictured_item",
]

Pixels = npt.NDArray[np.uint8]

GREY = 128
"""Level of all pixels of an item without a picture."""


@dataclass(frozen=True)
class Picture:
    """The files and texts from which one item is made. The adapter of a data set yields one such object per item."""

    id: str
    """Name of the item, which must be unique in the data set and the same in every run, such as a relative path."""
    path: Path | None
    """File of the picture; None if there is only a caption, from which a whole image is to be generated."""
    source: str
    """Name of the original picture from which this picture was cut. Pictures of one source are not independent."""
    mask: Path | None = None
    """File of the mask. None if masks are drawn, or if the whole image is to be generated."""
    mask_values: MaskValues | None = None
    """Values of known pixels and of the hole in the mask's file. None if black is known and white is the hole."""
    exemplar: Path | None = None
    """Picture of the content to paint into the hole."""
    caption: str = ""
    words: tuple[Word, ...] | None = None
    """Words that are written in the picture, with boxes in pixels of the picture. An empty tuple means that there is no
    word; None means that nothing is known about words."""
    reference: bool = True
    """True if the image belongs to the true images with which Fréchet distances compare a row.

    An image with several captions gives several items. This is True for only one of them, so that the image counts
    once. If there is only a caption, the value becomes False.
    """

    def __post_init__(self) -> None:
        """Convert `id` and `source` to one line of valid Unicode, so that every table and message can contain them.

        If `path` is None, also set `reference` to False.
        """
        if self.path is None:
            object.__setattr__(self, "reference", False)
        object.__setattr__(self, "id", valid_id(self.id))
        object.__setattr__(self, "source", valid_id(self.source))


class Pictures(ABC):
    """Base class of the adapters of data sets. An adapter yields pictures, and says how items are made from them.

    An adapter may also be an object of a class that does not inherit from this one. The defaults of this class are then
    used for the properties that the object lacks.
    """

    @property
    def masks(self) -> str:
        """Origin of the masks: `drawn` by LaMa's rule (the default), `given` as files, or `whole`.

        `whole` means that the whole image is the hole.
        """
        return "drawn"

    @property
    def fit(self) -> str:
        """Way to make a picture square: `lama` (the default), `squash` or `crop`.

        `lama` means LaMa's rule, which draws masks. `squash` scales both sides to the resolution. `crop` scales the
        shorter side and cuts out the centre.
        """
        return "lama"

    @property
    def filter(self) -> str:
        """Filter with which a picture is scaled, one of `bench.data.squaring.FILTERS`; `bicubic` by default."""
        return "bicubic"

    @property
    def crop_offset(self) -> int:
        """Number of pixels by which the square of `crop` is moved along the longer side; 0 by default."""
        return 0

    @property
    def dataset(self) -> str:
        """Name of the data set that a protocol states, such as `COCO 2017`; empty (the default) for any other set."""
        return ""

    @property
    def split(self) -> str:
        """Name of the data set's split, such as `val`; empty by default."""
        return ""

    @property
    def pictured(self) -> bool:
        """True (the default) if each item has a true picture; False if the items are captions only."""
        return True

    @property
    def subset(self) -> str:
        """Relation of the set of pictures to the paper's set.

        `published` is the set of the paper, `reconstructed` is selected by the paper's rule, and `custom` (the default)
        is any other set.
        """
        return "custom"

    @property
    def left_out(self) -> Mapping[str, str]:
        """Paths of files and folders that are not used as a picture, each with the reason. Empty by default."""
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
    """Mask as uint8 of shape (S, S): 1 = hole, to be generated; 0 = known. It is all ones if the whole image is to be
    generated.
    """
    caption: str = ""
    exemplar: Pixels | None = None
    """Picture of the content to paint into the hole, as uint8 RGB of shape (H, W, 3) for any H and W."""
    pictured: bool = True
    """True if `image` is the true picture of the item; False if the item has no picture and `image` is only grey."""
    words: tuple[Word, ...] | None = None
    """Words that are written in the image; None if nothing is known about words."""

    def __post_init__(self) -> None:
        if self.image.shape != (*self.mask.shape, 3):
            sizes = [f"{pixels.shape[0]}×{pixels.shape[1]}" for pixels in (self.image, self.mask)]
            raise BadInputError(
                f"item {self.id}: expected an RGB image and a mask of the same height and width, found an image of "
                f"{sizes[0]} and a mask of {sizes[1]}"
            )
        for word in self.words or ():
            if not word.fits(self.mask.shape):
                raise BadInputError(
                    f"item {self.id}: expected the box of each word inside the image of {self.mask.shape[1]}×"
                    f"{self.mask.shape[0]} pixels, found the columns {word.left} to {word.right} and the rows "
                    f"{word.top} to {word.bottom} for {word.text!r}"
                )

    @property
    def mask_area(self) -> float:
        """Fraction of the pixels that lie in the hole, in [0, 1]."""
        return float(self.mask.mean())

    @property
    def image_sha256(self) -> str:
        return sha256_of(self.image)

    @property
    def mask_sha256(self) -> str:
        return sha256_of(self.mask)


def inpainting_item(
    picture: Picture, *, resolution: int, masks: MaskPreset, seed: int, squaring: Squaring | None = None
) -> Item | None:
    """Make an item with a drawn mask by LaMa's rule.

    Args:
        picture: files and texts of the item.
        resolution: side of the item in pixels.
        masks: family of masks from which five masks are drawn. The random values depend on `seed` and on the item's id.
        seed: seed of the run.
        squaring: way to make a picture square. Only its filter is used. None means bicubic resampling, as in LaMa.

    Returns:
        The item, or None if all five masks cover too much of the image. LaMa leaves such a picture out.

    Raises:
        BadInputError: the item has no picture, the file of the picture or of the exemplar is missing or broken, or the
            boxes of words are known, which belong to the picture before it is scaled.
    """
    if picture.path is None:
        raise BadInputError(f"item {picture.id}: expected a picture in which a mask can be drawn, found no picture")
    if picture.words is not None:
        raise BadInputError(
            f"item {picture.id}: expected that its mask is a file, because the boxes of its words are given, found "
            "that masks are drawn"
        )
    scaled = np.asarray((squaring or Squaring()).covering(read_rgb(picture.path), resolution))
    height, width = scaled.shape[:2]
    accepted = accept_masks(masks, height, width, numpy_generator(seed, picture.id, "mask"))
    if accepted is None:
        return None
    mask, (left, top, side) = accepted
    image = np.ascontiguousarray(scaled[top : top + side, left : left + side])
    return Item(picture.id, picture.source, image, mask, picture.caption, _exemplar(picture.exemplar))


def square_image(path: Path, *, resolution: int, squaring: Squaring) -> Pixels:
    """Read a picture, make it square, and return it as uint8 RGB of shape (resolution, resolution, 3).

    A picture that already has the right size is not changed.

    Args:
        path: path of the picture.
        resolution: side of the result in pixels.
        squaring: way to make the picture square.
    """
    return np.ascontiguousarray(np.asarray(squaring.square(read_rgb(path), resolution)))


def item_of_files(picture: Picture, *, resolution: int, squaring: Squaring) -> tuple[Item, int]:
    """Make an item whose mask is given as a file, or whose whole image is to be generated.

    Args:
        picture: files and texts of the item. If its `mask` is None, the mask of the item is all ones. If its `path` is
            None, the image of the item is grey.
        resolution: side of the item in pixels.
        squaring: way to make the picture square.

    Returns:
        The item, and the number of pixels of its mask that had neither of the mask's two values in the file, such as
            grey pixels.

    Raises:
        BadInputError: a file is missing or broken, `read_mask` refuses the mask, or the boxes of words are known and
            the picture has another size than the item, so that the boxes would be wrong.
    """
    mask, between = np.ones((resolution, resolution), np.uint8), 0
    if picture.path is None:
        return unpictured_item(picture.id, picture.source, picture.caption, resolution), between
    image = square_image(picture.path, resolution=resolution, squaring=squaring)
    size = size_of(picture.path)
    if picture.words is not None and size != (resolution, resolution):
        raise BadInputError(
            f"{picture.path}: expected a picture of {resolution}×{resolution} pixels, because the boxes of its words "
            f"are given for this size, found {size[0]}×{size[1]}"
        )
    if picture.mask is not None:
        mask, between = read_mask(picture.mask, resolution=resolution, like=size, values=picture.mask_values)
    exemplar = _exemplar(picture.exemplar)
    return Item(picture.id, picture.source, image, mask, picture.caption, exemplar, words=picture.words), between


def unpictured_item(name: str, source: str, caption: str, resolution: int) -> Item:
    """Return the item of a caption without a picture. Its image is grey, and the whole image is to be generated."""
    image = np.full((resolution, resolution, 3), GREY, np.uint8)
    return Item(name, source, image, np.ones((resolution, resolution), np.uint8), caption, pictured=False)


def _exemplar(path: Path | None) -> Pixels | None:
    return None if path is None else np.asarray(read_rgb(path))


def sha256_of(pixels: Pixels) -> str:
    """Return the SHA-256 of the shape and the pixels of an image or mask, as 64 hexadecimal digits."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
