"""Handling of signals: SIGTERM can end a command cleanly, as Ctrl-C (SIGINT) does, and SIGINT can be ignored."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from bench.errors import TerminatedError

__all__ = ["ending", "handlers_kept", "uninterrupted"]

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


@contextmanager
def ending() -> Iterator[None]:
    """Raise `TerminatedError` if SIGTERM arrives during the block.

    All `finally` blocks then run, as after Ctrl-C, so that no partial file and no lease remains. Only the first SIGTERM
    has an effect. Later ones are ignored, so that they do not interrupt this cleaning up.
    """

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise TerminatedError

    with _handled(signal.SIGTERM, end):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C (SIGINT) during the block, so that processes that start in the block ignore it as well.

    After the block, Ctrl-C reaches this command only, and the command itself ends its jobs.
    """
    with _handled(signal.SIGINT, signal.SIG_IGN):
        yield


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Restore the handlers of SIGINT and SIGTERM after the block, in which a library may install its own handlers.

    In any other thread than the main thread this has no effect.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            if handler is not None:  # None is a handler that was not installed from Python
                signal.signal(number, handler)


@contextmanager
def _handled(number: signal.Signals, handler: Handler) -> Iterator[None]:
    """Set the handler of a signal during the block, and restore the previous handler afterwards.

    In any other thread than the main thread this has no effect, because Python does not let other threads set a
    handler.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, previous)
