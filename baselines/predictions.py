"""Predictions: a row whose images are read from a folder. Any program may have made them.

The id of an item determines the name of its file. The paper's code and Paint-by-Example write `ID.png`. LaMa's
predict.py names its pictures after the masks: `ID_mask.png` or `ID_mask000.png`. The sizes of pictures are checked, and
pictures are never resized.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.data.names import file_stem
from bench.data.pictures import open_picture, read_rgb
from bench.data.prepared import Items
from bench.errors import BadInputError
from bench.generation.generator import float_images, picture_batch
from bench.generation.method import Batch, Method

__all__ = ["ENDINGS", "Predictions", "Survey", "candidates", "images_like", "survey"]

ENDINGS = ("", "_mask", "_mask000")
"""Endings that may follow the id in a file's name."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Survey:
    """The result of searching a folder for the pictures of items."""

    found: Mapping[str, Path]
    """Path of the picture of each item that has one valid picture, by the item's id."""
    missing: Sequence[str]
    doubled: Mapping[str, Sequence[str]]
    """File names of the pictures of each item that has several pictures, by the item's id."""
    other: Mapping[str, str]
    """Error of each picture that has a wrong size or cannot be read, by the item's id."""

    @property
    def complaints(self) -> list[str]:
        """Descriptions of all errors in the folder, with the ids of the items.

        The list is empty if each item has exactly one picture, and this picture is valid.
        """
        errors = []
        if self.missing:
            errors.append(f"no picture of {', '.join(self.missing)}")
        if self.doubled:
            several = [f"{item} ({', '.join(names)})" for item, names in self.doubled.items()]
            errors.append(f"several pictures of {', '.join(several)}")
        if self.other:
            errors.append(", ".join(f"a picture of {item} that {error}" for item, error in self.other.items()))
        return errors


def survey(folder: Path, ids: Sequence[str], resolution: int) -> Survey:
    """Find the picture of each item in a folder, and check the sizes of the pictures.

    Args:
        folder: folder of the pictures.
        ids: ids of the items. An id may contain the name of a subfolder, as in `birds/01`.
        resolution: side in pixels that every picture must have.
    """
    found, doubled, other, missing = {}, {}, {}, []
    names = {file_stem(item) for item in ids}
    for item in ids:
        # The picture of another item, such as `a_mask`, is no second picture of the item `a`.
        others = {folder / f"{name}{suffix}" for name in _with_endings(item) & names for suffix in SUFFIXES}
        paths = [path for path in candidates(folder, item) if path not in others]
        if not paths:
            missing.append(item)
        elif len(paths) > 1:
            doubled[item] = [path.name for path in paths]
        else:
            error = _error_of(paths[0], resolution)
            if error is None:
                found[item] = paths[0]
            else:
                other[item] = error
    return Survey(found, missing, doubled, other)


def candidates(folder: Path, item: str) -> list[Path]:
    """Return the existing files that may be the picture of an item.

    The name of such a file consists of the result of `file_stem` for the id, one ending in `ENDINGS`, and one suffix in
    `SUFFIXES`.

    Args:
        folder: folder of the pictures.
        item: id of the item.
    """
    names = [f"{file_stem(item)}{ending}{suffix}" for ending in ENDINGS for suffix in SUFFIXES]
    return [folder / name for name in names if (folder / name).is_file()]


def _with_endings(item: str) -> set[str]:
    """Return an item's file stem with each non-empty ending in `ENDINGS`, such as `01_mask` for the item `01`."""
    return {f"{file_stem(item)}{ending}" for ending in ENDINGS if ending}


def _error_of(path: Path, resolution: int) -> str | None:
    try:
        size = open_picture(path).size
    except BadInputError as error:
        return f"cannot be read ({error})"
    return None if size == (resolution, resolution) else f"is {size[0]}×{size[1]}, not {resolution}×{resolution}"


class Predictions(Method):
    """The method that reads the picture of each item from a folder. The item's id determines the name of its file."""

    origin = "predictions"

    def __init__(self, root: str) -> None:
        """Set the folder of the pictures.

        The store's keys for the scores of this method include a hash of the pictures in this folder.

        Args:
            root: path of the folder.
        """
        self.root = Path(root)
        self._found: Mapping[str, Path] = {}

    def prepare(self, items: Items, work: Path) -> None:
        """Require that the folder contains one valid picture for each item.

        Args:
            items: the run's items.
            work: not used.

        Raises:
            BadInputError: an item has no picture or several pictures, or the picture of an item cannot be read or does
                not have the size of the items. The message names every such item.
        """
        side = items.manifest["resolution"]
        found = survey(self.root, [line["id"] for line in items.lines()], side)
        if found.complaints:
            raise BadInputError(
                f"{self.root}: expected one picture of {side}×{side} for each of {len(items)} items, found "
                + "; ".join(found.complaints)
            )
        self._found = found.found

    def __call__(self, batch: Batch) -> Tensor:
        """Return the pictures of the batch's items, B×3×H×W in [-1, 1], from the files that `prepare` found."""
        return images_like([read_rgb(self._found[item]) for item in batch.ids], batch.image)


def images_like(pictures: Sequence[Image.Image], image: Tensor) -> Tensor:
    """Convert RGB pictures of equal size to a tensor B×3×H×W in [-1, 1].

    The tensor has the device and the data type of `image`. Its memory format is that of decoded images (channels last),
    because the rounding in networks depends on this format.
    """
    images = float_images(picture_batch([np.asarray(picture) for picture in pictures]))
    return images.to(image).contiguous(memory_format=torch.channels_last)
