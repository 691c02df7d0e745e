"""Prepared items on disk, which are made once from a data set, read by every stage, and listed in a manifest."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import datasets
import numpy as np
import numpy.typing as npt
from datasets.arrow_writer import ArrowWriter
from pydantic import Field
from typing_extensions import TypedDict

from bench.config.instantiate import named
from bench.data.file_hashes import FileHashes
from bench.data.given_masks import MASK_VALUES
from bench.data.items import Item, Picture, Pictures, inpainting_item, item_of_files, sha256_of, square_image
from bench.data.masks import MaskPreset
from bench.data.names import escaped, path_as_text, text_as_path, valid_id
from bench.data.pictures import read_rgb
from bench.data.walking import left_out_note
from bench.errors import BadInputError, RunFailedError
from bench.runtime.defaults import with_defaults
from bench.runtime.strict_json import read_json_as
from bench.store import SUMS, content_key, file_sha256, lease, made_folder, put_aside, put_folder, writing

__all__ = ["BLOCK", "DamagedItemsError", "Items", "Pictures", "prepare_items"]

log = logging.getLogger(__name__)

BLOCK = 64
"""Number of items that are sampled and scored together, for any batch size."""
VERSION = 4
"""Version number, which increases when the same pictures give other items."""
MANIFEST = "manifest.json"
TABLE = "items.arrow"
FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        "source": datasets.Value("string"),
        "caption": datasets.Value("string"),
        "image": datasets.Value("large_binary"),  # raw pixels of a crop; null if the file itself is the item
        "mask": datasets.Value("large_binary"),
        "image_file": datasets.Value("string"),
        "exemplar_file": datasets.Value("string"),
    }
)
KINDS = {
    "masks": ("drawn", "given", "whole"),
    "fit": ("lama", "squash", "crop"),
    "subset": ("published", "reconstructed", "custom"),
}
"""Values that the properties of an adapter may have."""
SURROGATE = re.compile("[\ud800-\udfff]")
MOST_BROKEN = 0.01
"""Largest fraction of broken pictures with which a run continues."""
MOST_MASKED = 0.5
"""Largest mean fraction of the hole in given masks; above it, they are probably inverted."""


class _Line(TypedDict):
    id: str
    source: str
    mask_area: Annotated[float, Field(ge=0, le=1)]
    reference: bool
    image: str
    mask: str | None
    caption: str | None
    exemplar: str | None


class _Manifest(TypedDict):
    """The format of the manifest in the store."""

    subset: str
    resolution: Annotated[int, Field(ge=1)]
    masks: str
    fit: str
    seed: int
    dropped: list[str]
    broken: dict[str, str]
    left_out: dict[str, str]
    grey_masks: int
    items: list[_Line]


class DamagedItemsError(RunFailedError):
    """Prepared items differ from their manifest; they are put aside, and the next start prepares them again."""


@dataclass(frozen=True)
class Items:
    """The prepared items, read from memory-mapped Arrow on demand; whole images are read from their original files.

    Attributes:
        manifest: the items and their settings: `items` (ordered; `id`, `source`, `mask_area`, `reference`, and
            `image`, `mask`, `caption` and `exemplar` as SHA-256 or null), `resolution`, `masks`, `fit`, `seed`,
            `subset`, `dropped` (ids whose masks were all too large), `broken` (ids with the reason), `left_out`
            (paths below the root that give no picture, with the reason), `grey_masks` (number of masks that held
            other values than their two).
        table: ids, sources, captions, pixels and files.
        folder: folder of the items, whose name is their key.
    """

    manifest: dict[str, Any]
    table: datasets.Dataset
    folder: Path

    def __len__(self) -> int:
        return len(self.manifest["items"])

    @property
    def hash(self) -> str:
        """The SHA-256 of the manifest's ordered lines."""
        return content_key({"items": self.manifest["items"]})

    @property
    def sources(self) -> list[str]:
        return [line["source"] for line in self.lines()]

    @property
    def references(self) -> list[int]:
        """Indices of the items whose images belong to the reference set."""
        return [place for place, line in enumerate(self.lines()) if line["reference"]]

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield the start and (exclusive) end of each block."""
        for start in range(0, len(self), BLOCK):
            yield start, min(start + BLOCK, len(self))

    def lines(self, start: int = 0, stop: int | None = None) -> list[dict[str, Any]]:
        """Return the manifest's lines of some items."""
        lines: list[dict[str, Any]] = self.manifest["items"][start:stop]
        return lines

    def masks(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        """Return the masks of some items, N×S×S, 1 = hole."""
        side, rows = self.manifest["resolution"], self.table.select_columns(["mask"]).select(range(start, stop))
        return np.stack([_mask(row["mask"], side) for row in rows])

    def read(self, start: int, stop: int) -> list[Item]:
        """Return some items with their pixels.

        Raises:
            DamagedItemsError: an item differs from the manifest.
        """
        rows = self.table.select(range(start, stop))
        return [self._item(row, line) for row, line in zip(rows, self.lines(start, stop), strict=True)]

    def pick(self, indices: Iterable[int]) -> list[Item]:
        """Return the items at some indices."""
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
            f"{self.folder}: item {line['id']} differs from the manifest; run the same command again: it prepares the "
            "items again"
        )

    def as_stored(self, place: int) -> Item:
        """Return one item without comparing it with the manifest.

        Raises:
            BadInputError: the item's pictures are missing or broken.
            ValueError: the number of pixels does not fit the item's size.
        """
        return self._as_stored(self.table[place])

    def changed(self, item: Item, line: dict[str, Any]) -> list[str]:
        """Return the keys in which an item differs from its line in the manifest."""
        masked = self.manifest["masks"] != "whole"
        contents = {
            "id": item.id,
            "source": item.source,
            "mask_area": item.mask_area,
            "image": item.image_sha256,
            "mask": item.mask_sha256 if masked else None,
            "caption": hashlib.sha256(item.caption.encode()).hexdigest() if item.caption else None,
            "exemplar": None if item.exemplar is None else sha256_of(item.exemplar),
        }
        return [key for key, value in contents.items() if line.get(key) != value]

    def _as_stored(self, row: dict[str, Any]) -> Item:
        side = self.manifest["resolution"]
        if row["image"] is None:
            image = square_image(text_as_path(row["image_file"]), resolution=side, fit=self.manifest["fit"])
        else:
            image = np.frombuffer(row["image"], np.uint8).reshape(side, side, 3)
        exemplar = None if row["exemplar_file"] is None else np.asarray(read_rgb(text_as_path(row["exemplar_file"])))
        return Item(row["id"], row["source"], image, _mask(row["mask"], side), row["caption"], exemplar)


