"""Prepared items on disk: made once from a data set, read by every stage, named by a manifest."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import datasets
import numpy as np
import numpy.typing as npt
from datasets.arrow_writer import ArrowWriter

from bench.data.items import Item, Picture, inpainting_item, item_of_files, read_rgb, sha256_of, square_image
from bench.data.masks import MaskPreset
from bench.errors import BadInputError, RunFailedError
from bench.store import SUMS, content_key, file_sha256, lease, put_aside, put_folder, writing

__all__ = ["BLOCK", "DamagedItemsError", "Items", "Pictures", "prepare_items"]

log = logging.getLogger(__name__)

BLOCK = 64
"""Items that are sampled and scored together, whatever the batch size."""
VERSION = 2
"""Raised when the same pictures give other items."""
MANIFEST = "manifest.json"
TABLE = "items.arrow"
FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        "source": datasets.Value("string"),
        "caption": datasets.Value("string"),
        "image": datasets.Value("large_binary"),  # raw pixels of a crop; null where the file itself is the item
        "mask": datasets.Value("large_binary"),
        "image_file": datasets.Value("string"),
        "exemplar_file": datasets.Value("string"),
    }
)
MOST_BROKEN = 0.01
"""Largest share of broken pictures with which a run goes on."""
MOST_MASKED = 0.5
"""Largest mean share of the hole in given masks; above, they are taken for inverted ones."""


class Pictures(Protocol):
    """An adapter: the pictures of a data set in their order, and how items come of them."""

    @property
    def masks(self) -> str:
        """`drawn` by LaMa's rule, `given` as files, or `whole` where all of the image is to be generated."""

    @property
    def fit(self) -> str:
        """`lama`, where masks are drawn; else `squash` or `crop`."""

    @property
    def subset(self) -> str:
        """`published`, `reconstructed` or `custom`."""

    def __iter__(self) -> Iterator[Picture]: ...


class DamagedItemsError(RunFailedError):
    """Prepared items are not what their manifest says; they are put aside, and prepared again by the next start."""


