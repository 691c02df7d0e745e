"""Helpers for the adapters of data sets.

They read text files with lists of names, check that listed files exist inside the root of the data set, and read files
that say from which source each picture was made.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from os.path import isfile, lexists  # unlike Path.is_file, they accept names that are too long for any file
from pathlib import Path, PurePosixPath

from typing_extensions import TypedDict

from bench.errors import BadInputError
from bench.runtime.strict_json import checked, parse_json
from bench.runtime.text import few

__all__ = [
    "existing_folder",
    "few",
    "inside",
    "names_sha256",
    "read_lines",
    "read_text",
    "refuse_missing",
    "refuse_repeated",
    "source_notes",
]

NOTES = ("sources.jsonl", "scenes.jsonl")
BEGINNINGS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""Byte order marks, each with the encoding of a text that begins with it."""
LARGEST_TEXT = 2**30
"""Largest number of bytes of a text file."""


class _Note(TypedDict):
    file: str
    source: str


def existing_folder(root: str | Path, expected: str, key: str = "dataset.root") -> Path:
    """Require that a folder of a data set exists, and return it as a path.

    Args:
        root: path of the folder.
        expected: description of the folder, for the error message.
        key: setting that names the folder, for the error message.

    Raises:
        BadInputError: no folder exists at the path.
    """
    if not Path(root).is_dir():
        found = "something that is not a folder" if lexists(root) else "nothing"
        raise BadInputError(f"{key}: expected {expected}, found {found} at {root}")
    return Path(root)


def names_sha256(names: Iterable[str]) -> str:
    """Return the SHA-256 of a list of names as 64 hexadecimal digits.

    The names are joined by line feeds, so the order of the names matters.
    """
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def inside(root: Path, name: str, *, listed_in: Path) -> Path:
    """Return the path of a listed file, and require that this path is inside the folder `root`.

    Args:
        root: the folder.
        name: path of the file relative to the folder, as the list states it.
        listed_in: path of the list, for the error message.

    Raises:
        BadInputError: the name is absolute, or contains `..`.
    """
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise BadInputError(f"{listed_in}: expected only paths inside {root}, found {name}")
    return root / name


def refuse_repeated(names: Iterable[str], *, listed_in: Path) -> None:
    """Raise BadInputError if a name is listed more than once.

    Args:
        names: the listed names.
        listed_in: path of the list, for the message.
    """
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise BadInputError(f"{listed_in}: expected each name once, found {len(repeated)} repeated: {few(repeated)}")


def refuse_missing(root: Path, paths: Sequence[Path], *, listed_in: Path) -> None:
    """Raise BadInputError if files are missing. The message states their number and names the first five of them.

    Args:
        root: folder of the files.
        paths: paths of the files, below the folder.
        listed_in: path of the list that names the files, for the message.
    """
    missing = [path.relative_to(root).as_posix() for path in paths if not isfile(path)]
    if missing:
        raise BadInputError(
            f"{listed_in}: expected that each listed file exists in {root}, found {len(missing)} of {len(paths)} "
            f"missing: {few(missing)}"
        )


def source_notes(root: Path) -> dict[str, str]:
    """Read from which source each picture of a data set was made.

    Miniature data sets, and the folder `truth` of an export, contain a file `sources.jsonl` or `scenes.jsonl` with the
    sources. Other data sets contain no such file, and the result is then empty.

    Args:
        root: folder that may contain one of these files.

    Returns:
        The source of each picture. The key is the picture's path relative to the root.

    Raises:
        BadInputError: the file is broken, or has two different sources for one picture.
    """
    for path in (root / name for name in NOTES):
        if not path.is_file():
            continue
        sources: dict[str, str] = {}
        for number, text in enumerate(read_lines(path, str(path), "a list of the pictures' sources"), 1):
            if not text:
                continue
            place = f"{path}:{number}"
            note = checked(parse_json(text, place), _Note, place)
            if sources.setdefault(note["file"], note["source"]) != note["source"]:
                raise BadInputError(f"{place}: expected one source of {note['file']}, found a second, different source")
        return sources
    return {}


def read_lines(path: Path, key: str, expected: str) -> list[str]:
    """Return the lines of a text file. White space around a line, and empty lines at the end of the file, are removed.

    The text may be UTF-8, or UTF-16 with a byte order mark. Line ends of every operating system are recognised.

    Args:
        path: path of the file.
        key: setting that names the file, for error messages.
        expected: description of the file, for error messages.

    Raises:
        BadInputError: the file is missing, cannot be read, is not a regular file, is larger than `LARGEST_TEXT`, or is
            not text in one of these encodings.
    """
    try:
        text = read_text(path)
    except (OSError, ValueError, BadInputError) as error:
        raise BadInputError(f"{key}: expected {expected} at {path}, found an error: {error}") from None
    lines = _lines(text)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _lines(text: str) -> list[str]:
    return [line.strip() for line in re.split(r"\r\n|\r|\n", text)]


def read_text(path: Path) -> str:
    """Return the content of a text file. The file may be UTF-8, or UTF-16 with a byte order mark.

    Raises:
        OSError: the file cannot be read.
        BadInputError: the file is not a regular file, is larger than `LARGEST_TEXT`, or is not text.
    """
    if path.exists() and not isfile(path):
        raise BadInputError(f"{path}: expected a text file, found something that is not a regular file")
    if path.stat().st_size > LARGEST_TEXT:
        raise BadInputError(
            f"{path}: expected a text file of at most {LARGEST_TEXT} bytes, found {path.stat().st_size} bytes"
        )
    content = path.read_bytes()
    encoding = next((name for mark, name in BEGINNINGS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"{path}: expected text in UTF-8, or in UTF-16 with a byte order mark, found an error: {error}"
        ) from None
    if "\0" in text:
        raise BadInputError(
            f"{path}: expected text in UTF-8, found null characters, as in UTF-16 without a byte order mark"
        )
    return text
