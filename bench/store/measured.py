"""Small facts that were measured and serve later runs on the same device, such as a batch size: JSON in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.results import read_if_there
from bench.store.arrays import content_key
from bench.store.uses import write_note

__all__ = ["MEASURED", "Fact"]

MEASURED = "measured"
"""Their folder in the store."""
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Fact:
    """The place of one fact."""

    root: Path
    """Of the store."""
    of: Mapping[str, Any]
    """Everything that it depends on, as plain data."""

    @property
    def _path(self) -> Path:
        return self.root / MEASURED / f"{content_key(self.of)}.json"

    def recall(self) -> dict[str, Any] | None:
        """What was found, and `when`; None where nothing was, or what is there cannot be read."""
        note = read_if_there(self._path)
        found = note.get("found")
        if note.get("schema_version") != SCHEMA_VERSION or not isinstance(found, dict):
            return None
        return {**found, "when": note.get("when")}

    def remember(self, found: Mapping[str, Any]) -> None:
        """Keep it in place of what was there; a store that cannot be written goes without."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        write_note(self._path, {"schema_version": SCHEMA_VERSION, "of": self.of, "found": found, "when": when})
