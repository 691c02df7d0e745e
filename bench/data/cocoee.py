"""COCOEE, the test bench of Paint-by-Example: pictures, boxes to fill, and patches of what is to be painted there.

Its files are named after COCO annotation ids of 12 digits (Fantasy-Studio/Paint-by-Example at 52a7e37, README and
ldm/data/test_bench_dataset.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from bench.data.items import Picture
from bench.data.listing import existing_folder, few, names_sha256, refuse_repeated, source_notes
from bench.errors import BadInputError

__all__ = ["COCOEE"]

PARTS = {"GT_3500": "GT", "Mask_bbox_3500": "mask", "Ref_3500": "ref"}
"""Folders, and the endings of the names in them."""
LIST = "id_list.npy"
DIGITS = 12
PUBLISHED = (3500, "0acd5c4b13060dd4b671be8c01f2d2e53b739ce7d6bedcb1df1cd386c4c3c819")
"""Number and SHA-256 of the sorted ids, as 12 digits each, in Fantasy-Studio/Paint-by-Example at 52a7e37,
test_bench/id_list.npy.
"""


@dataclass(frozen=True)
class COCOEE:
    """Pictures with the mask and the exemplar that belong to each.

    Attributes:
        root: the folder `test_bench`.
        ids: a file of int64 ids in NumPy's format, in the order of the items; a relative path is meant from the root.
            None for the root's `id_list.npy`, or where that is absent for all ids in the folders.
    """

    root: str | Path
    ids: str | Path | None = None

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "given"
    fit: ClassVar[Literal["lama", "squash", "crop"]] = "squash"

    @property
    def subset(self) -> Literal["published", "custom"]:
        """`published` for the ids of the published list, in any order."""
        return "published" if (len(self._names), names_sha256(sorted(self._names))) == PUBLISHED else "custom"

    def __iter__(self) -> Iterator[Picture]:
        """The pictures.

        Raises:
            BadInputError: the root or the list is missing, the list is broken or has an id twice, or an id lacks one of
                its three files.
        """
        root, names = Path(self.root), self._names
        files = {name: [f"{part}/{name}_{ending}.png" for part, ending in PARTS.items()] for name in names}
        missing = {name: [file for file in triple if not (root / file).is_file()] for name, triple in files.items()}
        absent = [file for triple in missing.values() for file in triple]
        if absent:
            lacking = f"{sum(map(bool, missing.values()))} of {len(names)} ids lack a file in {root}"
            raise BadInputError(f"{self._list or root}: {lacking}: {few(absent)}")
        sources = source_notes(root)
        for name, (picture, mask, exemplar) in files.items():
            yield Picture(name, root / picture, sources.get(picture, name), mask=root / mask, exemplar=root / exemplar)

    @property
    def _list(self) -> Path | None:
        path = Path(self.root) / (LIST if self.ids is None else self.ids)
        return None if self.ids is None and not path.is_file() else path

    @cached_property
    def _names(self) -> list[str]:
        """The ids as 12 digits each."""
        root = existing_folder(self.root, f"a folder that holds {', '.join(PARTS)}")
        names = _found(root) if self._list is None else _listed(self._list)
        if not names:
            raise BadInputError(f"{self._list or root}: expected ids of pictures, found none")
        return names


def _found(root: Path) -> list[str]:
    names = set()
    for part, ending in PARTS.items():
        for path in (root / part).glob(f"*_{ending}.png"):
            if matched := re.fullmatch(rf"(\d{{{DIGITS}}})_{ending}\.png", path.name):
                names.add(matched[1])
    return sorted(names)


def _listed(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            ids = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # the header is parsed as Python, and may end in any of them
        raise BadInputError(f"{path}: expected ids in NumPy's format, found {error}") from None
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise BadInputError(f"{path}: expected one row of whole numbers, found {ids.dtype} of shape {ids.shape}")
    outside = [str(number) for number in ids.tolist() if not 0 <= number < 10**DIGITS]
    if outside:
        raise BadInputError(f"{path}: expected ids of at most {DIGITS} digits, found {few(outside)}")
    names = [f"{number:0{DIGITS}d}" for number in ids.tolist()]
    refuse_repeated(names, listed_in=path)
    return names
