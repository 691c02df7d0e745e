"""Provide small pictures, an adapter that lists them, and items that are prepared from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bench.data.items import Picture
from bench.data.masks import preset
from bench.data.prepared import Items, Pictures, prepare_items

__all__ = ["MASKS", "SIDE", "Listed", "draw", "prepare", "prepared", "sets"]

MASKS = preset("thick_512@32")
SIDE = 32


@dataclass
class Listed:
    """List given pictures as an adapter."""

    pictures: list[Picture]
    masks: str = "drawn"
    fit: str = "lama"
    subset: str = "custom"

    def __iter__(self) -> Iterator[Picture]:
        return iter(self.pictures)


def draw(path: Path, number: int) -> Picture:
    """Write a small picture that depends on a number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(levels).resize((44, 36), Image.Resampling.NEAREST).save(path)
    return Picture(path.stem, path, path.stem)


def prepare(folder: Path, pictures: list[Picture], *, limit: int | None = None, seed: int = 0) -> Items:
    return prepare_items(folder, Listed(pictures), resolution=SIDE, masks=MASKS, seed=seed, limit=limit)


def prepared(folder: Path, adapter: Pictures) -> Items:
    return prepare_items(folder, adapter, resolution=SIDE, masks=MASKS, seed=0, limit=None)


def sets(folder: Path) -> list[Path]:
    """Return the finished and unfinished sets of the folder."""
    return sorted(path for path in folder.iterdir() if path.is_dir())
