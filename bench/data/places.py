"""The adapter for the test pictures of Places, in their release of 256×256 pixels.

LaMa published a list of 30,000 of these pictures as its test set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

from bench.data.items import Picture, Pictures
from bench.data.listing import (
    existing_folder,
    inside,
    names_sha256,
    read_lines,
    refuse_missing,
    refuse_repeated,
    source_notes,
)
from bench.errors import BadInputError

__all__ = ["Places"]

FOLDER = "test_256"
PUBLISHED = (30_000, "2f6a39e65084144c8ba17497f4fa498a67f387e2ea084352fbf2266c8d82c387")
"""Number of names in the list that LaMa published, and SHA-256 of the names.

Source: advimman/lama at 786f593, configs/test_large_30k.lst.
"""


@dataclass(frozen=True)
class Places(Pictures):
    """The pictures in the folder `test_256` that a list names, in the order of the list.

    Attributes:
        root: folder that contains `test_256`.
        listing: path of a text file with one file name on each line, such as `Places365_test_00000001.jpg`. If this
            path is relative, it starts at `root`.
    """

    root: str | Path
    listing: str | Path

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "drawn"
    fit: ClassVar[Literal["lama", "squash", "crop"]] = "lama"
    dataset: ClassVar[str] = "Places"
    split: ClassVar[str] = "test"

    @property
    def subset(self) -> Literal["published", "custom"]:
        """`published` if the list is the one that LaMa published; `custom` for any other list."""
        return "published" if (len(self._names), names_sha256(self._names)) == PUBLISHED else "custom"

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures.

        Raises:
            BadInputError: the root or the list is missing; or the list is empty, has a name twice, or names a file
                that is missing or outside `test_256`.
        """
        root = existing_folder(self.root, f"a folder that contains the folder {FOLDER}")
        folder, names = root / FOLDER, self._names
        paths = [inside(folder, name, listed_in=self._listing) for name in names]
        refuse_missing(folder, paths, listed_in=self._listing)
        sources = source_notes(root)
        for name, path in zip(names, paths, strict=True):
            stem = _stem(name)
            yield Picture(stem, path, sources.get(f"{FOLDER}/{name}", stem))

    @property
    def _listing(self) -> Path:
        return Path(self.root) / self.listing

    @cached_property
    def _names(self) -> list[str]:
        lines = read_lines(self._listing, "dataset.pictures.listing", "a text file with one file name on each line")
        names = [line for line in lines if line]
        if not names:
            raise BadInputError(
                f"{self._listing}: expected the file name of one picture on each line, found no file name"
            )
        refuse_repeated([_stem(name) for name in names], listed_in=self._listing)
        return names


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return (path.parent / path.stem).as_posix()
