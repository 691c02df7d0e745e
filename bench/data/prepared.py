"""Prepared items on disk. They are made once from a data set, then every stage reads them. A manifest lists them."""

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
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NotRequired

import numpy as np
import numpy.typing as npt
from pydantic import Field
from typing_extensions import TypedDict

from bench.config.instantiate import named
from bench.data.file_hashes import FileHashes
from bench.data.given_masks import MASK_VALUES
from bench.data.items import (
    Item,
    Picture,
    Pictures,
    inpainting_item,
    item_of_files,
    sha256_of,
    square_image,
    unpictured_item,
)
from bench.data.masks import MaskPreset
from bench.data.names import escaped, path_as_text, text_as_path, valid_id
from bench.data.pictures import read_rgb
from bench.data.squaring import FILTERS, FITS, Squaring, own_squaring
from bench.data.walking import left_out_note
from bench.data.words import WordLine, words_as_lines, words_of
from bench.errors import BadInputError, RunFailedError
from bench.runtime.defaults import with_defaults
from bench.runtime.strict_json import read_json_as
from bench.store import SUMS, content_key, file_sha256, lease, made_folder, put_aside, put_folder, writing

if TYPE_CHECKING:
    import datasets

__all__ = ["BLOCK", "DamagedItemsError", "Items", "Pictures", "prepare_items", "refuse_invalid", "table_features"]

log = logging.getLogger(__name__)

BLOCK = 64
"""Number of items of a block. It does not depend on the batch size."""
VERSION = 4
"""Version of the rules that make items from pictures. It is raised when the same pictures would give other items."""
MANIFEST = "manifest.json"
TABLE = "items.arrow"
KINDS = {
    "masks": ("drawn", "given", "whole"),
    "fit": FITS,
    "filter": FILTERS,
    "subset": ("published", "reconstructed", "custom"),
}
"""Allowed values of four properties of an adapter; see `bench.data.items.Pictures`."""
SURROGATE = re.compile("[\ud800-\udfff]")
MOST_BROKEN = 0.01
"""Largest fraction of broken pictures in a data set; a run with more of them stops."""
MOST_MASKED = 0.5
"""Largest mean hole area of given masks, as a fraction of the image. If it is larger, they are probably inverted."""


@cache
def table_features() -> datasets.Features:
    """Return the columns of the Arrow file that contains prepared items, with the type of each column."""
    import datasets  # imported here, because the import takes a second, and scoring does not need it

    return datasets.Features(
        {
            "id": datasets.Value("string"),
            "source": datasets.Value("string"),
            "caption": datasets.Value("string"),
            "image": datasets.Value("large_binary"),  # raw pixels of a crop; null if the original file is read
            "mask": datasets.Value("large_binary"),
            "image_file": datasets.Value("string"),
            "exemplar_file": datasets.Value("string"),
        }
    )


class _Line(TypedDict):
    id: str
    source: str
    mask_area: Annotated[float, Field(ge=0, le=1)]
    reference: bool
    image: str | None
    mask: str | None
    caption: str | None
    exemplar: str | None
    words: NotRequired[list[WordLine]]


class _Manifest(TypedDict):
    """The format of the manifest in the store."""

    subset: str
    resolution: Annotated[int, Field(ge=1)]
    masks: str
    fit: str
    filter: NotRequired[str]
    crop_offset: NotRequired[int]
    seed: int
    dropped: list[str]
    broken: dict[str, str]
    left_out: dict[str, str]
    grey_masks: int
    items: list[_Line]


class DamagedItemsError(RunFailedError):
    """The error for prepared items that differ from their manifest.

    Their folder is renamed before the error is raised, so the next start of the run prepares the items again.
    """


