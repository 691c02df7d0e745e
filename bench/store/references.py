"""Notes in the store that list which content each run uses, so that unused content can be found.

The note of a run is a small JSON file in the store's folder `runs`. Each run has one note.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from os.path import isdir  # unlike Path.is_dir, it accepts a name that is too long for any folder
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from bench.errors import READ_ONLY, BadInputError
from bench.runtime.files import write_json
from bench.runtime.strict_json import read_json_as
from bench.store.layout import is_note
from bench.store.putting_aside import made_folder, put_aside

__all__ = ["RUNS", "Use", "Uses", "read_uses", "write_note"]

RUNS = "runs"
SCHEMA_VERSION = 1
KEY_DIGITS = 16
"""Number of hexadecimal digits to which a key is shortened in the note of a run."""


@dataclass(frozen=True)
class Use:
    """The note of one run: its experiment, folder, host and start, and the keys of the content that the run uses."""

    experiment: str
    out: str
    """Folder of the run."""
    host: str
    started: str
    """Time at which the run last started, in UTC, ISO 8601."""
    keys: Mapping[str, Collection[str]]
    """First 16 digits of the keys of the used content, for each kind of content, such as `latents`."""

    def counts(self, host: str, under: Iterable[Path]) -> bool:
        """Return True if the content that the run uses must be kept.

        The content must be kept if the run's folder still exists. The folder of a run on another host may not be
        visible on this host, so this folder is always treated as existing.

        Args:
            host: name of this host.
            under: folders. If the run's folder is below none of these folders, the result is False. If `under` is
                empty, the run's folder may be anywhere.
        """
        out, folders = Path(self.out), [folder.resolve() for folder in under]
        if folders and not any(out.is_relative_to(folder) for folder in folders):
            return False
        return self.host != host or isdir(out)

    def has(self, kind: str, key: str) -> bool:
        """Return True if the run uses the content of this kind under this key."""
        return key[:KEY_DIGITS] in self.keys.get(kind, ())


@dataclass
class Uses:
    """The note of the run that this process works on. Nothing is written before `begin` is called."""

    experiment: str = ""
    _root: Path = field(default_factory=Path)
    _path: Path | None = None
    _head: dict[str, str] = field(default_factory=dict)
    _keys: dict[str, list[str]] = field(default_factory=dict)

    def begin(self, root: Path, experiment: str, out: Path | None) -> None:
        """Start the note of a run. From now on, `add` writes the keys of the content that the run uses into this note.

        Args:
            root: root of the store.
            experiment: name of the run's experiment.
            out: folder of the run, in the main process. None in any other process, which then writes no note.
        """
        self.experiment, self._keys = experiment, {}
        if out is None:
            return
        host, folder = socket.gethostname(), str(out.resolve())
        self._head = {"out": folder, "host": host, "started": datetime.now(UTC).isoformat(timespec="seconds")}
        name = hashlib.sha256(f"{host}:{folder}".encode()).hexdigest()[:KEY_DIGITS]
        self._root, self._path = root, root / RUNS / f"{name}.json"

    def add(self, kind: str, keys: Iterable[str]) -> None:
        """Add keys to the note, and write the note. The keys identify content that the run uses.

        If `begin` was not called or got no folder, nothing happens. If the store is not writable, nothing is written
        and no error is raised.

        Args:
            kind: kind of the content, such as `latents`.
            keys: all keys of this kind that the run uses. They replace the keys of this kind from an earlier call.
        """
        if self._path is None:
            return
        self._keys[kind] = [key[:KEY_DIGITS] for key in keys]
        use = Use(self.experiment, keys=self._keys, **self._head)
        write_note(self._root, self._path, {"schema_version": SCHEMA_VERSION, **asdict(use)})


class _Note(TypedDict):
    schema_version: int
    experiment: str
    out: str
    host: str
    started: str
    keys: dict[str, list[str]]


def write_note(root: Path, path: Path, content: Mapping[str, Any]) -> None:
    """Write a small JSON file (a note) into the store. If the store is not writable, do nothing.

    Args:
        root: root of the store.
        path: path of the file.
        content: plain data (JSON types).

    Raises:
        OSError: the file cannot be written for another reason, such as a full disk.
    """
    try:
        made_folder(root, path.parent)
        if path.is_dir():
            put_aside(path)
        write_json(path, content)
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise


def read_uses(root: Path) -> Iterator[tuple[Path, Use]]:
    """Yield, for each run with a note in the store, the path of the note and its content.

    Raises:
        BadInputError: a note is damaged. Used and unused content can then not be distinguished.
    """
    for path in sorted((root / RUNS).glob("*.json")):
        if not is_note(RUNS, path.name):
            continue
        try:
            found = read_json_as(path, _Note)
            if found["schema_version"] != SCHEMA_VERSION:
                raise BadInputError(
                    f"{path}: expected schema_version {SCHEMA_VERSION}, found {found['schema_version']}"
                )
        except FileNotFoundError:
            if path.is_symlink():
                raise BadInputError(
                    f"{path}: expected a file that lists which content a run uses, found a broken link"
                ) from None
            continue
        except BadInputError as error:
            raise BadInputError(
                f"{error}; this file lists which content of the store a run uses; delete the file, and the run "
                "writes the file again at its next start"
            ) from None
        keys = {kind: frozenset(names) for kind, names in found["keys"].items()}
        yield path, Use(found["experiment"], found["out"], found["host"], found["started"], keys)
