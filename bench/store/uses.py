"""Which runs use what: each run leaves a note in the store, so that what nobody uses can be told apart."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from os.path import isdir  # unlike Path.is_dir, it takes a name too long for any folder
from pathlib import Path
from typing import Any

from bench.errors import READ_ONLY, BadInputError
from bench.results import write_json

__all__ = ["RUNS", "Use", "Uses", "read_uses", "write_note"]

RUNS = "runs"
SCHEMA_VERSION = 1
KEY_DIGITS = 16
"""Of a key, as notes have them."""


@dataclass(frozen=True)
class Use:
    """What one run uses."""

    experiment: str
    out: str
    """The run's folder."""
    host: str
    started: str
    """When the run last began, in UTC, ISO 8601."""
    keys: Mapping[str, Collection[str]]
    """By kind, the first digits of keys."""

    def counts(self, host: str, under: Iterable[Path]) -> bool:
        """Whether the run is still there, as far as it can be seen.

        Args:
            host: this one. Another host's folders may not be visible from here, and count.
            under: folders in which runs count; none for all.
        """
        out, folders = Path(self.out), [folder.resolve() for folder in under]
        if folders and not any(out.is_relative_to(folder) for folder in folders):
            return False
        return self.host != host or isdir(out)

    def has(self, kind: str, key: str) -> bool:
        """Whether it uses that content."""
        return key[:KEY_DIGITS] in self.keys.get(kind, ())


@dataclass
class Uses:
    """The note of a run that goes on; without a beginning nothing is noted."""

    experiment: str = ""
    _path: Path | None = None
    _head: dict[str, str] = field(default_factory=dict)
    _keys: dict[str, list[str]] = field(default_factory=dict)

    def begin(self, root: Path, experiment: str, out: Path | None) -> None:
        """Note uses of a run from here on; None for a process that does not lead."""
        self.experiment, self._keys = experiment, {}
        if out is None:
            return
        host, folder = socket.gethostname(), str(out.resolve())
        self._head = {"out": folder, "host": host, "started": datetime.now(UTC).isoformat(timespec="seconds")}
        self._path = root / RUNS / f"{hashlib.sha256(f'{host}:{folder}'.encode()).hexdigest()[:KEY_DIGITS]}.json"

    def add(self, kind: str, keys: Iterable[str]) -> None:
        """Note that the run uses these; a store that cannot be written goes without."""
        if self._path is None:
            return
        self._keys[kind] = [key[:KEY_DIGITS] for key in keys]
        use = Use(self.experiment, keys=self._keys, **self._head)
        write_note(self._path, {"schema_version": SCHEMA_VERSION, **asdict(use)})


def write_note(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON into the store; one that cannot be written goes without."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, content)
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise


def read_uses(root: Path) -> Iterator[tuple[Path, Use]]:
    """Notes with their files.

    Raises:
        BadInputError: one is damaged: what it names cannot be told from what nobody uses.
    """
    for path in sorted((root / RUNS).glob("*.json")):
        try:
            found = json.loads(path.read_text())
            if found.pop("schema_version") != SCHEMA_VERSION:
                raise ValueError("another schema_version")
            if not all(isinstance(found[key], str) for key in ("experiment", "out", "host", "started")):
                raise TypeError("something else than text")
            yield path, Use(**{**found, "keys": {kind: frozenset(keys) for kind, keys in found["keys"].items()}})
        except FileNotFoundError:
            continue
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadInputError(
                f"{path}: expected the note of a run, found {type(error).__name__}: {error}; remove it, and the run's "
                "next start writes it again"
            ) from None
