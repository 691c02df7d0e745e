"""Listing of the files below a folder, for every adapter that searches for its pictures.

Links are followed. Each folder is listed once, under its own name if it has one below the root, so that loops end and
no picture is listed twice through a linked folder or a link to a parent. Hidden files and folders, whose names begin
with a dot, are left out. Paths are sorted by the code points of their parts, independent of the locale.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from bench.data.listing import NOTES, few
from bench.errors import BadInputError

__all__ = ["Walk", "left_out_note", "sorted_out", "walk"]

HIDDEN = "hidden"
DANGLING = "a broken link"
TWICE = "a folder that is already listed"
NO_FILE = "neither a file nor a folder"
DEEPER = "a folder below the lowest searched level"


@dataclass
class Walk:
    """The content of a folder, listed recursively."""

    root: Path
    files: list[Path] = field(default_factory=list)
    """Regular files, in order."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Reason for each other entry by its path below the root; a folder represents all of its content."""

    def leave_out(self, path: Path, why: str) -> None:
        self.left_out[path.relative_to(self.root).as_posix()] = why


def walk(root: Path, *, depth: int | None = None) -> Walk:
    """List all files below a folder without opening any.

    Args:
        root: the folder, which may itself be hidden.
        depth: largest number of folders in a path, counting the root: 1 for files in the root only. None for no
            limit.

    Raises:
        BadInputError: the root cannot be listed.
    """
    found = Walk(root)
    seen: set[str] = set()
    waiting = [(root, 1)]  # linked folders come after all that are reached without links
    while waiting:
        waiting += _listed(found, *waiting.pop(0), depth, seen)
    found.files.sort(key=lambda path: path.parts)
    found.left_out = dict(sorted(found.left_out.items(), key=lambda entry: PurePath(entry[0]).parts))
    return found


def _listed(found: Walk, top: Path, level: int, depth: int | None, seen: set[str]) -> list[tuple[Path, int]]:
    """List a folder and its subfolders, unless already listed; return the links to folders with their levels."""
    links: list[tuple[Path, int]] = []
    folders = [(top, level)]
    while folders:
        folder, level = folders.pop()
        place = os.path.realpath(folder)
        if place in seen:
            found.leave_out(folder, TWICE)
            continue
        seen.add(place)
        for path, status in _entries(found, folder):
            if stat.S_ISREG(status.st_mode):
                found.files.append(path)
            elif not stat.S_ISDIR(status.st_mode):
                found.leave_out(path, NO_FILE)
            elif depth is not None and level >= depth:
                found.leave_out(path, DEEPER)
            else:
                (links if path.is_symlink() else folders).append((path, level + 1))
    return sorted(links, key=lambda link: link[0].parts)


def _entries(found: Walk, folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the readable entries of a folder, following links; the others are left out."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        if folder == found.root:
            raise BadInputError(f"dataset.root: expected a folder that can be read, found {error}") from None
        found.leave_out(folder, f"a folder that cannot be read ({error.strerror})")
        return
    for name in names:
        path = folder / name
        if name.startswith("."):
            found.leave_out(path, HIDDEN)
            continue
        try:
            yield path, path.stat()
        except FileNotFoundError:
            found.leave_out(path, DANGLING)
        except OSError as error:  # for example a link to itself
            found.leave_out(path, f"a path that cannot be read ({error.strerror})")


def sorted_out(found: Walk, suffixes: set[str], *, level: int, outside: str) -> list[Path]:
    """Return the files that have one of the suffixes and lie at one level; the others are left out.

    Args:
        found: result of `walk`.
        suffixes: endings in lower case; the case of a file's ending does not matter.
        level: number of folders in a path, counting the root.
        outside: reason for leaving out a file of another level.
    """
    kept = []
    for path in found.files:
        if len(path.relative_to(found.root).parts) != level:
            if path.name not in NOTES:
                found.leave_out(path, outside)
        elif path.suffix.lower() in suffixes:
            kept.append(path)
        elif path.name not in NOTES:
            found.leave_out(path, f"a file without any of the endings {', '.join(sorted(suffixes))}")
    return kept


def left_out_note(left_out: Mapping[str, str]) -> str:
    """Return a note with the number of files and folders left out, the reasons and the first names; "" if there are
    none.
    """
    if not left_out:
        return ""
    reasons = ", ".join(f"{count} {why}" for why, count in sorted(Counter(left_out.values()).items()))
    plural = "s" if len(left_out) > 1 else ""
    return f"{len(left_out)} file{plural} or folder{plural} of the data set left out ({reasons}): {few(list(left_out))}"
