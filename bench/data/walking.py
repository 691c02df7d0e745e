"""Lists the files below a folder, for every adapter that searches for its pictures.

Links are followed. Each folder is listed only once, so that a loop of links ends. If a folder can be reached both
directly and through a link, its direct path is used. A file is listed again for each link to the file. Hidden files and
folders, whose names begin with a dot, are left out. Paths are compared name by name, by the Unicode code points of the
names, so that the order does not depend on the locale of the machine.
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
    """The result of `walk`: the files below a folder, and everything that was left out."""

    root: Path
    files: list[Path] = field(default_factory=list)
    """Paths of the regular files, sorted."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Path, relative to the root, of each file or folder that was left out, with the reason.

    If a folder was left out, the files in it are not named.
    """

    def leave_out(self, path: Path, why: str) -> None:
        self.left_out[path.relative_to(self.root).as_posix()] = why


def walk(root: Path, *, depth: int | None = None) -> Walk:
    """List all files below a folder without opening them.

    Args:
        root: path of the folder. Its name may begin with a dot.
        depth: number of levels of folders to search. 1 means the root only, 2 also its subfolders, and None all levels.

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
    """List a folder and its subfolders, and return the links to folders that were found in them.

    Args:
        found: result to which files and left-out paths are added.
        top: the folder to list.
        level: level of the folder; the root has level 1.
        depth: see `walk`.
        seen: real paths of the folders that are listed already and are not listed again. New folders are added.

    Returns:
        The path and the level of each link to a folder. These folders are not listed yet.
    """
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
    """Yield the path and the status of each file or folder in a folder. Links are followed.

    Hidden files and folders, broken links and paths that cannot be read are not yielded but recorded in
    `found.left_out`.

    Raises:
        BadInputError: `folder` is the root, and it cannot be listed.
    """
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        if folder == found.root:
            raise BadInputError(f"{folder}: expected a folder that can be read, found an error: {error}") from None
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
    """Return those files of a `Walk` that have one of the given suffixes and lie at a given level of folders.

    All other files are recorded in `found.left_out`, except files with a name in `NOTES`, which list sources.

    Args:
        found: result of `walk`.
        suffixes: endings in lower case, with the dot. Files whose endings have capitals match as well.
        level: level at which files must lie: 1 in the root, 2 in a subfolder of the root.
        outside: reason that is recorded for a file at another level.
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
    """Return a message about files and folders that were left out: their number, the reasons, and the first names.

    Args:
        left_out: path of each file or folder that was left out, with the reason. If it is empty, the returned text
            is empty as well.
    """
    if not left_out:
        return ""
    reasons = ", ".join(f"{why}: {count}" for why, count in sorted(Counter(left_out.values()).items()))
    plural = "s" if len(left_out) > 1 else ""
    return f"{len(left_out)} file{plural} or folder{plural} of the data set left out ({reasons}): {few(list(left_out))}"