def _mask(stored: bytes | None, side: int) -> npt.NDArray[np.uint8]:
    if stored is None:
        return np.ones((side, side), np.uint8)
    return np.frombuffer(stored, np.uint8).reshape(side, side)


@dataclass(frozen=True)
class Contents:
    """Hashes that decide, with the settings, whether items were prepared from the same pictures."""

    files: FileHashes = field(default_factory=FileHashes)
    """Hashes of the pictures' files, remembered from earlier runs."""
    code: Mapping[str, str] = field(default_factory=dict)
    """Hashes of the modules that yield the pictures, where these are somebody's own."""


def prepare_items(
    folder: Path,
    pictures: Pictures,
    *,
    resolution: int,
    masks: MaskPreset,
    seed: int,
    limit: int | None,
    contents: Contents | None = None,
) -> Items:
    """Make items of pictures, or open them if they were made before from the same files.

    Args:
        folder: folder of all prepared items.
        pictures: the pictures, in the manifest's order.
        resolution: side of the items in pixels.
        masks: the family of masks, if they are drawn.
        seed: the run's seed.
        limit: as many items at most; None for all.
        contents: hashes of files and code; None to hash every file.

    Raises:
        BadInputError: the pictures give no item, two have the same id, more than one in a hundred is broken, the
            masks look inverted, or a file changes during the preparation.
    """
    with named("dataset.pictures", "pictures in their order"):
        pictures = with_defaults(pictures, Pictures)
        listed = list(pictures)
        left_out = _left_out(pictures)
        _refuse_invalid(pictures, listed)
    _refuse_repeated(listed)
    hashes, code = (contents or Contents()).files, (contents or Contents()).code
    sha256 = hashes.of(path for picture in listed for path in _files(picture))
    key = content_key(
        {
            "version": VERSION,
            "pictures": [_description(picture, sha256, drawn=pictures.masks == "drawn") for picture in listed],
            "left_out": left_out,
            "resolution": resolution,
            "masks": masks.name if pictures.masks == "drawn" else pictures.masks,
            "fit": pictures.fit,
            "subset": pictures.subset,
            "seed": seed,
            "limit": limit,
            **({"code": dict(code)} if code else {}),
        }
    )
    target = folder / key
    items = _opened(target)
    if items is None:
        with writing(folder):
            made_folder(folder.parent, folder)
        with writing(folder), lease(folder / f".{key}.lease"):
            items = _opened(target)
            if items is None:
                partial = Path(tempfile.mkdtemp(dir=folder, prefix=f".{key[:8]}-"))
                try:
                    _Preparation(partial, pictures, resolution, masks, seed).write(listed, limit, left_out)
                    _refuse_changed(hashes.changed())
                    put_folder(partial, target)
                except BaseException:
                    shutil.rmtree(partial, ignore_errors=True)
                    raise
                items = _opened(target)
                assert items is not None  # it has just been written
    _warn_about_missing(items.manifest)
    return items


