"""A value that replaces a number which could not be computed."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NotAvailable"]


@dataclass(frozen=True)
class NotAvailable:
    """The value of a result that could not be computed. `reason` says why, in words that a report can print."""

    reason: str

    def __str__(self) -> str:
        return self.reason
