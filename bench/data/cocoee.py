"""The adapter for COCOEE, the test bench of Paint-by-Example.

COCOEE consists of pictures, masks with one box to fill, and exemplars of the content to paint into the box. The name of
each file begins with a COCO annotation id of 12 digits (Fantasy-Studio/Paint-by-Example at 52a7e37, README and
ldm/data/test_bench_dataset.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from os.path import isfile  # unlike Path.is_file, it accepts a name that is too long for any file
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from bench.data.given_masks import mask_values
from bench.data.items import Picture, Pictures
from bench.data.listing import existing_folder, few, names_sha256, refuse_repeated, source_notes
from bench.data.walking import walk
from bench.errors import BadInputError

__all__ = ["COCOEE"]

PARTS = {"GT_3500": "GT", "Mask_bbox_3500": "mask", "Ref_3500": "ref"}
"""Folders of pictures, masks and exemplars, each with the word that follows the id in its file names."""
LIST = "id_list.npy"
DIGITS = 12
PUBLISHED = (3500, "0acd5c4b13060dd4b671be8c01f2d2e53b739ce7d6bedcb1df1cd386c4c3c819")
"""Number of ids in the published list, and SHA-256 of the sorted ids, each with 12 digits.

Source: Fantasy-Studio/Paint-by-Example at 52a7e37, test_bench/id_list.npy.
"""


@dataclass(frozen=True)
class COCOEE(Pictures):
    """The pictures of COCOEE, each with its mask and its exemplar.

    Attributes:
        root: path of the folder `test_bench`.
        ids: file of integer ids in NumPy's format, in the order of the items. A relative path starts at the root. None
            means the file `id_list.npy` in the root; if the root has no such file, all ids in the names of the
            pictures, masks and exemplars are used.
        mask_values: value of known pixels and value of the hole in mask files. None if black is known and white is the
            hole.
    """

    root: str | Path
    ids: str | Path | None = None
    mask_values: Sequence[Any] | None = None

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "given"
    fit: ClassVar[Literal["lama", "squash", "crop"]] = "squash"
    dataset: ClassVar[str] = "COCOEE"
    split: ClassVar[str] = "test"

    def __post_init__(self) -> None:
        mask_values(self.mask_values)

    @property
    def subset(self) -> Literal["published", "custom"]:
        """`published` if the ids are exactly the ids of the published list, in any order; `custom` otherwise."""
        return "published" if (len(self._names), names_sha256(sorted(self._names))) == PUBLISHED else "custom"

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures in the order of the list of ids. If there is no list, yield them sorted by id.

        Raises:
            BadInputError: the root or the list is missing, the list is broken or has an id twice, there is no id, or
                an id lacks its picture, mask or exemplar.
        """
        root, names = Path(self.root), self._names
        files = {name: [f"{part}/{name}_{ending}.png" for part, ending in PARTS.items()] for name in names}
        missing = {name: [file for file in triple if not (root / file).is_file()] for name, triple in files.items()}
        absent = [file for triple in missing.values() for file in triple]
        if absent:
            found = f"{sum(map(bool, missing.values()))} of {len(names)} ids with missing files: {few(absent)}"
            raise BadInputError(
                f"{self._list or root}: expected a picture, a mask and an exemplar in {root} for each id, found {found}"
            )
        sources, values = source_notes(root), mask_values(self.mask_values)
        for name, (picture, mask, exemplar) in files.items():
            yield Picture(
                name,
                root / picture,
                sources.get(picture, name),
                mask=root / mask,
                mask_values=values,
                exemplar=root / exemplar,
            )

    @property
    def left_out(self) -> dict[str, str]:
        """Paths in the three folders that give no id, each with the reason; see `_found`.

        If the ids come from a list, files with other names are ignored, and the result is empty.
        """
        return {} if self._list is not None else self._found[1]

    @property
    def _list(self) -> Path | None:
        path = Path(self.root) / (LIST if self.ids is None else self.ids)
        return None if self.ids is None and not path.is_file() else path

    @cached_property
    def _names(self) -> list[str]:
        """Ids of the pictures, as texts of 12 digits."""
        root = existing_folder(self.root, f"a folder that contains the folders {', '.join(PARTS)}")
        names = self._found[0] if self._list is None else _listed(self._list)
        if not names:
            raise BadInputError(f"{self._list or root}: expected ids of pictures, found no id")
        return names

    @cached_property
    def _found(self) -> tuple[list[str], dict[str, str]]:
        """A pair: the sorted ids that the file names state, and the paths that were left out, each with the reason.

        A file states an id if its name is `ID_WORD.png`, with the word of its folder (`PARTS`).
        """
        names: set[str] = set()
        left_out: dict[str, str] = {}
        for part, ending in PARTS.items():
            folder = Path(self.root) / part
            if not folder.is_dir():
                continue
            walked = walk(folder, depth=1)
            for path in walked.files:
                if matched := re.fullmatch(rf"([0-9]{{{DIGITS}}})_{ending}\.png", path.name):
                    names.add(matched[1])
                else:
                    walked.leave_out(path, f"its name is not ID_{ending}.png")
            left_out |= {f"{part}/{name}": why for name, why in walked.left_out.items()}
        return sorted(names), left_out


def _listed(path: Path) -> list[str]:
    if path.exists() and not isfile(path):
        raise BadInputError(
            f"{path}: expected a NumPy file (.npy) with ids, found something that is not a regular file"
        )
    try:
        with path.open("rb") as file:
            ids = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # the header is parsed as Python code, which can raise any error
        raise BadInputError(
            f"{path}: expected a NumPy file (.npy) with ids, found one that cannot be read ({error})"
        ) from None
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise BadInputError(f"{path}: expected a 1-D array of whole numbers, found {ids.dtype} of shape {ids.shape}")
    outside = [str(number) for number in ids.tolist() if not 0 <= number < 10**DIGITS]
    if outside:
        raise BadInputError(f"{path}: expected ids from 0 to {10**DIGITS - 1}, found {few(outside)}")
    names = [f"{number:0{DIGITS}d}" for number in ids.tolist()]
    refuse_repeated(names, listed_in=path)
    return names
