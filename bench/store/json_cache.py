"""Small measured facts as JSON in the store, such as a batch size, for later runs on the same device."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from bench.errors import BadInputError
from bench.runtime.strict_json import read_json_as
from bench.store.arrays import content_key
from bench.store.references import write_note

__all__ = ["MEASURED", "Fact"]

log = logging.getLogger(__name__)

MEASURED = "measured"
"""Name of the store's folder of measured facts."""
SCHEMA_VERSION = 1


class _Note(TypedDict):
    schema_version: int
    of: dict[str, Any]
    found: dict[str, Any]
    when: str


@dataclass(frozen=True)
class Fact:
    """A measured fact and the settings under which it is stored."""

    root: Path
    """Root of the store."""
    of: Mapping[str, Any]
    """Settings that the fact depends on, as plain data."""

    @property
    def _path(self) -> Path:
        return self.root / MEASURED / f"{content_key(self.of)}.json"

    def recall(self) -> dict[str, Any] | None:
        """Return the stored fact and its time as `when`, or None if there is no fact or it cannot be read."""
        try:
            note = read_json_as(self._path, _Note)
        except FileNotFoundError:
            return None
        except BadInputError as error:
            log.warning("store: %s; it is measured again", error)
            return None
        return {**note["found"], "when": note["when"]} if note["schema_version"] == SCHEMA_VERSION else None

    def remember(self, found: Mapping[str, Any]) -> None:
        """Store the fact in place of an earlier one; a store that is not writable is skipped."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        content = {"schema_version": SCHEMA_VERSION, "of": self.of, "found": found, "when": when}
        write_note(self.root, self._path, content)
