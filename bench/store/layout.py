"""The names of all files and folders in a store, and the marker file that makes a folder a store.

Tools that clean a store touch only entries with such a name in the right place; all others are foreign and stay.
Symbolic links are foreign as well: this module does not follow them.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from typing_extensions import TypedDict

from bench.errors import READ_ONLY, BadInputError
from bench.runtime.files import write_json
from bench.runtime.strict_json import read_json_as
from bench.store.putting_aside import DAMAGED, put_aside

__all__ = ["FILES", "KINDS", "MARKER", "Named", "Role", "check_store", "is_note", "is_store", "mark_store", "named"]

MARKER = "asymbench-store.json"
SCHEMA_VERSION = 1
CONTENT = "results that asymbench keeps: docs/cluster.md"
SHOWN = 3
"""Number of foreign names that a message lists."""

KEY = "[0-9a-f]{64}"
CHECKSUM = "[0-9a-f]{16}"
SHARD = re.compile("[0-9a-f]{2}")
"""Name of a folder that holds the files of all keys with the same first two digits."""
NOTES = {"measured": KEY, "runs": CHECKSUM}
"""Kinds that are JSON notes, and the pattern of their names without the suffix."""
FILES = ("latents", "scores")
"""Kinds that are files of arrays, in folders named by the first two digits of their keys."""
FOLDERS = {"items": KEY, "training": KEY, "external": rf"[^/.][^/]*-{CHECKSUM}"}
"""Kinds that are folders, and the pattern of their names."""
KINDS = (*FILES, *FOLDERS, *NOTES)
TEMPORARY = rf"\.[0-9a-f]{{8}}-\w{{8}}(\.partial)?|\.({KEY}(-{CHECKSUM})?|{CHECKSUM})(\.json)?(\.\w+)?\.partial"
LEASE = rf"\.?{KEY}\.(lease|lock)(\.(break|restore)\.\d+\.[0-9a-f]+)?"


class Role(StrEnum):
    """The role of an entry of a store, which follows from its name and place."""

    CONTENT = "content"
    NOTE = "note"
    DAMAGED = "damaged"
    """A damaged entry that was put aside."""
    LEASE = "lease"
    TEMPORARY = "temporary"
    MARKER = "marker"
    FOREIGN = "foreign"
    """An entry whose name the harness does not use."""


@dataclass(frozen=True)
class Named:
    """An entry of a store."""

    path: Path
    kind: str
    """Name of the folder below the store in which it lies; empty for an entry of the store's root."""
    role: Role

    @property
    def key(self) -> str:
        """Key in the name of content."""
        name = self.path.name
        return name.partition("-")[0] if self.kind in FILES else name


class _Marker(TypedDict):
    schema_version: int
    content: str


def named(root: Path) -> Iterator[Named]:
    """Yield every entry of a store in the order of names; folders of shards are opened."""
    for entry in _listed(root):
        path = Path(entry.path)
        if entry.name in KINDS and entry.is_dir(follow_symlinks=False):
            yield from _named_in(path, entry.name)
        else:
            yield Named(path, "", _root_role(entry))


def _named_in(folder: Path, kind: str) -> Iterator[Named]:
    for entry in _listed(folder):
        if kind in FILES and SHARD.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            for one in _listed(Path(entry.path)):
                yield Named(
                    Path(one.path), kind, _role(one, rf"({entry.name}[0-9a-f]{{62}})-{CHECKSUM}", ".safetensors")
                )
        elif kind in FILES:
            yield Named(Path(entry.path), kind, _role(entry, None, "", aside=SHARD.pattern))
        elif kind in NOTES:
            yield Named(Path(entry.path), kind, _role(entry, NOTES[kind], ".json"))
        else:
            yield Named(Path(entry.path), kind, _role(entry, FOLDERS[kind], ""))