@dataclass(frozen=True)
class Items:
    """The prepared items of a run. Their pixels are read from disk only when they are needed.

    The attribute `table` is a memory-mapped Arrow file that contains the drawn or given masks. If the masks were drawn,
    the Arrow file also contains the cropped images. Exemplars and all other images are read from their original files.

    Attributes:
        manifest: the items and their settings. `items` is the ordered list, with `id`, `source`, `mask_area`,
            `reference`, and the SHA-256 (or null) of `image`, `mask`, `caption` and `exemplar`. An item whose words are
            known also has `words`, each with its text and its box. Settings are
            `resolution`, `masks`, `fit`, `seed` and `subset`, and also `filter` and `crop_offset` if these are not the
            defaults. `dropped` lists the ids of pictures whose masks were all too large. `broken` has the id of each
            broken picture, with the reason. `left_out` has the path of each file or folder that the adapter left out,
            with the reason. `grey_masks` is the number of masks in which some pixels have neither of the mask's two
            values.
        table: one line for each item, in the order of the manifest, with the columns of `table_features`.
        folder: folder of the items. Its name is the key of the items in the store.
    """

    manifest: dict[str, Any]
    table: datasets.Dataset
    folder: Path

    def __len__(self) -> int:
        return len(self.manifest["items"])

    @property
    def hash(self) -> str:
        """SHA-256 of the manifest's list of items. Two runs with the same value measured the same items."""
        return content_key({"items": self.manifest["items"]})

    @property
    def squaring(self) -> Squaring:
        """The way in which the pictures were made square."""
        manifest = self.manifest
        return Squaring(manifest["fit"], manifest.get("filter", "bicubic"), manifest.get("crop_offset", 0))

    @property
    def ids(self) -> list[str]:
        """Identifiers of all items, in the order of the manifest."""
        return [line["id"] for line in self.manifest["items"]]

    @property
    def sources(self) -> list[str]:
        return [line["source"] for line in self.lines()]

    @property
    def references(self) -> list[int]:
        """Indices of the items whose images form the set of true images for Fréchet distances."""
        return [place for place, line in enumerate(self.lines()) if line["reference"]]

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield, for each block, the index of its first item and the index after its last item."""
        for start in range(0, len(self), BLOCK):
            yield start, min(start + BLOCK, len(self))

    def lines(self, start: int = 0, stop: int | None = None) -> list[dict[str, Any]]:
        """Return the manifest's list `items` from index `start` to before index `stop`; None means the end."""
        lines: list[dict[str, Any]] = self.manifest["items"][start:stop]
        return lines

    def masks(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        """Return the masks of the items from index `start` to before index `stop`, as uint8 of shape (N, S, S).

        A mask is 1 in the hole and 0 where the image is known.
        """
        side, rows = self.manifest["resolution"], self.table.select_columns(["mask"]).select(range(start, stop))
        return np.stack([_mask(row["mask"], side) for row in rows])

    def read(self, start: int, stop: int) -> list[Item]:
        """Read the items from index `start` to before index `stop`, and compare them with the manifest.

        Raises:
            DamagedItemsError: an item differs from the manifest.
        """
        rows = self.table.select(range(start, stop))
        return [self._item(row, line) for row, line in zip(rows, self.lines(start, stop), strict=True)]

    def pick(self, indices: Iterable[int]) -> list[Item]:
        """Read the items at the given indices, in this order; see `read`."""
        return [item for index in indices for item in self.read(index, index + 1)]

    def _item(self, row: dict[str, Any], line: dict[str, Any]) -> Item:
        try:
            item = self._as_stored(row, line)
            if not self.changed(item, line):
                return item
        except (BadInputError, ValueError):
            pass
        put_aside(self.folder)
        raise DamagedItemsError(
            f"{self.folder}: expected the items that the manifest lists, found that item {line['id']} was changed; run "
            "the same command again to prepare the items again"
        )

    def as_stored(self, place: int) -> Item:
        """Read the item at index `place` without comparing it with the manifest.

        Raises:
            BadInputError: a picture of the item is missing or broken.
            ValueError: the image or the mask of the item in the Arrow file has too few or too many pixels for the
                resolution.
        """
        return self._as_stored(self.table[place], self.lines()[place])

    def changed(self, item: Item, line: dict[str, Any]) -> list[str]:
        """Return the keys, such as `image` or `source`, for which an item differs from the manifest.

        Args:
            item: the item that was read from disk.
            line: values that the manifest's list `items` states for this item.
        """
        masked = self.manifest["masks"] != "whole"
        contents = {
            "id": item.id,
            "source": item.source,
            "mask_area": item.mask_area,
            "image": item.image_sha256 if item.pictured else None,
            "mask": item.mask_sha256 if masked else None,
            "caption": hashlib.sha256(item.caption.encode()).hexdigest() if item.caption else None,
            "exemplar": None if item.exemplar is None else sha256_of(item.exemplar),
        }
        return [key for key, value in contents.items() if line.get(key) != value]

    def _as_stored(self, row: dict[str, Any], line: dict[str, Any]) -> Item:
        side = self.manifest["resolution"]
        if row["image"] is None and row["image_file"] is None:
            return unpictured_item(row["id"], row["source"], row["caption"], side)
        if row["image"] is None:
            image = square_image(text_as_path(row["image_file"]), resolution=side, squaring=self.squaring)
        else:
            image = np.frombuffer(row["image"], np.uint8).reshape(side, side, 3)
        exemplar = None if row["exemplar_file"] is None else np.asarray(read_rgb(text_as_path(row["exemplar_file"])))
        mask, words = _mask(row["mask"], side), words_of(line.get("words"), f"item {row['id']}")
        return Item(row["id"], row["source"], image, mask, row["caption"], exemplar, words=words)


def _mask(stored: bytes | None, side: int) -> npt.NDArray[np.uint8]:
    if stored is None:
        return np.ones((side, side), np.uint8)
    return np.frombuffer(stored, np.uint8).reshape(side, side)


@dataclass(frozen=True)
class Contents:
    """Hashes of the files from which items are prepared, and of the code of the adapter.

    If these hashes and the settings of the preparation are unchanged, earlier prepared items are used again.
    """

    files: FileHashes = field(default_factory=FileHashes)
    """Object that returns the hashes of the pictures, masks and exemplars. It can remember them from earlier runs."""
    code: Mapping[str, str] = field(default_factory=dict)
    """Hashes of the Python modules of the adapter, by name, if the adapter is a user's code and not this project's."""


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
    """Return the prepared items of a data set. If the store has none for the same files and settings, prepare them now.

    Args:
        folder: folder of the store that contains the prepared items of all runs.
        pictures: adapter of the data set. The manifest lists the items in the order in which the adapter yields them.
        resolution: side of the items in pixels.
        masks: family of masks, which is used only if the adapter's masks are drawn.
        seed: seed of the run.
        limit: largest number of items; None for no limit.
        contents: hashes of the files and the code; None to hash every file now and to use no hash of code.

    Raises:
        BadInputError: no item can be made from the pictures, two pictures have the same id, more than 1 % of the
            pictures are broken, the holes of given masks cover more than half of the image on average, a value of the
            adapter is invalid, or a file changes during the preparation.
    """
    with named("dataset.pictures", "an object that lists pictures"):
        pictures = with_defaults(pictures, Pictures)
        listed = list(pictures)
        left_out = _left_out(pictures)
        refuse_invalid(pictures, listed)
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
            **own_squaring(pictures).settings,
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
    """Open the prepared items in a folder. Return None if the folder does not exist.

    If the folder is damaged, or if the path is not a folder, the folder or file is renamed and the result is also None.
    """
    if not folder.is_dir():
        if os.path.lexists(folder):
            put_aside(folder)
        return None
    import datasets

    try:
        if any(os.path.lexists(folder / name) and not (folder / name).is_file() for name in (MANIFEST, TABLE, SUMS)):
            raise ValueError(
                "something that is not a regular file, such as a folder, is in the place of a prepared file"
            )
        manifest: dict[str, Any] = {**read_json_as(folder / MANIFEST, _Manifest)}
        table = datasets.Dataset.from_file(str(folder / TABLE))
        table.data.validate(full=True)
        complete = len(table) == len(manifest["items"]) and table.features == table_features()
        if complete and _sums(folder).get(MANIFEST) in (None, file_sha256(folder / MANIFEST)):
            return Items(manifest, table, folder)
    except (OSError, ValueError, KeyError, TypeError, BadInputError):
        pass
    put_aside(folder)
    return None


def _sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 that the list `SHA256SUMS` in a folder states for each file. The key is the file's name.

    If an older version prepared the items, the folder does not contain this list, and the result is empty.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def refuse_invalid(adapter: Pictures, listed: Sequence[Any]) -> None:
    """Raise BadInputError unless an adapter has valid properties and yields objects of `Picture` with valid values."""
    for name, allowed in KINDS.items():
        found = getattr(adapter, name)
        if found not in allowed:
            raise BadInputError(f"dataset.pictures.{name}: expected one of {', '.join(allowed)}, found {found!r:.60}")
    offset = adapter.crop_offset
    if isinstance(offset, bool) or not isinstance(offset, int):
        raise BadInputError(f"dataset.pictures.crop_offset: expected a whole number, found {offset!r:.60}")
    for one in listed:
        if not isinstance(one, Picture):
            raise BadInputError(f"dataset.pictures: expected objects of the class Picture, found {one!r:.60}")
        if one.path is None and adapter.pictured:
            raise BadInputError(f"dataset.pictures: expected the path of a picture, found None for the item {one.id}")
        if not all(isinstance(path, Path) for path in _files(one)) or not isinstance(one.caption, str):
            raise BadInputError(
                "dataset.pictures: expected Path objects as paths and a text as caption, found other types for the "
                f"item {one.id}"
            )
        if SURROGATE.search(one.caption):
            raise BadInputError(
                "dataset.pictures: expected captions in valid Unicode, found a lone surrogate in the caption of "
                f"the item {one.id}"
            )


def _refuse_repeated(pictures: list[Picture]) -> None:
    counts = Counter(picture.id for picture in pictures)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise BadInputError(
            f"dataset: expected a different id for each picture, found {len(repeated)} repeated ids: "
            f"{', '.join(repeated[:5])}"
        )


def _left_out(pictures: Pictures) -> dict[str, str]:
    """Return the paths that an adapter left out, each with the reason.

    Each path is converted to one line of valid Unicode, so that every table and message can contain it.
    """
    return {valid_id(str(path)): escaped(why) for path, why in dict(pictures.left_out).items()}


def _files(picture: Picture) -> list[Path]:
    return [path for path in (picture.path, picture.mask, picture.exemplar) if path is not None]


def _description(picture: Picture, contents: Mapping[Path, str], *, drawn: bool) -> list[Any]:
    """Return the values that determine an item, as plain data for the key of the prepared items.

    They are the id, the source, the caption, the flag `reference`, the mask values, the hashes of the files, and the
    paths of files that a run reads again later.

    Args:
        picture: files and texts of the item.
        contents: SHA-256 of each file. The key is the file's path.
        drawn: True if masks are drawn. The image is then saved with the items, and its path does not matter.
    """
    files = (picture.path, picture.mask, picture.exemplar)
    states = [None if path is None else contents[path] for path in files]
    places = [
        None if drawn or path is None else path_as_text(path.absolute()) for path in (picture.path, picture.exemplar)
    ]
    values = None if picture.mask_values is None else str(picture.mask_values)
    words = [] if picture.words is None else [words_as_lines(picture.words)]
    return [picture.id, picture.source, picture.caption, picture.reference, *states, *places, values, *words]


def _refuse_changed(changed: list[Path]) -> None:
    if changed:
        raise BadInputError(
            f"{changed[0]}: expected that no file of the data set changes during the run, found {len(changed)} changed "
            "files; run the same command again"
        )


class _Preparation:
    """An object that makes the items of one data set, and writes them and their manifest into a folder."""

    def __init__(self, folder: Path, pictures: Pictures, resolution: int, masks: MaskPreset, seed: int) -> None:
        self.folder, self.pictures, self.resolution, self.masks, self.seed = folder, pictures, resolution, masks, seed
        self.squaring = own_squaring(pictures)
        self.lines: list[dict[str, Any]] = []
        self.dropped: list[str] = []
        self.broken: dict[str, str] = {}
        self.grey_masks = 0

    def write(self, listed: list[Picture], limit: int | None, left_out: Mapping[str, str]) -> None:
        from datasets.arrow_writer import ArrowWriter

        with ArrowWriter(path=str(self.folder / TABLE), features=table_features()) as writer:
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
            "fit": self.squaring.fit,
            **self.squaring.settings,
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
            return inpainting_item(
                picture, resolution=self.resolution, masks=self.masks, seed=self.seed, squaring=self.squaring
            )
        if self.pictures.masks == "given" and picture.mask is None:
            raise BadInputError(f"{picture.path}: expected a mask of this picture, found no mask")
        item, between = item_of_files(picture, resolution=self.resolution, squaring=self.squaring)
        self.grey_masks += between > 0
        return item

    def _line(self, picture: Picture, item: Item) -> dict[str, Any]:
        return {
            "id": item.id,
            "source": item.source,
            "mask_area": item.mask_area,
            "reference": picture.reference,
            "image": item.image_sha256 if item.pictured else None,
            "mask": None if self.pictures.masks == "whole" else item.mask_sha256,
            "caption": hashlib.sha256(item.caption.encode()).hexdigest() if item.caption else None,
            "exemplar": None if item.exemplar is None else sha256_of(item.exemplar),
            **({} if item.words is None else {"words": words_as_lines(item.words)}),
        }

    def _row(self, picture: Picture, item: Item) -> dict[str, Any]:
        drawn = self.pictures.masks == "drawn"
        return {
            "id": item.id,
            "source": item.source,
            "caption": item.caption,
            "image": item.image.tobytes() if drawn else None,
            "mask": None if self.pictures.masks == "whole" else item.mask.tobytes(),
            "image_file": None if drawn or picture.path is None else path_as_text(picture.path.absolute()),
            "exemplar_file": None if picture.exemplar is None else path_as_text(picture.exemplar.absolute()),
        }

    def _check(self) -> None:
        tried = len(self.lines) + len(self.dropped) + len(self.broken)
        if len(self.broken) > MOST_BROKEN * tried:
            worst = "; ".join(list(self.broken.values())[:5])
            raise BadInputError(
                f"dataset: expected at most 1 % broken pictures, found {len(self.broken)} of {tried}, such as: {worst}"
            )
        if not self.lines:
            raise BadInputError(
                f"dataset: expected at least one picture from which an item can be made, found none in {tried} pictures"
            )
        area = float(np.mean([line["mask_area"] for line in self.lines]))
        if self.pictures.masks == "given" and area > MOST_MASKED:
            raise BadInputError(
                f"dataset: expected masks whose holes cover at most half of the image on average, found {area:.0%}; "
                f"if the holes are black, set {MASK_VALUES}=[255,0]"
            )


def _warn_about_missing(manifest: dict[str, Any]) -> None:
    if manifest["dropped"]:
        names = ", ".join(manifest["dropped"])
        count = len(manifest["dropped"])
        log.warning(
            "%d picture(s) are left out, because each mask that was drawn for them covers more than half of the image: "
            "%s",
            count,
            names,
        )
    if manifest["grey_masks"]:
        log.warning(
            "%d mask(s) have grey pixels; each of these pixels counts as the hole or as known, whichever level is "
            "nearer",
            manifest["grey_masks"],
        )
    if note := left_out_note(manifest["left_out"]):
        log.warning("%s", note)
    for reason in manifest["broken"].values():
        log.warning("a broken picture is left out: %s", reason)
