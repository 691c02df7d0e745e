"""The 256×256 release of Places' test pictures, and the 30,000 of them that LaMa published as its test set."""

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
"""Number and SHA-256 of the names in advimman/lama at 786f593, configs/test_large_30k.lst."""


@dataclass(frozen=True)
class Places(Pictures):
    """The listed pictures of `test_256`, in the order of the list.

    Attributes:
        root: the folder that holds `test_256`.
        listing: a text file of names such as `Places365_test_00000001.jpg`, one per line; a relative path starts at
            the root.
    """

    root: str | Path
    listing: str | Path

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "drawn"
    fit: ClassVar[Literal["lama", "squash", "crop"]] = "lama"

    @property
    def subset(self) -> Literal["published", "custom"]:
        """`published` for the list that LaMa published; `custom` otherwise."""
        return "published" if (len(self._names), names_sha256(self._names)) == PUBLISHED else "custom"

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures.

        Raises:
            BadInputError: the root or the list is missing, or the list is empty, has a name twice, or names files
                that are missing or outside the folder.
        """
        root = existing_folder(self.root, f"a folder that holds {FOLDER}")
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
        lines = read_lines(self._listing, "dataset.pictures.listing", "a text file of names")
        names = [line for line in lines if line]
        if not names:
            raise BadInputError(f"{self._listing}: expected names of pictures, one a line, found none")
        refuse_repeated([_stem(name) for name in names], listed_in=self._listing)
        return names


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return (path.parent / path.stem).as_posix()
