"""Functions that inspect and clean a store. They find content, damaged entries and unused entries.

All functions are safe while runs use the store.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BadInputError
from bench.runtime.strict_json import parse_json, read_json
from bench.store.arrays import LEASE, PARTIAL, SUMS, file_sha256, is_whole
from bench.store.layout import FILES, KINDS, Named, Role, is_store, named
from bench.store.leases import SILENT, lease
from bench.store.putting_aside import removed
from bench.store.references import RUNS, Use, read_uses

__all__ = ["Entry", "Leftover", "damaged", "entries", "foreign", "remove", "unused", "usage"]

SECONDS_A_DAY = 86400
ABANDONED = 3600
"""Seconds without a change after which a temporary file or folder is treated as left by a dead process."""
USER_MANAGED = ("training", "external")
"""Kinds of content that cleaning never removes, because runs do not record whether they use them."""
LARGEST_HEADER = 100_000_000
"""Largest number of bytes that are read of the header of a safetensors file."""


@dataclass(frozen=True)
class Entry:
    """A file or folder with content that the store saves under a key."""

    kind: str
    key: str
    path: Path
    bytes: int
    days: float
    """Days since the file or folder was last written."""
    made_by: str | None
    """Name of the experiment whose run wrote the content, or None if it is unknown."""
    items: int | None
    """Number of items in the content, or None if it is unknown."""
    used_by: tuple[str, ...]
    """Folders of the runs that use the content."""


@dataclass(frozen=True)
class Leftover:
    """A file or folder of a store that may be removed, with its size in bytes and the reason in words."""

    what: Named
    bytes: int
    why: str


def entries(root: Path) -> Iterator[Entry]:
    """Yield every file or folder of a store that contains content under a key.

    Raises:
        BadInputError: the note of a run is damaged.
    """
    uses = [use for _, use in read_uses(root)]
    for one in named(root):
        if one.role is Role.CONTENT:
            with suppress(FileNotFoundError):  # it has vanished since it was listed
                yield _entry(one, uses)


def foreign(root: Path) -> Iterator[Path]:
    """Yield the foreign files and folders of a store. This program did not make them, and no tool touches them."""
    return (one.path for one in named(root) if one.role is Role.FOREIGN)


def damaged(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield the path of each damaged file or folder of a store, with a short text that says what is wrong.

    An entry is damaged if it cannot be read, or if its bytes do not match its checksum. The files in a folder are
    checked only if the folder contains `SHA256SUMS`. A folder with several damaged or missing files is yielded once for
    each such file.
    """
    for one in named(root):
        try:
            for said in _damage(one):
                yield one.path, said
        except FileNotFoundError:  # a run has replaced it since it was listed
            continue
        except (OSError, BadInputError) as error:
            yield one.path, str(error)


def _damage(one: Named) -> Iterator[str]:
    if one.role is Role.MARKER:
        is_store(one.path.parent)
    elif one.role is Role.NOTE:
        read_json(one.path)
    elif one.role is Role.CONTENT and one.kind in FILES:
        if not stat.S_ISREG(one.path.lstat().st_mode):
            yield "it is not a file"
        elif not is_whole(one.path, one.path.read_bytes()):
            yield "its content does not match the checksum in its name"
    elif one.role is Role.CONTENT:
        if not stat.S_ISDIR(one.path.lstat().st_mode):
            yield "it is not a folder"
        elif os.path.lexists(one.path / SUMS):
            yield from _changed(one.path)


def _changed(folder: Path) -> Iterator[str]:
    if not (folder / SUMS).is_file():
        yield f"{SUMS} is not a file"
        return
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        yield f"{SUMS} is not a text file: {error}"
        return
    for line in lines:
        digest, _, name = line.partition("  ")
        file = folder / (os.path.basename(name.replace("\0", "")) or ".")
        if not file.is_file():
            yield f"{name or line!r}, which {SUMS} lists, is missing"
        elif file_sha256(file) != digest:
            yield f"{name} does not match its checksum in {SUMS}"


def unused(root: Path, *, days: float, under: Sequence[Path]) -> Iterator[Leftover]:
    """Yield everything in a store that may be removed.

    This includes content that no run uses, notes of runs whose folders were deleted, damaged entries that were renamed,
    and temporary files and leases of dead processes.

    Args:
        root: root of the store.
        days: age in days. Younger content and younger notes are kept even if no run uses them.
        under: folders. Only runs whose folder is below one of these folders count as users of content. If `under` is
            empty, all runs count.

    Raises:
        BadInputError: the note of a run is damaged.
    """
    host = socket.gethostname()
    active: list[Use] = []
    for path, use in read_uses(root):
        if use.counts(host, under):
            active.append(use)
        elif _days(path) >= days:
            yield Leftover(
                Named(path, RUNS, Role.NOTE), _size(path), f"list of the files that a deleted run used: {use.out}"
            )
    for one in named(root):
        with suppress(FileNotFoundError):
            why = _leftover(one, active, days)
            if why:
                yield Leftover(one, _size(one.path), why)