def _role(entry: os.DirEntry[str], content: str | None, suffix: str, *, aside: str | None = None) -> Role:
    """Return the role of an entry.

    Args:
        entry: an entry of a folder.
        content: pattern for the names of content without their suffix; None if the folder holds no content.
        suffix: suffix of content; `.json` for notes.
        aside: pattern for the names of damaged entries, without the suffix; None for the pattern of content.
    """
    if entry.is_symlink():
        return Role.FOREIGN
    if content is not None and re.fullmatch(content + re.escape(suffix), entry.name):
        return Role.NOTE if suffix == ".json" else Role.CONTENT
    if re.fullmatch(rf"({aside or content}|\.{KEY}){re.escape(DAMAGED)}", entry.name):
        return Role.DAMAGED
    if re.fullmatch(LEASE, entry.name):
        return Role.LEASE
    return Role.TEMPORARY if re.fullmatch(TEMPORARY, entry.name) else Role.FOREIGN


def _root_role(entry: os.DirEntry[str]) -> Role:
    if entry.is_symlink():
        return Role.FOREIGN
    if entry.name == MARKER:
        return Role.MARKER
    if entry.name in {f"{name}{DAMAGED}" for name in (*KINDS, Path(MARKER).stem)}:
        return Role.DAMAGED
    return Role.TEMPORARY if re.fullmatch(rf"\.{re.escape(MARKER)}(\.\w+)?\.partial", entry.name) else Role.FOREIGN


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):  # it has vanished in the meantime
            return []
        raise


def is_note(kind: str, name: str) -> bool:
    """Tell whether a file's name is that of a note of a kind."""
    return re.fullmatch(NOTES[kind] + r"\.json", name) is not None


def is_store(root: Path) -> bool:
    """Tell whether a folder carries the marker.

    Raises:
        BadInputError: the marker is unreadable, or has an unknown version.
    """
    try:
        marker = read_json_as(root / MARKER, _Marker)
    except FileNotFoundError:
        return False
    if marker["schema_version"] != SCHEMA_VERSION:
        raise BadInputError(
            f"{root / MARKER}: expected schema_version {SCHEMA_VERSION}, found {marker['schema_version']}; a newer "
            "version of the harness made this store"
        )
    return True


def check_store(root: Path) -> None:
    """Require that a run may store its results in a folder: it is a store, is empty or does not exist.

    A store of an older version has no marker. It is accepted if it holds nothing foreign.

    Raises:
        BadInputError: the folder holds other files.
    """
    try:
        if not _has_marker(root) and root.is_dir():
            foreign_paths = [one.path for one in named(root) if one.role is Role.FOREIGN]
            if foreign_paths:
                names = ", ".join(str(path.relative_to(root)) for path in foreign_paths[:SHOWN])
                more = f" and {len(foreign_paths) - SHOWN} more" if len(foreign_paths) > SHOWN else ""
                raise BadInputError(
                    f"paths.store: expected a store, an empty folder or a new one, found {names}{more} in {root}, "
                    f"which has no {MARKER}; name another folder, or move these out of it"
                )
    except (OSError, ValueError) as error:
        raise BadInputError(f"paths.store: expected a folder that can be read, found {error}") from None


def mark_store(root: Path) -> None:
    """Make a folder a store by writing its marker, if it has none; leave a read-only folder as it is.

    Raises:
        BadInputError: `check_store` refuses the folder, or it cannot be created.
    """
    check_store(root)
    try:
        if _has_marker(root):
            return
        if os.path.lexists(root / MARKER):
            put_aside(root / MARKER)
        root.mkdir(parents=True, exist_ok=True)
        write_json(root / MARKER, {"schema_version": SCHEMA_VERSION, "content": CONTENT})
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInputError(f"paths.store: expected a folder, found {error}") from None
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        if not root.is_dir():
            raise BadInputError(f"paths.store: expected a folder that can be written, found {error}") from None


def _has_marker(root: Path) -> bool:
    """Tell whether there is a readable marker; a damaged one is written again.

    Raises:
        BadInputError: a newer version of the harness wrote the store.
    """
    try:
        read_json_as(root / MARKER, _Marker)
    except (FileNotFoundError, BadInputError):
        return False
    return is_store(root)
