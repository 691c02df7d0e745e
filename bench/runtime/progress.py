"""Progress of a stage, shown on stderr.

On a terminal, the progress is a bar, or a spinner if the total is unknown. Without a terminal, a line is printed at
intervals. Several objects of `Progress` can be active at once, and each object has a separate line.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Self

from rich import progress as bars
from rich.console import Console
from rich.text import Text

from bench.runtime.text import one_line

__all__ = ["Pace", "Progress"]

FIRST, LONGEST = 5.0, 60.0
"""Seconds before the first line, and the longest pause in seconds between two lines, where there is no terminal.

The pause doubles after each line until it has reached the longest one.
"""


@dataclass
class Pace:
    """The number of items that this process has processed in a stage, and the total time of these items in seconds."""

    items: int = 0
    seconds: float = 0.0

    def add(self, items: int, *, since: float) -> None:
        """Add the number of items that were just processed, and the seconds that they took.

        Args:
            items: number of items.
            since: value of `time.monotonic` when the processing of these items began.
        """
        self.items += items
        self.seconds += time.monotonic() - since

    @property
    def each(self) -> float | None:
        """Mean seconds per item, or None if no item was processed."""
        return self.seconds / self.items if self.items else None


class Progress:
    """An object that shows the number of finished items out of a total, during the `with` block of this object.

    Items that come from the store count as finished, but they are not included in the rate (items per second).
    """

    is_shown: ClassVar[bool] = True
    """False if no progress is shown at all, on a terminal or elsewhere."""

    def __init__(self, what: str, total: int | None = None, *, unit: str = "items") -> None:
        """Set the name and the size of the work.

        Args:
            what: name of the work, one or two words.
            total: number of items. If it is None, the number is unknown, and only the elapsed time is shown.
            unit: plural noun for the items, shown in the rate.
        """
        self._what, self._total, self._unit = what, total, unit
        self._done = 0
        self._worked = self._part = 0.0
        self._note = ""
        self._started = time.monotonic()
        self._shown: _Bar | _Lines | None = None

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        if self.is_shown:
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
        """Count `items` further items as processed now.

        Args:
            items: number of items.
            note: text to show at the end of the line, until the next call.
        """
        self._worked += items
        self._done += items
        self._part = 0.0
        self._note = note

    def begin(self, items: float) -> None:
        """Report how many items of the current work are finished, before `advance` counts these items.

        The rate and the remaining time include these items. The shown number of finished items does not.

        Args:
            items: number of items finished since the last call of `advance`. It may be a fraction.
        """
        self._part = items

    def skip(self, items: int) -> None:
        """Count `items` further items as finished although they were not processed now, because the store had them."""
        self._done += items

    @property
    def counted(self) -> bool:
        return self._total is not None

    @property
    def share(self) -> float | None:
        """Fraction of the items that are finished, in [0, 1], or None if the total is unknown."""
        return None if self._total is None else self._done / max(self._total, 1)

    @property
    def seconds(self) -> float:
        """Seconds since the `with` block began."""
        return time.monotonic() - self._started

    def words(self) -> str:
        """Return the line that is shown: the name, the number of finished items, the rate and the remaining time.

        If the total is unknown, the line contains only the name and the elapsed time.
        """
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
    """A column of the terminal display with the text of one `Progress`."""

    def render(self, task: bars.Task) -> Text:
        progress: Progress = task.fields["of"]
        return Text(progress.words(), overflow="ellipsis", no_wrap=True)


class _Spinner(bars.SpinnerColumn):
    """A column of the terminal display with a spinner. If the total is known, a bar follows the spinner."""

    def render(self, task: bars.Task) -> Text:
        share = task.fields["of"].share
        turning = super().render(task)
        done = "" if share is None else f" {'#' * int(20 * share):<20}"
        return Text.assemble("" if task.finished else turning, done)  # type: ignore[arg-type]  # a spinner of letters


class _Bar:
    """The line of one `Progress` on a terminal. All objects of this class share one display."""

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
    """The output of one `Progress` on stderr if stderr is not a terminal.

    A line is printed at intervals, and a last line is printed at the end. If the total is unknown and no line was
    printed before, the last line is left out.
    """

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