def _opened(folder: Path) -> Items | None:
    """Open the prepared items in a folder; return None if there are none, or if they are damaged and put aside."""
    if not folder.is_dir():
        if os.path.lexists(folder):
            put_aside(folder)
        return None
    try:
        if any(os.path.lexists(folder / name) and not (folder / name).is_file() for name in (MANIFEST, TABLE, SUMS)):
            raise ValueError("something that is not a regular file")
        manifest: dict[str, Any] = {**read_json_as(folder / MANIFEST, _Manifest)}
        table = datasets.Dataset.from_file(str(folder / TABLE))
        table.data.validate(full=True)
        complete = len(table) == len(manifest["items"]) and table.features == FEATURES
        if complete and _sums(folder).get(MANIFEST) in (None, file_sha256(folder / MANIFEST)):
            return Items(manifest, table, folder)
    except (OSError, ValueError, KeyError, TypeError, BadInputError):
        pass
    put_aside(folder)
    return None


def _sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of files by their names, from `sha256sum`'s format; empty if an older version prepared
    them.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def _refuse_invalid(adapter: Pictures, listed: Sequence[Any]) -> None:
    """Require that an adapter yields pictures and has valid properties."""
    for name, allowed in KINDS.items():
        found = getattr(adapter, name)
        if found not in allowed:
            raise BadInputError(f"dataset.pictures.{name}: expected one of {', '.join(allowed)}, found {found!r:.60}")
    for one in listed:
        if not isinstance(one, Picture):
            raise BadInputError(f"dataset.pictures: expected pictures, found {one!r:.60}")
        paths = (one.path, one.mask or one.path, one.exemplar or one.path)
        if not all(isinstance(path, Path) for path in paths) or not isinstance(one.caption, str):
            raise BadInputError(
                f"dataset.pictures: expected paths and a text as caption, found values of other types in {one.id}"
            )
        if SURROGATE.search(one.caption):
            raise BadInputError(
                f"dataset.pictures: expected captions in valid Unicode, found a lone surrogate in that of {one.id}"
            )


def _refuse_repeated(pictures: list[Picture]) -> None:
    counts = Counter(picture.id for picture in pictures)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise BadInputError(
            f"dataset: expected ids that are all different, found {len(repeated)} repeated: {', '.join(repeated[:5])}"
        )


def _left_out(pictures: Pictures) -> dict[str, str]:
    """Return the paths that an adapter left out, with the reason.

    Paths are one line of valid Unicode, like ids, so that every table, file and message can contain them.
    """
    return {valid_id(str(path)): escaped(why) for path, why in dict(pictures.left_out).items()}


def _files(picture: Picture) -> list[Path]:
    return [path for path in (picture.path, picture.mask, picture.exemplar) if path is not None]


