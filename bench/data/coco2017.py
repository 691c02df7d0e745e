"""The adapter for the validation pictures of COCO 2017, without their annotations.

The model cards of Stability AI measure autoencoders on these 5,000 pictures. The whole image is reconstructed, so no
mask is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from bench.data.items import Picture, Pictures
from bench.data.listing import existing_folder, source_notes
from bench.data.pairing import PictureFolder, picture_folder
from bench.errors import BadInputError

__all__ = ["FOLDER", "COCO2017Validation"]

FOLDER = "val2017"


@dataclass(frozen=True)
class COCO2017Validation(Pictures):
    """The pictures in the folder `val2017`, sorted by name. The shorter side is scaled, and the centre is cut out.

    Attributes:
        root: folder that contains `val2017`.
    """

    root: str | Path

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "whole"
    fit: ClassVar[Literal["lama", "squash", "crop"]] = "crop"
    dataset: ClassVar[str] = "COCO 2017"
    split: ClassVar[str] = "val"

    @property
    def left_out(self) -> dict[str, str]:
        """Paths of files in `val2017` that are not used as a picture, each with the reason."""
        return self._pictures.left_out

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures. The id of a picture is the name of its file without the suffix.

        Raises:
            BadInputError: the root or the folder `val2017` is missing, or there is no picture.
        """
        root = Path(self.root)
        names, sources = self._pictures.names, source_notes(root)
        if not names:
            raise BadInputError(f"dataset.root: expected pictures in {root / FOLDER}, found none")
        for name in names:
            stem = Path(name).with_suffix("").as_posix()
            yield Picture(stem, root / FOLDER / name, sources.get(f"{FOLDER}/{name}", stem))

    @cached_property
    def _pictures(self) -> PictureFolder:
        root = existing_folder(self.root, f"a folder that contains the folder {FOLDER}")
        return picture_folder(root / FOLDER, "dataset.root", f"the folder {FOLDER} of COCO 2017 in {root}")
