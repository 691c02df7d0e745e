"""The adapter for square pictures with drawn words, whose texts and boxes are known.

`bench.data.mini.drawn_words` writes such a data set. Words of your own can have the same layout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from typing_extensions import TypedDict

from bench.data.items import Picture, Pictures
from bench.data.listing import existing_folder, inside, read_lines, refuse_missing, refuse_repeated
from bench.data.words import words_of
from bench.errors import BadInputError
from bench.runtime.strict_json import checked, parse_json

__all__ = ["IMAGES", "MASKS", "NOTES", "DrawnWords"]

IMAGES, MASKS, NOTES = "images", "masks", "words.jsonl"
"""Folder of the pictures, folder of their masks, and file with the words and the source of each picture."""


class _Note(TypedDict):
    file: str
    source: str
    words: list[Any]


@dataclass(frozen=True)
class DrawnWords(Pictures):
    """The pictures that the file `words.jsonl` lists, each with a mask of the same name and with its words.

    Attributes:
        root: folder that contains the folders `images` and `masks` and the file `words.jsonl`. Each line of this file
            is a JSON object with three keys. `file` is the path of a picture, such as `images/0000.png`. `source` names
            the photograph from which it was cut. `words` is a list of words, each with `text`, with the box `left`,
            `top`, `right` and `bottom` in pixels, and with the `height` of its letters; see `bench.data.words.Word`.
    """

    root: str | Path

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "given"
    fit: ClassVar[Literal["lama", "squash", "crop"]] = "squash"
    dataset: ClassVar[str] = "drawn words"
    split: ClassVar[str] = "val"

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures in the order of the file.

        Raises:
            BadInputError: the root or the file is missing, the file is broken, or lists a picture twice, or a listed
                picture or its mask is missing or outside its folder.
        """
        root = existing_folder(self.root, f"a folder that contains {IMAGES}, {MASKS} and {NOTES}")
        listing = root / NOTES
        found: list[Picture] = []
        for number, text in enumerate(read_lines(listing, "dataset.root", "a file that lists the words"), 1):
            place = f"{listing}:{number}"
            note = checked(parse_json(text, place), _Note, place)
            path = inside(root, note["file"], listed_in=listing)
            mask, words = root / MASKS / path.name, words_of(note["words"], place)
            found.append(Picture(path.stem, path, note["source"], mask=mask, words=words))
        if not found:
            raise BadInputError(f"{listing}: expected one line for each picture, found no line")
        refuse_repeated([picture.id for picture in found], listed_in=listing)
        files = [path for picture in found for path in (picture.path, picture.mask) if path is not None]
        refuse_missing(root, files, listed_in=listing)
        yield from found