def _description(picture: Picture, contents: Mapping[Path, str], *, drawn: bool) -> list[Any]:
    """Return the values that determine an item: texts, hashes of its files, and paths that are read again later."""
    files = (picture.path, picture.mask, picture.exemplar)
    states = [None if path is None else contents[path] for path in files]
    places = [
        None if drawn or path is None else path_as_text(path.absolute()) for path in (picture.path, picture.exemplar)
    ]
    values = None if picture.mask_values is None else str(picture.mask_values)
    return [picture.id, picture.source, picture.caption, picture.reference, *states, *places, values]


def _refuse_changed(changed: list[Path]) -> None:
    if changed:
        raise BadInputError(
            f"{changed[0]}: expected files that do not change while items are made of them, found {len(changed)} "
            "changed meanwhile"
        )


class _Preparation:
    """The preparation of one data set's items in a folder."""

    def __init__(self, folder: Path, pictures: Pictures, resolution: int, masks: MaskPreset, seed: int) -> None:
        self.folder, self.pictures, self.resolution, self.masks, self.seed = folder, pictures, resolution, masks, seed
        self.lines: list[dict[str, Any]] = []
        self.dropped: list[str] = []
        self.broken: dict[str, str] = {}
        self.grey_masks = 0

    def write(self, listed: list[Picture], limit: int | None, left_out: Mapping[str, str]) -> None:
        with ArrowWriter(path=str(self.folder / TABLE), features=FEATURES) as writer:
            for picture in listed:
                if limit is not None and len(self.lines) == limit:
                    break
                try:
                    item = self._make_item(picture)
                except BadInputError as error:
                    self.broken[picture.id] = escaped(error)
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
            "left_out": dict(left_out),
            "grey_masks": self.grey_masks,
            "items": self.lines,
        }
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        sums = "".join(f"{file_sha256(self.folder / name)}  {name}\n" for name in (MANIFEST, TABLE))
        (self.folder / SUMS).write_text(sums, encoding="utf-8")

    def _make_item(self, picture: Picture) -> Item | None:
        if self.pictures.masks == "drawn":
            return inpainting_item(picture, resolution=self.resolution, masks=self.masks, seed=self.seed)
        if self.pictures.masks == "given" and picture.mask is None:
            raise BadInputError(f"{picture.path}: expected a mask for every picture, found none")
        item, between = item_of_files(picture, resolution=self.resolution, fit=self.pictures.fit)
        self.grey_masks += between > 0
        return item

    def _line(self, picture: Picture, item: Item) -> dict[str, Any]:
        return {
            "id": item.id,
            "source": item.source,
            "mask_area": item.mask_area,
            "reference": picture.reference,
            "image": item.image_sha256,
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
            "image_file": None if drawn else path_as_text(picture.path.absolute()),
            "exemplar_file": None if picture.exemplar is None else path_as_text(picture.exemplar.absolute()),
        }

    def _check(self) -> None:
        tried = len(self.lines) + len(self.dropped) + len(self.broken)
        if len(self.broken) > MOST_BROKEN * tried:
            worst = "; ".join(list(self.broken.values())[:5])
            raise BadInputError(f"{len(self.broken)} of {tried} pictures are broken, more than 1 %: {worst}")
        if not self.lines:
            raise BadInputError(f"dataset: expected items, found none in {tried} pictures")
        area = float(np.mean([line["mask_area"] for line in self.lines]))
        if self.pictures.masks == "given" and area > MOST_MASKED:
            raise BadInputError(
                f"dataset: expected masks that are white in the hole and cover less than half of the images, found "
                f"{area:.0%} on average; are they inverted? {MASK_VALUES}=[255,0] reads black as the hole"
            )


def _warn_about_missing(manifest: dict[str, Any]) -> None:
    if manifest["dropped"]:
        names = ", ".join(manifest["dropped"])
        count = len(manifest["dropped"])
        log.warning("left out %d picture(s), because all their masks cover more than half: %s", count, names)
    if manifest["grey_masks"]:
        log.warning(
            "%d mask(s) have grey pixels, which count as hole or known by the nearer value", manifest["grey_masks"]
        )
    if note := left_out_note(manifest["left_out"]):
        log.warning("%s", note)
    for reason in manifest["broken"].values():
        log.warning("left out a broken picture: %s", reason)
