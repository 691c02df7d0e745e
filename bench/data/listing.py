"""What adapters share: lists of names known by their hash, paths that stay inside their root, notes of sources."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from os.path import isfile  # unlike Path.is_file, it takes a name too long for any file
from pathlib import Path, PurePosixPath

from bench.errors import BadInputError

__all__ = ["existing_folder", "few", "inside", "names_sha256", "refuse_missing", "refuse_repeated", "source_notes"]

SHOWN = 5
NOTES = ("sources.jsonl", "scenes.jsonl")


def existing_folder(root: str | Path, expected: str) -> Path:
    """The root as a path.

    Raises:
        BadInputError: it is no folder; the message says what was expected of it.
    """
    if not Path(root).is_dir():
        raise BadInputError(f"dataset.root: expected {expected}, found nothing at {root}")
    return Path(root)


def names_sha256(names: Iterable[str]) -> str:
    """SHA-256 of the names, joined by line feeds."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def few(names: Sequence[str]) -> str:
    """The first five names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def inside(root: Path, name: str, *, listed_in: Path) -> Path:
    """The path of a listed file below the root.

    Raises:
        BadInputError: the name is absolute, or climbs by `..`.
    """
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise BadInputError(f"{listed_in}: paths must stay inside {root}: found {name}")
    return root / name


def refuse_repeated(names: Iterable[str], *, listed_in: Path) -> None:
    """Raises BadInputError where a name stands twice."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise BadInputError(f"{listed_in}: expected every name once, found {len(repeated)} repeated: {few(repeated)}")


def refuse_missing(root: Path, paths: Sequence[Path], *, listed_in: Path) -> None:
    """Raises BadInputError where files are missing, with their number and the first five, relative to the root."""
    missing = [path.relative_to(root).as_posix() for path in paths if not isfile(path)]
    if missing:
        raise BadInputError(f"{listed_in}: {len(missing)} of {len(paths)} files are missing in {root}: {few(missing)}")


def source_notes(root: Path) -> dict[str, str]:
    """What each file below the root was cut from, as noted beside miniature data; empty for a real data set.

    Raises:
        BadInputError: the notes are broken.
    """
    for path in (root / name for name in NOTES):
        if not path.is_file():
            continue
        sources = {}
        for number, text in enumerate(_text(path).splitlines(), 1):
            try:
                line = json.loads(text)
                sources[line["file"]] = line["source"]
            except (ValueError, KeyError, TypeError, RecursionError):
                raise BadInputError(f"{path}:{number}: expected `file` and `source` as JSON, found {text!r}") from None
        return sources
    return {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: expected text, found {error}") from None
