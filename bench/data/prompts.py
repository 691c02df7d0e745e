"""The adapter for captions without pictures. A whole image is generated from each caption."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from bench.data.caption_files import read_captions
from bench.data.items import Picture, Pictures
from bench.data.listing import refuse_repeated
from bench.errors import BadInputError

__all__ = ["Prompts"]

DIGITS = 6


@dataclass(frozen=True)
class Prompts(Pictures):
    """A data set without pictures, which has an item for each caption of a file or folder.

    The items have the order of the file, or the order of the sorted paths in the folder. If a CSV or JSONL file states
    a name for a caption, this name is the id of the item. If the file states no name, the id is the number of the
    caption with six digits, beginning with 000001. For a folder, the id is the path of the text file without suffix.

    Attributes:
        captions_from: CSV or JSONL file of the captions, or folder of text files with one caption each; see
            `bench.data.caption_files`.
        task: task of the table, which must be `generation`, because every other task needs pictures.
    """

    captions_from: str | Path
    task: str | None = "generation"

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "whole"
    fit: ClassVar[Literal["lama", "squash", "crop"]] = "squash"
    pictured: ClassVar[bool] = False

    def __iter__(self) -> Iterator[Picture]:
        """Yield an item for each caption.

        Raises:
            BadInputError: the task needs pictures, the captions are missing or broken, or two captions share a name.
        """
        if self.task != "generation":
            raise BadInputError(
                f"dataset: expected pictures, because this table's task is {self.task or 'none'}, found captions only; "
                "captions suffice for text to image, as in Tables 6 and 10"
            )
        path = Path(self.captions_from)
        captions = read_captions(path, named=False)
        names = [one.name or f"{number:0{DIGITS}d}" for number, one in enumerate(captions, 1)]
        refuse_repeated(names, listed_in=path)
        for name, caption in zip(names, captions, strict=True):
            yield Picture(name, None, name, caption=caption.text)
