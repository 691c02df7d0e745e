"""What is in a store, whether it is whole, and what of it nobody needs. All of it may be done while runs go on."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.store.arrays import DAMAGED, LEASE, PARTIAL, SUFFIX, SUMS, file_sha256, is_whole
from bench.store.leases import SILENT, lease
from bench.store.measured import MEASURED
from bench.store.uses import RUNS, Use, read_uses

__all__ = ["Entry", "Leftover", "damaged", "entries", "remove", "unused", "usage"]

SECONDS_A_DAY = 86400
ABANDONED = 3600
"""Seconds without a change after which a temporary file or folder is taken for a dead process's."""
NOTES = (RUNS, MEASURED)
"""Folders of JSON files, which are no content."""
KEPT = ("training", "external")
"""Folders whose content runs do not note, and which only a user removes."""


@dataclass(frozen=True)
class Entry:
    """A file or folder under one key."""

    kind: str
    key: str
    path: Path
    bytes: int
    days: float
    """Since it was written."""
    made_by: str | None
    """The experiment whose run wrote it; None where that is not known."""
    items: int | None
    """How many items it is of; None where that is not known."""
    used_by: tuple[str, ...]
    """Folders of the runs that use it."""


@dataclass(frozen=True)
class Leftover:
    """What may go."""

    path: Path
    bytes: int
    why: str


def entries(root: Path) -> Iterator[Entry]:
    """Everything that is kept under a key.

    Raises:
        BadInputError: a run's note is damaged.
    """
    uses = [use for _, use in read_uses(root)]
    for kind in _kinds(root):
        for path in _content(kind):
            with suppress(FileNotFoundError):  # gone since it was listed
                yield _entry(kind.name, path, uses)


def damaged(root: Path) -> Iterator[tuple[Path, str]]:
    """Files whose content is not what their checksum says, or which cannot be read, and what was found."""
    for kind in _kinds(root):
        for path in _content(kind):
            try:
                if path.suffix == SUFFIX and not is_whole(path, path.read_bytes()):
                    yield path, "other bytes than its name says"
                elif (path / SUMS).is_file():
                    yield from _changed(path)
            except FileNotFoundError:  # made again by a run since it was listed
                continue
            except OSError as error:
                yield path, str(error)


def _changed(folder: Path) -> Iterator[tuple[Path, str]]:
    for line in (folder / SUMS).read_text().splitlines():
        digest, _, name = line.partition("  ")
        try:
            if file_sha256(folder / Path(name).name) != digest:
                yield folder, f"{name} has other bytes than {SUMS} says"
        except FileNotFoundError:
            yield folder, f"{name or line!r} of {SUMS} is missing"


def unused(root: Path, *, days: float, under: Sequence[Path]) -> Iterator[Leftover]:
    """What no run uses, damaged files, and what dead processes left behind.

    Args:
        root: the store.
        days: content that was written since is kept, whoever uses it.
        under: folders in which runs count; none for all.

    Raises:
        BadInputError: a run's note is damaged.
    """
    host = socket.gethostname()
    counting: list[Use] = []
    for path, use in read_uses(root):
        if use.counts(host, under):
            counting.append(use)
        elif _days(path) >= days:
            yield Leftover(path, _size(path), f"note of a run that is gone: {use.out}")
    for kind in _kinds(root):
        if kind.name not in KEPT:
            for path in _content(kind):
                with suppress(FileNotFoundError):
                    if _days(path) >= days and not any(use.has(kind.name, _key(path)) for use in counting):
                        yield Leftover(path, _size(path), "no run uses it")
        for path in _all(kind):
            with suppress(FileNotFoundError):
                why = _leftover(path, kind)
                if why:
                    yield Leftover(path, _size(path), why)


def remove(leftover: Leftover, *, root: Path, days: float, under: Sequence[Path]) -> bool:
    """Remove it unless a run has begun to use it since; whether it is gone."""
    path = leftover.path
    if path.suffix == LEASE:
        with lease(path, wait=False) as held:  # given back, it is gone
            return held
    if _is_content(path):
        host, kind = socket.gethostname(), path.relative_to(root).parts[0]
        if any(use.counts(host, under) and use.has(kind, _key(path)) for _, use in read_uses(root)):
            return False
        with suppress(FileNotFoundError):
            if _days(path) < days:
                return False
    if path.is_dir():
        doomed = path.with_name(f".{path.name}{PARTIAL}")  # out of everyone's sight in one step
        os.replace(path, doomed)
        shutil.rmtree(doomed)
    else:
        path.unlink(missing_ok=True)
    return True


def usage(root: Path) -> dict[str, dict[str, int]]:
    """By kind, how many entries there are and the bytes that all its files take."""
    return {
        kind.name: {
            "entries": sum(1 for _ in (kind.glob("*.json") if kind.name in NOTES else _content(kind))),
            "bytes": _size(kind),
        }
        for kind in sorted(path for path in root.iterdir() if path.is_dir())
    }


def _kinds(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name not in NOTES)


def _content(kind: Path) -> Iterator[Path]:
    """Files of arrays, and folders such as of prepared items."""
    for path in sorted(kind.iterdir()):
        if path.is_dir() and len(path.name) == 2:
            yield from sorted(one for one in path.iterdir() if _is_content(one))
        elif path.is_dir() and _is_content(path):
            yield path


def _is_content(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix in (SUFFIX, "") and path.parent.name not in NOTES


def _all(kind: Path) -> Iterator[Path]:
    for path in sorted(kind.iterdir()):
        if path.is_dir() and len(path.name) == 2:
            yield from sorted(path.iterdir())
        else:
            yield path


def _leftover(path: Path, kind: Path) -> str | None:
    if path.suffix == DAMAGED:
        return "damaged, and put aside"
    quiet = time.time() - _newest(path)
    if path.suffix in (LEASE, ".lock"):
        return "lease of a process that is gone" if quiet > SILENT else None
    if path.name.startswith(".") and kind.name not in KEPT and quiet > ABANDONED:
        return "left by a process that is gone"
    return None


def _entry(kind: str, path: Path, uses: Sequence[Use]) -> Entry:
    key = _key(path)
    using = [use for use in uses if use.has(kind, key)]
    made_by, items = _head(path) if path.suffix == SUFFIX else (None, None)
    return Entry(
        kind,
        key,
        path,
        _size(path),
        round(_days(path), 2),
        made_by,
        items,
        tuple(sorted(use.out for use in using)),
    )


def _head(path: Path) -> tuple[str | None, int | None]:
    """What the header of a safetensors file says of the experiment that wrote it and of the items in it."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(min(length, path.stat().st_size))
    try:
        found = json.loads(text)
        made_by = found.pop("__metadata__", {}).get("experiment")
        sizes = {array["shape"][0] for array in found.values() if array["shape"]}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # damaged: `verify` says so
        return None, None
    return made_by, sizes.pop() if len(sizes) == 1 else None


def _key(path: Path) -> str:
    return path.stem.rpartition("-")[0] if path.suffix == SUFFIX else path.name


def _days(path: Path) -> float:
    return max(0.0, (time.time() - path.stat().st_mtime) / SECONDS_A_DAY)


def _files(path: Path) -> Iterator[os.stat_result]:
    for one in path.rglob("*") if path.is_dir() else [path]:
        with suppress(FileNotFoundError):
            yield one.lstat()


def _size(path: Path) -> int:
    return sum(status.st_size for status in _files(path) if stat.S_ISREG(status.st_mode))


def _newest(path: Path) -> float:
    return max((status.st_mtime for status in _files(path)), default=path.stat().st_mtime)
