"""Predictions: a row read from a folder of images that somebody made, whatever made them.

Names are matched by the item's id, in the habits of the programs that make such folders: `ID.png` (the authors' code,
Paint-by-Example's `results`), and LaMa's predict.py, which names its pictures after their masks, `ID_mask.png` or
`ID_mask000.png`. Sizes are checked, never mended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from bench.data.items import read_rgb
from bench.data.manifest import Items
from bench.errors import BadInputError
from bench.generation.decoding import Batch
from bench.generation.latents import float_images, picture_batch

__all__ = ["ENDINGS", "Predictions", "Survey", "candidates", "images_like", "survey"]

ENDINGS = ("", "_mask", "_mask000")
"""Of names behind the id."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Survey:
    """What a folder has for some items."""

    found: Mapping[str, Path]
    """By id, the one picture that is right."""
    missing: Sequence[str]
    doubled: Mapping[str, Sequence[str]]
    """By id, names of the pictures that could be meant."""
    other: Mapping[str, str]
    """By id, how its picture is wrong: its size, or that it cannot be read."""

    @property
    def complaints(self) -> list[str]:
        """What is wrong with it, with every item's id; nothing for a folder that has all."""
        said = []
        if self.missing:
            said.append(f"none of {', '.join(self.missing)}")
        if self.doubled:
            several = [f"{item} ({', '.join(names)})" for item, names in self.doubled.items()]
            said.append(f"several of {', '.join(several)}")
        if self.other:
            said.append(", ".join(f"{item} {wrong}" for item, wrong in self.other.items()))
        return said


def survey(folder: Path, ids: Sequence[str], resolution: int) -> Survey:
    """Match a folder's pictures with items, and look at their sizes.

    Args:
        folder: with the pictures, which may lie in folders below where ids say so.
        ids: of the items.
        resolution: side of the items.
    """
    found, doubled, other, missing = {}, {}, {}, []
    for item in ids:
        paths = candidates(folder, item)
        if not paths:
            missing.append(item)
        elif len(paths) > 1:
            doubled[item] = [path.name for path in paths]
        else:
            wrong = _wrong(paths[0], resolution)
            if wrong is None:
                found[item] = paths[0]
            else:
                other[item] = wrong
    return Survey(found, missing, doubled, other)


def candidates(folder: Path, item: str) -> list[Path]:
    """Files that may be an item's picture."""
    names = [f"{item}{ending}{suffix}" for ending in ENDINGS for suffix in SUFFIXES]
    return [folder / name for name in names if (folder / name).is_file()]


def _wrong(path: Path, resolution: int) -> str | None:
    try:
        with Image.open(path) as image:
            size = image.size
            image.load()
    except (OSError, UnidentifiedImageError, ValueError) as error:
        return f"cannot be read ({type(error).__name__})"
    return None if size == (resolution, resolution) else f"is {size[0]}×{size[1]}, not {resolution}×{resolution}"


class Predictions:
    """The pictures of a folder, by the items' ids."""

    origin = "predictions"
    training = ""

    def __init__(self, root: str) -> None:
        """Take the folder; its pictures are part of what the run's scores are stored under."""
        self.root = Path(root)
        self._found: Mapping[str, Path] = {}

    def prepare(self, items: Items, work: Path) -> None:
        """See that the folder has one picture for each item.

        Raises:
            BadInputError: it has not; the message names every item that is missing, doubled, or of another size.
        """
        side = items.manifest["resolution"]
        found = survey(self.root, [line["id"] for line in items.lines()], side)
        if found.complaints:
            raise BadInputError(
                f"{self.root}: expected one picture of {side}×{side} for each of {len(items)} items, found "
                + "; ".join(found.complaints)
            )
        self._found = found.found

    def to(self, device: torch.device) -> Predictions:
        return self

    def __call__(self, batch: Batch) -> Tensor:
        """The pictures as they are, B×3×H×W in [-1, 1], where `prepare` found them."""
        return images_like([read_rgb(self._found[item]) for item in batch.ids], batch.image)


def images_like(pictures: Sequence[Image.Image], image: Tensor) -> Tensor:
    """Pictures of one size in [-1, 1], where a batch's images are, and laid out as decoders give them: networks round
    in one way then.
    """
    images = float_images(picture_batch([np.asarray(picture) for picture in pictures]))
    return images.to(image).contiguous(memory_format=torch.channels_last)
