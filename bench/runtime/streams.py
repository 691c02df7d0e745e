"""The standard streams, the log and the exit status of every command.

A run has the same result even if nobody can read its printed output. If text cannot be written to a stream, the text is
discarded and no error is raised. This happens if the stream is closed, if the disk of the stream's file is full, or if
the reader of the stream's pipe has ended. A character that the stream's encoding lacks is written as an escape.
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
"""Names of this project's loggers. Their messages are shown from level INFO on, all other messages from WARNING on."""
BY_SIGNAL = (130, 143)
"""Exit statuses of a command that SIGINT (130) or SIGTERM (143) has ended.

After such a status, the process ends at once and does not wait for its threads.
"""


def run_command(main: Callable[[list[str]], int]) -> NoReturn:
    """Run a command with the arguments of the command line, and end the process with the command's exit status.

    If the command raises an error that `bench.errors.outcome` knows, the error's message is printed on stderr without a
    traceback, and `outcome` determines the exit status. Any other error is raised.

    Args:
        main: function of the command. It takes the arguments and returns the exit status.
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
            print(
                f"stdout: {losses.reason}; the printed text is incomplete, but all files are complete", file=sys.stderr
            )
        sys.stderr.flush()
    if status in BY_SIGNAL:
        os._exit(status)
    sys.exit(status)


def log_to_stderr() -> None:
    """Write log messages to stderr, one line for each message.

    Messages of this project's loggers are shown from level INFO on, and messages of all other loggers from WARNING on.
    """
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
    """A handler of log messages that writes to the current `sys.stderr`, which a progress bar may have replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


class _OneLine(logging.Formatter):
    """A formatter that puts each message on one line, whatever text it contains. A traceback keeps its line breaks."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name is the base class's
        return one_line(super().formatMessage(record))


class _Losses:
    """The reason why text for a stream was lost; empty if no text was lost.

    If the stream is closed or the reader of a pipe has ended, no reason is saved, because nobody reads the output.
    """

    def __init__(self) -> None:
        self.reason = ""

    def note(self, error: OSError) -> None:
        if error.errno not in (errno.EPIPE, errno.EBADF):
            self.reason = error.strerror or type(error).__name__


class _Tolerant(io.FileIO):
    """A file that raises no `OSError` when it is written; it passes the error to `losses` instead."""

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
    """Open the null device for each standard stream that is closed.

    Without this, the next file that the process opens would get the descriptor of the closed stream, and printed output
    would go into this file.
    """
    for descriptor in STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)


def _tolerant(stream: TextIO | None, descriptor: int, losses: _Losses) -> TextIO:
    """Return a text stream that writes to `descriptor` and raises no error if the writing fails.

    Args:
        stream: the stream that is replaced; None if it does not exist. The new stream has the same encoding. It writes
            each line at once if `stream` is a terminal or stderr.
        descriptor: file descriptor of the stream.
        losses: object that saves the reason if text cannot be written.
    """
    live = descriptor == 2 or (stream is not None and stream.isatty())
    return io.TextIOWrapper(
        io.BufferedWriter(_Tolerant(descriptor, losses)),
        encoding=(stream and stream.encoding) or "utf-8",
        errors="backslashreplace",
        line_buffering=live,
    )