@dataclass(frozen=True)
class Items:
    """Prepared items, read from memory-mapped Arrow as they are wanted; whole images are read where they lie.

    Attributes:
        manifest: what they are: `items` (ordered; `id`, `source`, `mask_area`, `reference`, and `image`, `mask`,
            `caption` and `exemplar` as SHA-256 or null), `resolution`, `masks`, `fit`, `seed`, `subset`, `dropped` (ids
            whose masks were all too large), `broken` (ids and why), `grey_masks` (masks that held other values than
            black and white).
        table: ids, sources, captions, pixels and files.
        folder: where they lie; its name is their key.
    """

    manifest: dict[str, Any]
    table: datasets.Dataset
    folder: Path

    def __len__(self) -> int:
        return len(self.manifest["items"])

    @property
    def hash(self) -> str:
        """SHA-256 of the manifest's ordered lines."""
        return content_key({"items": self.manifest["items"]})

    @property
    def sources(self) -> list[str]:
        return [line["source"] for line in self.lines()]

    @property
    def references(self) -> list[int]:
        """Places of the items whose images belong to the reference set."""
        return [place for place, line in enumerate(self.lines()) if line["reference"]]

    def blocks(self) -> Iterator[tuple[int, int]]:
        """First and last-but-one index of each block."""
        for start in range(0, len(self), BLOCK):
            yield start, min(start + BLOCK, len(self))

    def lines(self, start: int = 0, stop: int | None = None) -> list[dict[str, Any]]:
        """The manifest's lines of some items."""
        lines: list[dict[str, Any]] = self.manifest["items"][start:stop]
        return lines

    def masks(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        """Masks of some items N×S×S, 1 = hole."""
        side, rows = self.manifest["resolution"], self.table.select_columns(["mask"]).select(range(start, stop))
        return np.stack([_mask(row["mask"], side) for row in rows])

    def read(self, start: int, stop: int) -> list[Item]:
        """Some items with their pixels.

        Raises:
            DamagedItemsError: an item is not what the manifest says.
        """
        rows = self.table.select(range(start, stop))
        return [self._item(row, line) for row, line in zip(rows, self.lines(start, stop), strict=True)]

    def pick(self, indices: Iterable[int]) -> list[Item]:
        """Items by their places."""
        return [item for index in indices for item in self.read(index, index + 1)]

    def _item(self, row: dict[str, Any], line: dict[str, Any]) -> Item:
        try:
            item = self._as_stored(row)
            if not self.changed(item, line):
                return item
        except (BadInputError, ValueError):
            pass
        put_aside(self.folder)
        raise DamagedItemsError(
            f"{self.folder}: item {line['id']} is not what the manifest says; run the same command again: items are "
            "prepared anew"
        )

    def as_stored(self, place: int) -> Item:
        """One item, whatever the manifest says.

        Raises:
            BadInputError: its pictures are missing or broken.
            ValueError: its pixels are not as many as its size asks for.
        """
        return self._as_stored(self.table[place])

    def changed(self, item: Item, line: dict[str, Any]) -> list[str]:
        """What of an item is not as its line in the manifest says."""
        masked = self.manifest["masks"] != "whole"
        contents = {
            "id": item.id,
            "image": item.image_sha256,
            "mask": item.mask_sha256 if masked else None,
            "caption": hashlib.sha256(item.caption.encode()).hexdigest() if item.caption else None,
            "exemplar": None if item.exemplar is None else sha256_of(item.exemplar),
        }
        return [key for key, value in contents.items() if line.get(key) != value]

    def _as_stored(self, row: dict[str, Any]) -> Item:
        side = self.manifest["resolution"]
        if row["image"] is None:
            image = square_image(Path(row["image_file"]), resolution=side, fit=self.manifest["fit"])
        else:
            image = np.frombuffer(row["image"], np.uint8).reshape(side, side, 3)
        exemplar = None if row["exemplar_file"] is None else np.asarray(read_rgb(Path(row["exemplar_file"])))
        return Item(row["id"], row["source"], image, _mask(row["mask"], side), row["caption"], exemplar)


def _mask(stored: bytes | None, side: int) -> npt.NDArray[np.uint8]:
    if stored is None:
        return np.ones((side, side), np.uint8)
    return np.frombuffer(stored, np.uint8).reshape(side, side)


def prepare_items(
    folder: Path, pictures: Pictures, *, resolution: int, masks: MaskPreset, seed: int, limit: int | None
) -> Items:
    """Make items of pictures unless the same were made before.

    Args:
        folder: where prepared items lie.
        pictures: in the manifest's order.
        resolution: side of the items in pixels.
        masks: the family of masks, where they are drawn.
        seed: the run's seed.
        limit: as many items at most; None for all.

    Raises:
        BadInputError: no item comes of them, two have one id, more than one in a hundred pictures is broken, or the
            masks look inverted.
    """
    listed = list(pictures)
    _refuse_repeated(listed)
    key = content_key(
        {
            "version": VERSION,
            "pictures": [_description(picture) for picture in listed],
            "resolution": resolution,
            "masks": masks.name if pictures.masks == "drawn" else pictures.masks,
            "fit": pictures.fit,
            "subset": pictures.subset,
            "seed": seed,
            "limit": limit,
        }
    )
    target = folder / key
    items = _opened(target)
    if items is None:
        with writing(folder), lease(folder / f".{key}.lease"):
            items = _opened(target)
            if items is None:
                partial = Path(tempfile.mkdtemp(dir=folder, prefix=f".{key[:8]}-"))
                try:
                    _Preparation(partial, pictures, resolution, masks, seed).write(listed, limit)
                    put_folder(partial, target)
                except BaseException:
                    shutil.rmtree(partial, ignore_errors=True)
                    raise
                items = _opened(target)
                assert items is not None  # it has just been written
    _say_what_is_missing(items.manifest)
    return items


def _opened(folder: Path) -> Items | None:
    """What was prepared in a folder; None where nothing was, or where it is damaged, which is put aside."""
    if not folder.is_dir():
        return None
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        table = datasets.Dataset.from_file(str(folder / TABLE))
        table.data.validate(full=True)
        whole = len(table) == len(manifest["items"]) and table.features == FEATURES
        if whole and _sums(folder).get(MANIFEST) in (None, file_sha256(folder / MANIFEST)):
            return Items(manifest, table, folder)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    put_aside(folder)
    return None


def _sums(folder: Path) -> dict[str, str]:
    """SHA-256 of files by their names, as `sha256sum` writes them; none where an older version prepared them."""
    try:
        lines = (folder / SUMS).read_text().splitlines()
    except FileNotFoundError:
        return {}
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def _refuse_repeated(pictures: list[Picture]) -> None:
    counts = Counter(picture.id for picture in pictures)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise BadInputError(
            f"dataset: expected ids that are all different, found {len(repeated)} repeated: {', '.join(repeated[:5])}"
        )


def _description(picture: Picture) -> list[Any]:
    files = (picture.path, picture.mask, picture.exemplar)
    states = [None if path is None else _state(path) for path in files]
    return [picture.id, picture.source, picture.caption, picture.reference, *states]


def _state(path: Path) -> tuple[str, int, int]:
    """A file's name, size and time: enough to see that it was changed. A missing file is found when it is read."""
    try:
        status = path.stat()
    except OSError:
        return path.name, -1, -1
    return path.name, status.st_size, status.st_mtime_ns


class _Preparation:
    """Items of one data set being written into a folder."""

    def __init__(self, folder: Path, pictures: Pictures, resolution: int, masks: MaskPreset, seed: int) -> None:
        self.folder, self.pictures, self.resolution, self.masks, self.seed = folder, pictures, resolution, masks, seed
        self.lines: list[dict[str, Any]] = []
        self.dropped: list[str] = []
        self.broken: dict[str, str] = {}
        self.grey_masks = 0
        self._hashed: tuple[Path | None, str] = (None, "")

    def write(self, listed: list[Picture], limit: int | None) -> None:
        with ArrowWriter(path=str(self.folder / TABLE), features=FEATURES) as writer:
            for picture in listed:
                if limit is not None and len(self.lines) == limit:
                    break
                try:
                    item = self._made(picture)
                except BadInputError as error:
                    self.broken[picture.id] = str(error)
                    continue
                if item is None:
                    self.dropped.append(picture.id)
                    continue
                self.lines.append(self._line(picture, item))
                writer.write(self._row(picture, item))
            if self.lines:
                writer.finalize()
        self._check()
        manifest = {
            "subset": self.pictures.subset if limit is None else "custom",
            "resolution": self.resolution,
            "masks": self.masks.name if self.pictures.masks == "drawn" else self.pictures.masks,
            "fit": self.pictures.fit,
            "seed": self.seed,
            "dropped": self.dropped,
            "broken": self.broken,
            "grey_masks": self.grey_masks,
            "items": self.lines,
        }
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        sums = "".join(f"{file_sha256(self.folder / name)}  {name}\n" for name in (MANIFEST, TABLE))
        (self.folder / SUMS).write_text(sums)

    def _made(self, picture: Picture) -> Item | None:
        if self.pictures.masks == "drawn":
            return inpainting_item(picture, resolution=self.resolution, masks=self.masks, seed=self.seed)
        item, between = item_of_files(picture, resolution=self.resolution, fit=self.pictures.fit)
        self.grey_masks += between > 0
        return item

    def _line(self, picture: Picture, item: Item) -> dict[str, Any]:
        drawn = self.pictures.masks == "drawn"
        if drawn or self._hashed[0] != picture.path:  # the captions of one image follow one another
            self._hashed = (picture.path, item.image_sha256)
        return {
            "id": item.id,
            "source": item.source,
            "mask_area": item.mask_area,
            "reference": picture.reference,
            "image": self._hashed[1],
            "mask": None if self.pictures.masks == "whole" else item.mask_sha256,
            "caption": hashlib.sha256(item.caption.encode()).hexdigest() if item.caption else None,
            "exemplar": None if item.exemplar is None else sha256_of(item.exemplar),
        }

    def _row(self, picture: Picture, item: Item) -> dict[str, Any]:
        drawn = self.pictures.masks == "drawn"
        return {
            "id": item.id,
            "source": item.source,
            "caption": item.caption,
            "image": item.image.tobytes() if drawn else None,
            "mask": None if self.pictures.masks == "whole" else item.mask.tobytes(),
            "image_file": None if drawn else str(picture.path.absolute()),
            "exemplar_file": None if picture.exemplar is None else str(picture.exemplar.absolute()),
        }

    def _check(self) -> None:
        tried = len(self.lines) + len(self.dropped) + len(self.broken)
        if len(self.broken) > MOST_BROKEN * tried:
            worst = "; ".join(list(self.broken.values())[:5])
            raise BadInputError(f"{len(self.broken)} of {tried} pictures are broken, more than 1 %: {worst}")
        if not self.lines:
            raise BadInputError(f"dataset: no item comes of {tried} pictures")
        area = float(np.mean([line["mask_area"] for line in self.lines]))
        if self.pictures.masks == "given" and area > MOST_MASKED:
            raise BadInputError(
                f"dataset: expected masks that are white in the hole and cover less than half of the images, found "
                f"{area:.0%} on average; are they inverted?"
            )


def _say_what_is_missing(manifest: dict[str, Any]) -> None:
    if manifest["dropped"]:
        names = ", ".join(manifest["dropped"])
        count = len(manifest["dropped"])
        log.warning("left out %d picture(s), all of whose masks cover more than half of them: %s", count, names)
    if manifest["grey_masks"]:
        log.warning("%d mask(s) hold values between black and white: taken at half", manifest["grey_masks"])
    for reason in manifest["broken"].values():
        log.warning("left out a broken picture: %s", reason)