def _leftover(one: Named, active: Sequence[Use], days: float) -> str | None:
    if one.role is Role.CONTENT:
        used = one.kind in USER_MANAGED or any(use.has(one.kind, one.key) for use in active)
        return "no run uses it" if not used and _days(one.path) >= days else None
    if one.role is Role.DAMAGED:
        return "damaged, and renamed for this reason"
    idle = time.time() - _newest(one.path)
    if one.role is Role.LEASE:
        return "lock file (lease) of a process that no longer runs" if idle > SILENT else None
    if one.role is Role.TEMPORARY and one.kind not in USER_MANAGED and idle > ABANDONED:
        return "temporary file or folder of a process that no longer runs"
    return None


def remove(leftover: Leftover, *, root: Path, days: float, under: Sequence[Path]) -> bool:
    """Remove a file or folder that `unused` yielded, unless a run has started to use it since then.

    Args:
        leftover: the file or folder to remove.
        root: root of the store.
        days: age in days; see `unused`.
        under: folders of runs; see `unused`.

    Returns:
        True if the file or folder no longer exists; False if it was kept.
    """
    one, path = leftover.what, leftover.what.path
    if one.role is Role.LEASE and path.suffix == LEASE:
        with lease(path, wait=False) as held:  # the file is deleted when the lease is released
            return held
    if one.role is Role.CONTENT:
        host = socket.gethostname()
        if any(use.counts(host, under) and use.has(one.kind, one.key) for _, use in read_uses(root)):
            return False
        with suppress(FileNotFoundError):
            if _days(path) < days:
                return False
    if not stat.S_ISDIR(path.lstat().st_mode):
        path.unlink(missing_ok=True)
        return True
    hidden = path.with_name(f".{path.name}{PARTIAL}")  # hide it from other processes in one step
    removed(hidden)
    os.replace(path, hidden)
    shutil.rmtree(hidden)
    return True


def usage(root: Path) -> dict[str, dict[str, int]]:
    """Return the number of entries and the total size of each kind of content or notes in a store.

    The result has a key for each kind that has a folder, such as `latents`. The value has two keys. `entries` is the
    number of files or folders with content or notes. `bytes` is the total size of all files in the kind's folder,
    including temporary and damaged files.
    """
    counts = dict.fromkeys(sorted(KINDS), 0)
    for one in named(root):
        if one.role in (Role.CONTENT, Role.NOTE):
            counts[one.kind] += 1
    return {
        kind: {"entries": count, "bytes": _size(root / kind)}
        for kind, count in counts.items()
        if (root / kind).is_dir()
    }


def _entry(one: Named, uses: Sequence[Use]) -> Entry:
    using = [use for use in uses if use.has(one.kind, one.key)]
    made_by, items = _head(one.path) if one.kind in FILES else (None, None)
    return Entry(
        one.kind,
        one.key,
        one.path,
        _size(one.path),
        round(_days(one.path), 2),
        made_by,
        items,
        tuple(sorted(use.out for use in using)),
    )


def _head(path: Path) -> tuple[str | None, int | None]:
    """Return the experiment that wrote a safetensors file, and the number of items in the file.

    The function reads only the header of the file. If the header is unreadable, both results are None. If the header
    names no experiment, the experiment is None. The number of items is the length of the first axis of the arrays. If
    the arrays have different lengths, or if there are no arrays, this number is None.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        return None, None
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(min(length, LARGEST_HEADER))
    try:
        found = parse_json(text, str(path))
        made_by = found.pop("__metadata__", {}).get("experiment")
        sizes = {int(array["shape"][0]) for array in found.values() if array["shape"]}
    except (BadInputError, ValueError, TypeError, KeyError, AttributeError, IndexError):  # `verify` reports them
        return None, None
    return made_by if isinstance(made_by, str) else None, sizes.pop() if len(sizes) == 1 else None


def _days(path: Path) -> float:
    return max(0.0, (time.time() - path.lstat().st_mtime) / SECONDS_A_DAY)


def _files(path: Path) -> Iterator[os.stat_result]:
    """Yield the `os.stat_result` of a path and of everything below it. Links are not followed."""
    yield path.lstat()
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):
                yield os.lstat(os.path.join(folder, name))


def _size(path: Path) -> int:
    return sum(status.st_size for status in _files(path) if stat.S_ISREG(status.st_mode))


def _newest(path: Path) -> float:
    return max(status.st_mtime for status in _files(path))
