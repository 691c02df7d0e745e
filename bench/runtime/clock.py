"""The present time as text, in the form in which the files of a run record it."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["is_moment", "utc_now"]


def utc_now() -> str:
    """Return the present time in UTC, to the second, by ISO 8601 with the offset, as in `2026-11-30T18:45:02+00:00`."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def is_moment(text: str) -> bool:
    """Return True if a text is a date and a time by ISO 8601 with an offset from UTC."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
