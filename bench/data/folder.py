"""The adapter for a folder of pictures that belongs to no known data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from bench.data.items import Picture, Pictures
from bench.data.listing import NOTES, existing_folder, source_notes
from bench.data.pictures import is_picture
from bench.data.walking import walk
from bench.errors import BadInputError

__all__ = ["FolderPictures"]


@dataclass(frozen=True)
class FolderPictures(Pictures):
    """All pictures below a folder, in the order of their names.

    Links are followed. Hidden files, whose names begin with a dot, are left out.

    Attributes:
        root: path of the folder.
    """

    root: str | Path

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "drawn"
    fit: ClassVar[Literal["lama", "squash", "crop"]] = "lama"

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures.

        Raises:
            BadInputError: the root is not a folder, or holds no picture.
        """
        root = existing_folder(self.root, "a folder of pictures")
        sources = source_notes(root)
        paths, _ = self._pictures_and_rest
        if not paths:
            raise BadInputError(f"dataset.root: expected pictures, found none in {root}")
        for path in paths:
            # The suffix is part of the name, so that a.png and a.jpg are two items.
            name = path.relative_to(root).as_posix()
            yield Picture(name, path, sources.get(name, name))

    @property
    def left_out(self) -> dict[str, str]:
        """Paths below the root that give no picture, each with the reason."""
        return self._pictures_and_rest[1]

    @cached_property
    def _pictures_and_rest(self) -> tuple[list[Path], dict[str, str]]:
        found = walk(Path(self.root))
        paths = []
        for path in found.files:
            if path.parent == found.root and path.name in NOTES:
                continue
            if path.stat().st_size == 0:
                found.leave_out(path, "an empty file")
            elif not is_picture(path):
                found.leave_out(path, "not a picture")
            else:
                paths.append(path)
        return paths, found.left_out
