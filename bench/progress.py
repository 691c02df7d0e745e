"""How a stage goes: a bar on stderr with rate and time left, and what an item took."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich import progress as bars
from rich.console import Console

__all__ = ["Pace", "Progress"]


@dataclass
class Pace:
    """What a stage took this process."""

    items: int = 0
    seconds: float = 0.0

    def add(self, items: int, *, since: float) -> None:
        """Items that were worked on since a moment of `time.monotonic`."""
        self.items += items
        self.seconds += time.monotonic() - since

    @property
    def each(self) -> float | None:
        """Seconds an item; None where nothing was worked on."""
        return self.seconds / self.items if self.items else None


class Progress:
    """Items done of how many; what was found in the store counts as done but not into the rate.

    It is shown where it is entered.
    """

    def __init__(self, what: str, total: int, *, unit: str = "items") -> None:
        self._bars = bars.Progress(
            bars.TextColumn("{task.description:>11}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TextColumn("{task.fields[rate]}"),
            bars.TimeRemainingColumn(),
            bars.TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self._task = self._bars.add_task(what, total=total, rate="", note="")
        self._unit = unit
        self._worked = 0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def advance(self, items: int, *, note: str = "") -> None:
        """Count items that were worked on, with a word on how it goes."""
        self._worked += items
        elapsed = self._bars.tasks[0].elapsed or 0.0
        rate = f"{self._worked / elapsed:.2f} {self._unit}/s" if elapsed else ""
        self._bars.update(self._task, advance=items, rate=rate, note=note)

    def skip(self, items: int) -> None:
        """Count items that were there already."""
        if self._worked:
            self._bars.update(self._task, advance=items)
        else:
            self._bars.update(self._task, advance=items, rate="from the store")
