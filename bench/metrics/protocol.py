"""The protocol of a metric: everything that can change the metric's value, with a hash that identifies the protocol."""

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
    """The settings of a protocol, saved as JSON text with sorted keys.

    Two protocols are equal if all their settings are equal. The order of the settings does not matter.
    """

    text: str

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Create a protocol from settings.

        Args:
            settings: settings as plain data, which JSON can represent.

        Raises:
            TypeError: a value cannot be written as JSON.
            ValueError: a number is not finite.
        """
        return cls(json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False))

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as plain data."""
        settings: dict[str, Any] = json.loads(self.text)
        return settings

    @property
    def hash(self) -> str:
        """SHA-256 of the settings, as 64 hexadecimal digits."""
        return content_key(self.settings)

    def differences(self, other: Protocol) -> list[str]:
        """Compare the settings with the settings of another protocol.

        Returns:
            A line for each setting that differs, such as `resize: expected …, found …`. The expected value is the value
            in this protocol. The list is empty if the protocols are equal.
        """
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
