"""The standard streams, the log and the exit status of every command.

The result of a run does not depend on the reader of its output. A stream that is closed or full, or a pipe whose reader
has gone, discards what is written to it. A character that the encoding lacks is written as an escape.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn, TextIO

from bench.errors import outcome
from bench.runtime.text import one_line, printable

__all__ = ["log_to_stderr", "run_command"]

STANDARD = (0, 1, 2)
"""File descriptors of stdin, stdout and stderr."""
OWN = ("bench", "baselines")
"""Names of the loggers whose messages are shown from INFO on; those of all others are shown from WARNING on."""
BY_SIGNAL = (130, 143)
"""Exit statuses after which the process ends at once, without waiting for anything."""


def run_command(main: Callable[[list[str]], int]) -> NoReturn:
    """Run a command on the words of its command line, and end the process with its status.

    Args:
        main: takes the words and returns the exit status. An error that `outcome` knows is printed as one message.
    """
    _open_standard_streams()
    losses = _Losses()
    sys.stdout, sys.stderr = _tolerant(sys.stdout, 1, losses), _tolerant(sys.stderr, 2, _Losses())
    try:
        status = main(sys.argv[1:])
    except Exception as error:
        known = outcome(error)
        if known is None:
            raise
        status, message = known
        print(printable(f"bench: {message}"), file=sys.stderr)
    finally:
        sys.stdout.flush()
        if losses.reason:
            print(f"stdout: {losses.reason}; the printed output is incomplete, the files are complete", file=sys.stderr)
        sys.stderr.flush()
    if status in BY_SIGNAL:
        os._exit(status)
    sys.exit(status)


def log_to_stderr() -> None:
    """Log to stderr, one line for each message: our own loggers from INFO on, and all others from WARNING on."""
    handler = _ToStderr()
    handler.setFormatter(_OneLine("%(message)s"))
    root = logging.getLogger()
    for earlier in [known for known in root.handlers if isinstance(known, _ToStderr)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in OWN:
        logging.getLogger(name).setLevel(logging.INFO)


class _ToStderr(logging.Handler):
    """A handler that writes to the current `sys.stderr`, which a progress bar may have replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


class _OneLine(logging.Formatter):
    """A formatter that puts a message on one line, whatever text it contains; a traceback keeps its own lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name is the base class's
        return one_line(super().formatMessage(record))


class _Losses:
    """The reason why a stream could not be written; a reader that went away is not one."""

    def __init__(self) -> None:
        self.reason = ""

    def note(self, error: OSError) -> None:
        if error.errno not in (errno.EPIPE, errno.EBADF):
            self.reason = error.strerror or type(error).__name__


class _Tolerant(io.FileIO):
    """A file descriptor whose write errors are recorded instead of raised."""

    def __init__(self, descriptor: int, losses: _Losses) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._losses = losses

    def write(self, data: object, /) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]  # any buffer that the layer above passes
        except OSError as error:
            self._losses.note(error)
            return memoryview(data).nbytes  # type: ignore[arg-type]


def _open_standard_streams() -> None:
    """Open the null device in place of each closed standard stream, so that no file gets its descriptor."""
    for descriptor in STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)


def _tolerant(stream: TextIO | None, descriptor: int, losses: _Losses) -> TextIO:
    """Return a stream that writes like the given one but never raises."""
    live = descriptor == 2 or (stream is not None and stream.isatty())
    return io.TextIOWrapper(
        io.BufferedWriter(_Tolerant(descriptor, losses)),
        encoding=(stream and stream.encoding) or "utf-8",
        errors="backslashreplace",
        line_buffering=live,
    )
