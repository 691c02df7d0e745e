"""Handling of signals: SIGTERM ends a command like SIGINT does, and SIGINT can be ignored for a while."""

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
    """Make SIGTERM unwind the stack like SIGINT during the block, so that no partial file or lease remains.

    Only the first SIGTERM has an effect; later ones do not disturb the unwinding.
    """

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise TerminatedError

    with _handled(signal.SIGTERM, end):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Start processes in the block that ignore Ctrl-C, because this command passes it on to its jobs."""
    with _handled(signal.SIGINT, signal.SIG_IGN):
        yield


@contextmanager
def _handled(number: signal.Signals, handler: Handler) -> Iterator[None]:
    """Set the handler of a signal during the block; do nothing outside the main thread, which alone may set one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, previous)
