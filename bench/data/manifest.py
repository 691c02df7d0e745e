"""Prepared items on disk: made once from a data set, read by every stage, named by a manifest."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets.arrow_writer import ArrowWriter
from filelock import FileLock

from bench.data.items import Item, Picture, inpainting_item
from bench.data.masks import MaskPreset
from bench.errors import BadInputError
from bench.store import content_key

__all__ = ["BLOCK", "Items", "prepare_items"]

log = logging.getLogger(__name__)

BLOCK = 64
"""Items that are sampled and scored together, whatever the batch size."""
VERSION = 1
"""Raised when the same pictures give other items."""
MANIFEST = "manifest.json"
TABLE = "items.arrow"
FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        "source": datasets.Value("string"),
        "image": datasets.Value("large_binary"),  # raw pixels, so that reading costs nothing
        "mask": datasets.Value("large_binary"),
    }
)
MOST_BROKEN = 0.01
"""Largest share of broken pictures with which a run goes on."""


@dataclass(frozen=True)
class Items:
    """Prepared items, read from memory-mapped Arrow as they are wanted.

    Attributes:
        manifest: what they are: `items` (ordered; `id`, `source`, `mask_area`, and `image` and `mask` as SHA-256),
            `resolution`, `masks`, `seed`, `dropped` (ids whose masks were all too large), `broken` (ids and why).
        table: ids, sources and pixels.
    """

    manifest: dict[str, Any]
    table: datasets.Dataset

    def __len__(self) -> int:
        return len(self.manifest["items"])

    @property
    def hash(self) -> str:
        """SHA-256 of the manifest's ordered lines."""
        return content_key({"items": self.manifest["items"]})

    def blocks(self) -> Iterator[tuple[int, int]]:
        """First and last-but-one index of each block."""
        for start in range(0, len(self), BLOCK):
            yield start, min(start + BLOCK, len(self))

    def lines(self, start: int = 0, stop: int | None = None) -> list[dict[str, Any]]:
        """The manifest's lines of some items."""
        lines: list[dict[str, Any]] = self.manifest["items"][start:stop]
        return lines

    def read(self, start: int, stop: int) -> list[Item]:
        """Some items with their pixels."""
        side = self.manifest["resolution"]
        return [self._item(row, side) for row in self.table.select(range(start, stop))]

    def pick(self, indices: Iterable[int]) -> list[Item]:
        """Items by their places."""
        return [item for index in indices for item in self.read(index, index + 1)]

    @staticmethod
    def _item(row: dict[str, Any], side: int) -> Item:
        image = np.frombuffer(row["image"], np.uint8).reshape(side, side, 3)
        mask = np.frombuffer(row["mask"], np.uint8).reshape(side, side)
        return Item(row["id"], row["source"], image, mask)


def prepare_items(
    folder: Path, pictures: Iterable[Picture], *, resolution: int, masks: MaskPreset, seed: int, limit: int | None
) -> Items:
    """Make items of pictures unless the same were made before.

    Args:
        folder: where prepared items lie.
        pictures: in the manifest's order.
        resolution: side of the items in pixels.
        masks: the family of masks.
        seed: the run's seed.
        limit: as many items at most; None for all.

    Raises:
        BadInputError: no item comes of them, or more than one in a hundred pictures is broken.
    """
    listed = list(pictures)
    key = content_key(
        {
            "version": VERSION,
            "pictures": [(picture.id, picture.source, *_state(picture.path)) for picture in listed],
            "resolution": resolution,
            "masks": masks.name,
            "seed": seed,
            "limit": limit,
        }
    )
    target = folder / key
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{key}.lock"):
        if not target.is_dir():
            partial = Path(tempfile.mkdtemp(dir=folder, prefix=f".{key[:8]}-"))
            try:
                _write(partial, listed, resolution, masks, seed, limit)
                os.replace(partial, target)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    items = Items(json.loads((target / MANIFEST).read_text()), datasets.Dataset.from_file(str(target / TABLE)))
    _say_what_is_missing(items.manifest)
    return items


def _state(path: Path) -> tuple[str, int, int]:
    """A file's name, size and time: enough to see that it was changed. A missing file is found when it is read."""
    try:
        status = path.stat()
    except OSError:
        return path.name, -1, -1
    return path.name, status.st_size, status.st_mtime_ns


def _write(
    folder: Path, pictures: list[Picture], resolution: int, masks: MaskPreset, seed: int, limit: int | None
) -> None:
    lines: list[dict[str, Any]] = []
    dropped: list[str] = []
    broken: dict[str, str] = {}
    with ArrowWriter(path=str(folder / TABLE), features=FEATURES) as writer:
        for picture in pictures:
            if limit is not None and len(lines) == limit:
                break
            try:
                item = inpainting_item(picture, resolution=resolution, masks=masks, seed=seed)
            except BadInputError as error:
                broken[picture.id] = str(error)
                continue
            if item is None:
                dropped.append(picture.id)
                continue
            lines.append(
                {
                    "id": item.id,
                    "source": item.source,
                    "mask_area": item.mask_area,
                    "image": item.image_sha256,
                    "mask": item.mask_sha256,
                }
            )
            writer.write(
                {"id": item.id, "source": item.source, "image": item.image.tobytes(), "mask": item.mask.tobytes()}
            )
        if lines:
            writer.finalize()
    tried = len(lines) + len(dropped) + len(broken)
    if len(broken) > MOST_BROKEN * tried:
        worst = "; ".join(list(broken.values())[:5])
        raise BadInputError(f"{len(broken)} of {tried} pictures are broken, more than 1 %: {worst}")
    if not lines:
        raise BadInputError(f"dataset: no item comes of {tried} pictures")
    manifest = {
        "resolution": resolution,
        "masks": masks.name,
        "seed": seed,
        "dropped": dropped,
        "broken": broken,
        "items": lines,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def _say_what_is_missing(manifest: dict[str, Any]) -> None:
    if manifest["dropped"]:
        names = ", ".join(manifest["dropped"])
        count = len(manifest["dropped"])
        log.warning("left out %d picture(s), all of whose masks cover more than half of them: %s", count, names)
    for reason in manifest["broken"].values():
        log.warning("left out a broken picture: %s", reason)
