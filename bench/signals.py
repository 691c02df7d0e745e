"""What signals do to a command: SIGTERM ends it as SIGINT does, and there are moments in which SIGINT has to wait."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from bench.errors import TerminatedError

__all__ = ["ending", "uninterrupted"]

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


@contextmanager
def ending() -> Iterator[None]:
    """Within it, SIGTERM unwinds the stack as SIGINT does, so that nothing half-written or held is left.

    The first one does; later ones do not disturb the unwinding.
    """

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise TerminatedError

    with _handled(signal.SIGTERM, end):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within it, processes are started that Ctrl-C does not reach: this command hands it on to its jobs."""
    with _handled(signal.SIGINT, signal.SIG_IGN):
        yield


@contextmanager
def _handled(number: signal.Signals, handler: Handler) -> Iterator[None]:
    """Within it, a signal is handled so; other threads than the first may not say how."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
