"""The names of all files and folders in a store, and the marker file that makes a folder a store.

A file or folder in a store is called an entry. The role of an entry follows from its name and from the folder that
contains it. An entry is foreign if this program uses no such name in this folder, or if the entry is a symbolic link.
Tools that clean a store never touch foreign entries, and this module does not follow links.

A note is a small JSON file in a store: a measured fact (`bench.store.json_cache`), or the list of the content that a
run uses (`bench.store.references`).
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
from bench.runtime.text import few
from bench.store.putting_aside import DAMAGED, put_aside

__all__ = ["FILES", "KINDS", "MARKER", "Named", "Role", "check_store", "is_note", "is_store", "mark_store", "named"]

MARKER = "asymbench-store.json"
SCHEMA_VERSION = 1
CONTENT = "results that asymbench keeps: docs/cluster.md"
SHOWN = 3
"""Largest number of foreign names that an error message lists."""

KEY = "[0-9a-f]{64}"
CHECKSUM = "[0-9a-f]{16}"
SHARD = re.compile("[0-9a-f]{2}")
"""Pattern of the name of a shard: a folder for the files of all keys that begin with the same two digits."""
NOTES = {"measured": KEY, "runs": CHECKSUM}
"""Kinds of notes, each with the pattern of the file names without `.json`."""
FILES = ("drawings", "edits", "latents", "scores")
"""Kinds of content that are saved as files of arrays. The first two digits of a file's key name its folder."""
FOLDERS = {"items": KEY, "training": KEY, "external": rf"[^/.][^/]*-{CHECKSUM}"}
"""Kinds of content that are saved as one folder for each key, with the pattern of the folders' names."""
KINDS = (*FILES, *FOLDERS, *NOTES)
TEMPORARY = rf"\.[0-9a-f]{{8}}-\w{{8}}(\.partial)?|\.({KEY}(-{CHECKSUM})?|{CHECKSUM})(\.json)?(\.\w+)?\.partial"
LEASE = rf"\.?{KEY}\.(lease|lock)(\.(break|restore)\.\d+\.[0-9a-f]+)?"


class Role(StrEnum):
    """The role of an entry of a store. It follows from the entry's name and from the folder that contains the entry."""

    CONTENT = "content"
    NOTE = "note"
    DAMAGED = "damaged"
    """A damaged entry that `put_aside` has renamed."""
    LEASE = "lease"
    TEMPORARY = "temporary"
    MARKER = "marker"
    FOREIGN = "foreign"
    """An entry that the harness did not make: its name is not used at this place, or it is a symbolic link."""


@dataclass(frozen=True)
class Named:
    """A file or folder in a store, with its role."""

    path: Path
    kind: str
    """Name of the store's folder in which the entry lies, such as `latents`. Empty if it lies in the store's root."""
    role: Role

    @property
    def key(self) -> str:
        """Key that the entry's name contains. It is meaningful only if the role is `Role.CONTENT`."""
        name = self.path.name
        return name.partition("-")[0] if self.kind in FILES else name


class _Marker(TypedDict):
    schema_version: int
    content: str


def named(root: Path) -> Iterator[Named]:
    """Yield every entry of a store in the order of names.

    The folder of a kind, such as `latents`, and the shards in it are not yielded, but the entries in these folders are.
    The content of any other folder is not yielded.
    """
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
    """Return the role of an entry in the folder of a kind.

    Args:
        entry: the entry.
        content: pattern for the names of content or notes in this folder, without the suffix. None if the folder
            contains neither content nor notes.
        suffix: suffix of content or notes. The suffix `.json` marks notes, and any other suffix marks content.
        aside: pattern for the names of damaged entries, without `.damaged`; None to use `content` as this pattern.
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
    """Return True if a note of the given kind can have the file name `name`.

    Args:
        kind: `measured` or `runs`.
        name: name of a file, with its suffix.
    """
    return re.fullmatch(NOTES[kind] + r"\.json", name) is not None


def is_store(root: Path) -> bool:
    """Return True if a folder has the marker file that makes it a store.

    Raises:
        BadInputError: the marker file is unreadable, or has an unknown version.
    """
    try:
        marker = read_json_as(root / MARKER, _Marker)
    except FileNotFoundError:
        return False
    if marker["schema_version"] != SCHEMA_VERSION:
        raise BadInputError(
            f"{root / MARKER}: expected schema_version {SCHEMA_VERSION}, found {marker['schema_version']}; a newer "
            "version of this program made the store, so use that version or another folder"
        )
    return True


def check_store(root: Path) -> None:
    """Require that a run may store its results in a folder.

    The folder must have the marker file of a store, be empty, or not exist. A store that an older version made has no
    marker file; it is accepted if it contains only files and folders with names that this program uses in a store.

    Raises:
        BadInputError: the folder has no marker file and contains other files, it cannot be read, or a newer version of
            this program made the store.
    """
    try:
        if not _has_marker(root) and root.is_dir():
            foreign_paths = [one.path for one in named(root) if one.role is Role.FOREIGN]
            if foreign_paths:
                names = few([str(path.relative_to(root)) for path in foreign_paths], SHOWN)
                raise BadInputError(
                    "paths.store: expected a store, an empty folder or a new folder, found other files "
                    f"({names}) in {root}, but no file {MARKER}, which every store has; name another folder, or "
                    "move these files away"
                )
    except (OSError, ValueError) as error:
        raise BadInputError(f"paths.store: expected a folder that can be read, found an error: {error}") from None


def mark_store(root: Path) -> None:
    """Make a folder a store: create the folder if necessary, and write its marker file.

    A readable marker file is not written again, and a damaged marker file is renamed first. If the folder exists but is
    read-only, the folder stays unchanged, and no error is raised.

    Raises:
        BadInputError: `check_store` refuses the folder, or the folder cannot be created.
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
        raise BadInputError(
            f"paths.store: expected the path of a folder, found a file at this path or above it: {error}"
        ) from None
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        if not root.is_dir():
            raise BadInputError(
                f"paths.store: expected a folder that can be written, found an error: {error}"
            ) from None


def _has_marker(root: Path) -> bool:
    """Return True if a folder has a readable marker file; False if the marker file is missing or damaged.

    Raises:
        BadInputError: the version of the marker file is not `SCHEMA_VERSION`, because a newer version of this program
            made the store.
    """
    try:
        read_json_as(root / MARKER, _Marker)
    except (FileNotFoundError, BadInputError):
        return False
    return is_store(root)
