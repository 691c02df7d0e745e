"""Reading of captions from a CSV file, from a JSONL file, or from a folder with one text file for each caption.

A CSV file has a header, and a JSONL file has one JSON object in each line. The column or key `caption` or `prompt`
contains the caption, and `picture` or `file` contains the name of the picture. Other columns and keys are ignored.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import Any

from bench.data.listing import few, read_text
from bench.data.walking import walk
from bench.errors import BadInputError
from bench.runtime.strict_json import parse_json

__all__ = ["TEXT", "Caption", "read_captions"]

NAMES, TEXTS = ("picture", "file"), ("caption", "prompt")
"""Columns or keys that may hold the name of a picture, and those that may hold a caption."""
TEXT = ".txt"
"""Suffix of the files in a folder of captions."""
EXPECTED = "a CSV file (.csv), a JSONL file (.jsonl) or a folder of text files (.txt)"


@dataclass(frozen=True)
class Caption:
    """A caption, and the picture to which it belongs."""

    name: str
    """Name of the picture as the file states it, or the path of the text file without its suffix.

    It is empty if the file states no names, which is allowed only if the captions need no pictures.
    """
    text: str


def read_captions(path: Path, *, named: bool = True) -> list[Caption]:
    """Return all captions of a file or folder. White space around a caption is removed.

    The captions of a file have the order of the file. The captions of a folder are sorted by the names of the files.

    Args:
        path: path of the file or folder, which the setting `dataset.captions` names.
        named: True if each caption must state the name of its picture.

    Raises:
        BadInputError: the path does not exist, the file is neither CSV nor JSONL, its content is broken or is neither
            UTF-8 nor UTF-16 with a byte order mark, or there is no caption or an empty one. The message about empty
            captions states their number, and names the first lines or files with an empty caption.
    """
    if path.is_dir():
        found = list(_of_folder(path))
    elif not path.exists():
        raise BadInputError(f"dataset.captions: expected {EXPECTED}, found nothing at {path}")
    elif path.suffix.lower() == ".csv":
        found = list(_of_table(path, named))
    elif path.suffix.lower() == ".jsonl":
        found = list(_of_objects(path, named))
    else:
        raise BadInputError(f"dataset.captions: expected {EXPECTED}, found {path}, which has another ending")
    if not found:
        raise BadInputError(f"{path}: expected captions, found none")
    empty = [place for place, one in found if not one.text]
    if empty:
        raise BadInputError(
            f"{path}: expected no empty caption, found {len(empty)} of {len(found)} captions empty: {few(empty)}"
        )
    return [one for _, one in found]


def _of_folder(folder: Path) -> Iterator[tuple[str, Caption]]:
    for path in walk(folder).files:
        if path.suffix == TEXT:
            name = path.relative_to(folder).as_posix()
            yield name, Caption(name[: -len(TEXT)], read_text(path).strip())


def _of_table(path: Path, named: bool) -> Iterator[tuple[str, Caption]]:
    lines = csv.reader(StringIO(read_text(path), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(lines, [])]
        columns = _Columns.of(header, path, named)
        for values in lines:
            place = f"line {lines.line_num}"
            if not values:
                continue
            if len(values) != len(header):
                raise BadInputError(
                    f"{path}: expected {len(header)} values in each line, as in the header, found {len(values)} in "
                    f"{place}; a caption with a comma needs quotes"
                )
            yield place, columns.caption(dict(zip(header, values, strict=True)))
    except csv.Error as error:
        raise BadInputError(f"{path}: expected a CSV file, found an error in line {lines.line_num}: {error}") from None


def _of_objects(path: Path, named: bool) -> Iterator[tuple[str, Caption]]:
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        entry = parse_json(line, f"{path}:{number}")
        if not isinstance(entry, dict):
            raise BadInputError(f"{path}:{number}: expected a JSON object, found another value")
        columns = _Columns.of(list(entry), path, named)
        wrong = [name for name in columns.used if not isinstance(entry[name], str)]
        if wrong:
            raise BadInputError(
                f"{path}:{number}: expected a text for the key {wrong[0]}, found a value of another type"
            )
        yield f"line {number}", columns.caption(entry)


@dataclass(frozen=True)
class _Columns:
    """The names of the columns of a CSV file, or of the keys of a JSON object, from which a caption is read."""

    name: str | None
    text: str

    @classmethod
    def of(cls, header: list[str], path: Path, named: bool) -> _Columns:
        name, text = ([column for column in header if column in allowed] for allowed in (NAMES, TEXTS))
        if len(text) != 1 or len(name) > 1 or (named and not name):
            wanted = f"exactly one named {' or '.join(TEXTS)}"
            also = f"{'exactly' if named else 'at most'} one column or JSON key named {' or '.join(NAMES)}"
            raise BadInputError(
                f"{path}: expected {also}, and {wanted}, found these names: {', '.join(header) or '(none)'}"
            )
        return cls(name[0] if name else None, text[0])

    @property
    def used(self) -> list[str]:
        return [self.text] if self.name is None else [self.name, self.text]

    def caption(self, entry: Mapping[str, Any]) -> Caption:
        name = "" if self.name is None else PurePosixPath(entry[self.name].strip()).as_posix()
        return Caption(name, entry[self.text].strip())
