"""Predictions: a row that is read from a folder of images, made by any program.

File names are matched by the item's id, with the conventions of programs that write such folders: `ID.png` (the
authors' code, Paint-by-Example's `results`), and LaMa's predict.py, which names its pictures after their masks,
`ID_mask.png` or `ID_mask000.png`. Sizes are checked and never adapted.
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
    """The pictures of a folder that belong to some items."""

    found: Mapping[str, Path]
    """The valid picture by id."""
    missing: Sequence[str]
    doubled: Mapping[str, Sequence[str]]
    """Names of several matching pictures, by id."""
    other: Mapping[str, str]
    """Error of the picture, by id: its size, or that it cannot be read."""

    @property
    def complaints(self) -> list[str]:
        """Errors of the folder, with every item's id; empty if all pictures are valid."""
        errors = []
        if self.missing:
            errors.append(f"none of {', '.join(self.missing)}")
        if self.doubled:
            several = [f"{item} ({', '.join(names)})" for item, names in self.doubled.items()]
            errors.append(f"several of {', '.join(several)}")
        if self.other:
            errors.append(", ".join(f"{item} {error}" for item, error in self.other.items()))
        return errors


def survey(folder: Path, ids: Sequence[str], resolution: int) -> Survey:
    """Match a folder's pictures with items, and check their sizes.

    Args:
        folder: folder of the pictures, possibly in subfolders that the ids name.
        ids: ids of the items.
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
            error = _error_of(paths[0], resolution)
            if error is None:
                found[item] = paths[0]
            else:
                other[item] = error
    return Survey(found, missing, doubled, other)


def candidates(folder: Path, item: str) -> list[Path]:
    """Return the files that may be an item's picture; the id is converted to a file's name by `file_stem`."""
    names = [f"{file_stem(item)}{ending}{suffix}" for ending in ENDINGS for suffix in SUFFIXES]
    return [folder / name for name in names if (folder / name).is_file()]


def _error_of(path: Path, resolution: int) -> str | None:
    try:
        size = open_picture(path).size
    except BadInputError as error:
        return f"cannot be read ({error})"
    return None if size == (resolution, resolution) else f"is {size[0]}×{size[1]}, not {resolution}×{resolution}"


class Predictions(Method):
    """The pictures of a folder, by the items' ids."""

    origin = "predictions"

    def __init__(self, root: str) -> None:
        """Set the folder; its pictures are part of the key under which the run's scores are stored."""
        self.root = Path(root)
        self._found: Mapping[str, Path] = {}

    def prepare(self, items: Items, work: Path) -> None:
        """Require that the folder has one picture for each item.

        Raises:
            BadInputError: a picture is missing, doubled, or of another size; the message names every such item.
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
        """Return the pictures B×3×H×W in [-1, 1] that `prepare` matched."""
        return images_like([read_rgb(self._found[item]) for item in batch.ids], batch.image)


def images_like(pictures: Sequence[Image.Image], image: Tensor) -> Tensor:
    """Return pictures of one size in [-1, 1], on the device and in the memory format of decoded images.

    With an equal memory format, networks round in the same way.
    """
    images = float_images(picture_batch([np.asarray(picture) for picture in pictures]))
    return images.to(image).contiguous(memory_format=torch.channels_last)
