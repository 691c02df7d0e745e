"""The protocol of a metric: everything that can change its value, frozen, with a hash that identifies it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from bench.store import content_key

__all__ = ["Protocol"]

_ABSENT = "nothing"


@dataclass(frozen=True)
class Protocol:
    """Settings as canonical JSON; two protocols are equal if all settings are equal, in any order."""

    text: str

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Return the protocol of plain data.

        Raises:
            TypeError: a value cannot be written as JSON.
            ValueError: a number is not finite.
        """
        return cls(json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False))

    @property
    def settings(self) -> dict[str, Any]:
        """Settings as plain data."""
        settings: dict[str, Any] = json.loads(self.text)
        return settings

    @property
    def hash(self) -> str:
        """SHA-256 as 64 hexadecimal digits."""
        return content_key(self.settings)

    def differences(self, other: Protocol) -> list[str]:
        """Return a line for each different setting, such as `resize: expected …, found …`; empty if all are equal."""
        ours, theirs = dict(_flat(self.settings)), dict(_flat(other.settings))
        return [
            f"{key}: expected {ours.get(key, _ABSENT)}, found {theirs.get(key, _ABSENT)}"
            for key in sorted(ours.keys() | theirs.keys())
            if ours.get(key, _ABSENT) != theirs.get(key, _ABSENT)
        ]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
