"""Context managers that handle signals during a `with` block.

They let SIGTERM and SIGHUP end a command cleanly, as Ctrl-C (SIGINT) does. They can also defer SIGTERM, ignore Ctrl-C,
or restore handlers that a library has replaced.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from bench.errors import TerminatedError

__all__ = ["Request", "deferred", "ending", "handlers_kept", "uninterrupted"]

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


@contextmanager
def ending() -> Iterator[None]:
    """Raise `TerminatedError` if SIGTERM or SIGHUP arrives during the `with` block.

    SIGHUP says that the terminal was closed. If SIGHUP is already ignored before the block, as under `nohup`, it stays
    ignored. The error makes all `finally` blocks run, as after Ctrl-C, so that no partial file and no lease remains.
    Only the first signal has an effect. Later signals are ignored, so that they do not interrupt these `finally`
    blocks.

    In any other thread than the main thread this has no effect.
    """

    def end(number: int, frame: FrameType | None) -> None:
        for other in handled:
            signal.signal(other, signal.SIG_IGN)
        raise TerminatedError(signal.Signals(number).name)

    handled = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handled.append(signal.SIGHUP)
    with ExitStack() as handlers:
        for number in handled:
            handlers.enter_context(_handled(number, end))
        yield


class Request:
    """A request to end the process.

    SIGTERM makes the request. The program then ends at a point at which it loses no work.
    """

    def __init__(self) -> None:
        """Start without a request."""
        self.made = False
        """True once SIGTERM has arrived."""
        self._at_once = False

    @contextmanager
    def ends_at_once(self) -> Iterator[None]:
        """Raise `TerminatedError` as soon as SIGTERM arrives during the `with` block.

        If SIGTERM has arrived before the block, the error is raised at the start of the block. In both cases, the block
        is unfinished, so the caller must be able to repeat the block later.

        Raises:
            TerminatedError: SIGTERM arrived during the block or before it.
        """
        self._at_once = True
        try:
            self._end_if_made()
            yield
        finally:
            self._at_once = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.made = True
        self._end_if_made()

    def _end_if_made(self) -> None:
        if self.made and self._at_once:
            self._at_once = False  # a second signal does not interrupt the cleaning up
            raise TerminatedError


@contextmanager
def deferred() -> Iterator[Request]:
    """Keep SIGTERM from ending the process during the `with` block, except inside `Request.ends_at_once`.

    In any other thread than the main thread, the handler of SIGTERM stays unchanged, and the request is never made.

    Yields:
        The request, whose attribute `made` becomes True when SIGTERM arrives.
    """
    request = Request()
    with _handled(signal.SIGTERM, request._note):
        yield request


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C (SIGINT) during the `with` block, so that processes that start in the block always ignore it.

    After the block, Ctrl-C interrupts this command again, but not the processes that started in the block. This command
    must decide whether to end these processes.
    """
    with _handled(signal.SIGINT, signal.SIG_IGN):
        yield


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Restore the handlers of SIGINT and SIGTERM after the `with` block, in which a library may install other handlers.

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
    """Set the handler of a signal during the `with` block, and restore the previous handler after the block.

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
