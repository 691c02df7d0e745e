"""Items: files made into a square image, its mask, and what else is given, with hashes of both.

Where masks are drawn, LaMa's rule makes the item; where they are given, or nothing is known, the image is only scaled.

LaMa's `bin/gen_mask_dataset.py` (786f593) scales the shorter side to the resolution by bicubic resampling, draws masks
for the whole picture, and crops a square that touches the hole.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from bench.data.masks import MaskPreset, accept_masks
from bench.errors import BadInputError
from bench.seeding import numpy_generator

__all__ = ["Item", "Picture", "inpainting_item", "item_of_files", "read_mask", "read_rgb", "sha256_of", "square_image"]

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """The files and words that an item is made of, as an adapter yields them."""

    id: str
    """Stable name, unlike any other of the data set: its path under the root, without the suffix."""
    path: Path
    source: str
    """What it was cut from; pictures of one source are not independent."""
    mask: Path | None = None
    """A picture of the mask, white = hole; None where masks are drawn, or where nothing is known."""
    exemplar: Path | None = None
    """A picture of what is to be painted into the hole."""
    caption: str = ""
    reference: bool = True
    """Whether its image belongs to the set that a Fréchet distance is measured to; one caption of each image does."""


@dataclass(frozen=True)
class Item:
    """One thing to evaluate."""

    id: str
    source: str
    image: Pixels
    """uint8 RGB of shape (S, S, 3)."""
    mask: Pixels
    """uint8 of shape (S, S): 1 = hole, to be generated; 0 = known. All ones where only words are given."""
    caption: str = ""
    exemplar: Pixels | None = None
    """uint8 RGB of any size."""

    def __post_init__(self) -> None:
        if self.image.shape != (*self.mask.shape, 3):
            sizes = [f"{pixels.shape[0]}×{pixels.shape[1]}" for pixels in (self.image, self.mask)]
            raise BadInputError(f"item {self.id}: expected a mask of its image's size {sizes[0]}, found {sizes[1]}")

    @property
    def mask_area(self) -> float:
        """Share of the image that is hole, in [0, 1]."""
        return float(self.mask.mean())

    @property
    def image_sha256(self) -> str:
        return sha256_of(self.image)

    @property
    def mask_sha256(self) -> str:
        return sha256_of(self.mask)


def read_rgb(path: Path) -> Image.Image:
    """A picture of any mode as upright 8-bit RGB.

    EXIF orientation is applied; grey, palette, CMYK and 16-bit pictures are converted; transparency lies on white.

    Raises:
        BadInputError: the file is missing, no picture, or broken.
    """
    try:
        with Image.open(path) as opened:
            picture: Image.Image = ImageOps.exif_transpose(opened)
            if picture.mode.startswith("I;16") or picture.mode == "I":
                levels = np.asarray(picture).astype(np.int64).clip(0, 65535) // 257
                picture = Image.fromarray(levels.astype(np.uint8))
            if picture.has_transparency_data:
                layer = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
            return picture.convert("RGB")
    except FileNotFoundError:
        raise BadInputError(f"{path}: expected a picture, found no file") from None
    except UnidentifiedImageError:
        raise BadInputError(f"{path}: expected a picture, found something else") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadInputError(f"{path}: expected a whole picture, found a broken one ({error})") from error


def inpainting_item(picture: Picture, *, resolution: int, masks: MaskPreset, seed: int) -> Item | None:
    """Make an item by LaMa's rule, or None where all five masks are too large and LaMa leaves the picture out.

    Args:
        picture: the file to read.
        resolution: side of the item in pixels.
        masks: the family of masks; drawn from a generator seeded by the item's id.
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
    """A picture as uint8 RGB of shape (S, S, 3), by bicubic resampling.

    Args:
        path: of the picture.
        resolution: side in pixels.
        fit: `squash` to scale both sides to it, `crop` to scale the shorter one and cut the middle out.
    """
    rgb = read_rgb(path)
    if rgb.size == (resolution, resolution):
        return np.asarray(rgb)
    if fit == "squash":
        return np.asarray(rgb.resize((resolution, resolution), Image.Resampling.BICUBIC))
    scaled = _covering(rgb, resolution)
    left, top = ((side - resolution) // 2 for side in scaled.size)
    return np.ascontiguousarray(np.asarray(scaled)[top : top + resolution, left : left + resolution])


def read_mask(path: Path, *, resolution: int, like: tuple[int, int]) -> tuple[Pixels, int]:
    """A mask's file as uint8 of shape (S, S), 1 = hole, and how many of its pixels were neither black nor white.

    Args:
        path: a picture, white = hole; thresholded at half.
        resolution: side in pixels.
        like: width and height of its image.

    Raises:
        BadInputError: it is missing or broken, or has another size than its image.
    """
    grey = read_rgb(path).convert("L")
    if grey.size != like:
        sizes = ["×".join(map(str, size)) for size in (like, grey.size)]
        raise BadInputError(f"{path}: expected a mask of its image's size {sizes[0]}, found {sizes[1]}")
    levels = np.asarray(grey.resize((resolution, resolution), Image.Resampling.NEAREST))
    between = int(((levels > 0) & (levels < 255)).sum())
    return (levels >= 128).astype(np.uint8), between


def item_of_files(picture: Picture, *, resolution: int, fit: str) -> tuple[Item, int]:
    """An item whose mask is given, or of which nothing is known; and how many of its mask's pixels were grey.

    Args:
        picture: the files; without a mask, all of the image is to be generated.
        resolution: side of the item in pixels.
        fit: as `square_image` has it.
    """
    image = square_image(picture.path, resolution=resolution, fit=fit)
    mask, between = np.ones((resolution, resolution), np.uint8), 0
    if picture.mask is not None:
        with Image.open(picture.path) as opened:
            size = opened.size
        mask, between = read_mask(picture.mask, resolution=resolution, like=size)
    return Item(picture.id, picture.source, image, mask, picture.caption, _exemplar(picture.exemplar)), between


def _exemplar(path: Path | None) -> Pixels | None:
    return None if path is None else np.asarray(read_rgb(path))


def _covering(rgb: Image.Image, resolution: int) -> Image.Image:
    """Scaled so that the shorter side has the resolution."""
    factor = resolution / min(rgb.size)
    width, height = (max(resolution, round(side * factor)) for side in rgb.size)
    return rgb.resize((width, height), Image.Resampling.BICUBIC)


def sha256_of(pixels: Pixels) -> str:
    """SHA-256 of an image's shape and pixels."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
