"""Measured facts in the store. A measured fact is a small result, such as the best batch size, in a JSON file.

Later runs with the same settings, for example on the same device, read the fact instead of measuring it again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NotRequired

from typing_extensions import TypedDict

from bench.errors import BadInputError
from bench.runtime.strict_json import read_json_as
from bench.store.arrays import content_key
from bench.store.references import write_note

__all__ = ["MEASURED", "Fact"]

log = logging.getLogger(__name__)

MEASURED = "measured"
"""Name of the store's folder of measured facts."""
SCHEMA_VERSION = 2


class _Note(TypedDict):
    schema_version: int
    of: dict[str, Any]
    found: dict[str, Any]
    sha256: NotRequired[str]
    """`content_key` of `found`, by which a damaged fact is recognised. Notes of version 1 do not have it."""
    when: str


@dataclass(frozen=True)
class Fact:
    """The file of one measured fact in the store. The settings on which the fact depends identify the file."""

    root: Path
    """Root of the store."""
    of: Mapping[str, Any]
    """Settings that the fact depends on, as plain data (JSON types). Their hash is the name of the file."""

    @property
    def _path(self) -> Path:
        return self.root / MEASURED / f"{content_key(self.of)}.json"

    def recall(self) -> dict[str, Any] | None:
        """Return the stored fact with one more key, `when`: the time in UTC (ISO 8601) at which it was stored.

        Return None if no fact is stored for these settings. Return None also if the file is damaged or its version is
        not `SCHEMA_VERSION`.
        """
        try:
            note = read_json_as(self._path, _Note)
        except FileNotFoundError:
            return None
        except BadInputError as error:
            log.warning("store: %s; the value is measured again", error)
            return None
        if note["schema_version"] != SCHEMA_VERSION:
            return None
        if note.get("sha256") != content_key(note["found"]):
            log.warning(
                "store: %s: expected content that matches its SHA-256, found changed content; the "
                "value is measured again",
                self._path,
            )
            return None
        return {**note["found"], "when": note["when"]}

    def remember(self, found: Mapping[str, Any]) -> None:
        """Store a fact. It replaces an earlier fact with the same settings.

        If the store is not writable, nothing is stored and no error is raised.

        Args:
            found: the fact, as plain data (JSON types).

        Raises:
            OSError: the file cannot be written for another reason, such as a full disk.
        """
        when = datetime.now(UTC).isoformat(timespec="seconds")
        content = {"of": self.of, "found": found, "sha256": content_key(found), "when": when}
        write_note(self.root, self._path, {"schema_version": SCHEMA_VERSION, **content})
