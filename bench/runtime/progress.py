"""Progress of a stage: a bar or a spinner on stderr if it is a terminal, and otherwise a line at intervals.

Progresses can be nested; each one has its own line.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich import progress as bars
from rich.console import Console
from rich.text import Text

from bench.runtime.text import one_line

__all__ = ["Pace", "Progress"]

FIRST, LONGEST = 5.0, 60.0
"""Seconds until the first line and the longest pause between two lines without a terminal; the pause doubles."""


@dataclass
class Pace:
    """Number of items that a stage processed in this process, and the seconds that they took."""

    items: int = 0
    seconds: float = 0.0

    def add(self, items: int, *, since: float) -> None:
        """Add items that were processed since a moment of `time.monotonic`."""
        self.items += items
        self.seconds += time.monotonic() - since

    @property
    def each(self) -> float | None:
        """Mean seconds per item, or None if no item was processed."""
        return self.seconds / self.items if self.items else None


class Progress:
    """The number of finished items out of a total; items from the store count as finished but not for the rate.

    It is shown while its context is entered.
    """

    def __init__(self, what: str, total: int | None = None, *, unit: str = "items") -> None:
        """Name the work and its size.

        Args:
            what: a name of one or two words.
            total: number of items, or None if it is unknown; then only the time is shown.
            unit: plural name of the items.
        """
        self._what, self._total, self._unit = what, total, unit
        self._done = 0
        self._worked = self._part = 0.0
        self._note = ""
        self._started = time.monotonic()
        self._shown: _Bar | _Lines | None = None

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        console = Console(stderr=True)
        self._shown = _Bar(self, console) if console.is_interactive else _Lines(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown is not None:
            self._shown.end()
            self._shown = None

    def advance(self, items: int, *, note: str = "") -> None:
        """Count items that were processed, with an optional note that is shown behind the rate."""
        self._worked += items
        self._done += items
        self._part = 0.0
        self._note = note

    def begin(self, items: float) -> None:
        """Set how many of the next items are finished, possibly a fraction, for the rate and the remaining time."""
        self._part = items

    def skip(self, items: int) -> None:
        """Count items that existed already."""
        self._done += items

    @property
    def counted(self) -> bool:
        return self._total is not None

    @property
    def share(self) -> float | None:
        """Return the fraction of the items that are finished, or None if the total is unknown."""
        return None if self._total is None else self._done / max(self._total, 1)

    @property
    def seconds(self) -> float:
        """Seconds since the context was entered."""
        return time.monotonic() - self._started

    def words(self) -> str:
        """Return the state as one line of text."""
        if self._total is None:
            return f"{self._what:>11} {_clock(self.seconds)}"
        parts = [f"{self._what:>11} {self._done}/{self._total}"]
        worked = self._worked + self._part
        if worked:
            parts.append(f"{worked / max(self.seconds, 1e-9):.2f} {self._unit}/s")
            left = (self._total - self._done - self._part) * self.seconds / worked
            parts.append(f"{_clock(left)} left" if self._done < self._total else _clock(self.seconds))
        else:
            parts.append("from the store" if self._done else f"{_clock(self.seconds)}, no rate known yet")
        return "  ".join([*parts, one_line(self._note)]).rstrip()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


class _Words(bars.ProgressColumn):
    """A column with the text of a progress."""

    def render(self, task: bars.Task) -> Text:
        progress: Progress = task.fields["of"]
        return Text(progress.words(), overflow="ellipsis", no_wrap=True)


class _Spinner(bars.SpinnerColumn):
    """A spinner, followed by a bar if the total is known."""

    def render(self, task: bars.Task) -> Text:
        share = task.fields["of"].share
        turning = super().render(task)
        done = "" if share is None else f" {'#' * int(20 * share):<20}"
        return Text.assemble("" if task.finished else turning, done)  # type: ignore[arg-type]  # a spinner of letters


class _Bar:
    """A line in the terminal display that all progresses share."""

    _display: bars.Progress | None = None
    _open = 0

    def __init__(self, progress: Progress, console: Console) -> None:
        if _Bar._display is None:
            _Bar._display = bars.Progress(_Words(), _Spinner("line"), console=console)
            _Bar._display.start()
        _Bar._open += 1
        self._task = _Bar._display.add_task("", total=None, of=progress)
        self._progress = progress

    def end(self) -> None:
        display = _Bar._display
        assert display is not None  # the display exists while this line is shown
        last = self._progress.words()
        display.remove_task(self._task)
        _Bar._open -= 1
        if self._progress.counted or self._progress.seconds >= 1:
            display.console.print(Text(last))
        if not _Bar._open:
            display.stop()
            _Bar._display = None


class _Lines:
    """A line on stderr at intervals, and a last line at the end."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._ended = progress, threading.Event()
        self._printed = False
        self._thread = threading.Thread(target=self._print_at_intervals, daemon=True)
        self._thread.start()

    def _print_at_intervals(self) -> None:
        pause = FIRST
        while not self._ended.wait(pause):
            self._print()
            pause = min(2 * pause, LONGEST)

    def _print(self) -> None:
        print(self._progress.words(), file=sys.stderr, flush=True)
        self._printed = True

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        if self._progress.counted or self._printed:
            self._print()
