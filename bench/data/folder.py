"""Any folder of pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from PIL import Image, UnidentifiedImageError

from bench.data.items import Picture
from bench.data.listing import existing_folder, source_notes
from bench.errors import BadInputError

__all__ = ["FolderPictures"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderPictures:
    """Every picture under a folder, at any depth, in the order of names; hidden files are passed over.

    Attributes:
        root: the folder.
    """

    root: str | Path

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "drawn"
    fit: ClassVar[Literal["lama", "squash", "crop"]] = "lama"
    subset: ClassVar[Literal["published", "custom"]] = "custom"

    def __iter__(self) -> Iterator[Picture]:
        """The pictures; what is none is skipped with a line that says so.

        Raises:
            BadInputError: the root is no folder, or holds no picture.
        """
        root = existing_folder(self.root, "a folder of pictures")
        sources = source_notes(root)
        empty = True
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            relative = path.relative_to(root)
            if any(part.startswith(".") for part in relative.parts):
                continue
            if not _is_picture(path):
                log.warning("skipped %s: not a picture", path)
                continue
            empty = False
            # The suffix stays: a.png and a.jpg are two items.
            name = relative.as_posix()
            yield Picture(name, path, sources.get(name, name))
        if empty:
            raise BadInputError(f"dataset.root: expected pictures, found none in {root}")


def _is_picture(path: Path) -> bool:
    try:
        with Image.open(path):
            return True
    except UnidentifiedImageError:
        return False
    except (OSError, Image.DecompressionBombError):
        return True  # it says that it is one, and reading it will say what is wrong
