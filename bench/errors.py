"""What ends a command with one message instead of a traceback."""

import errno
import re

__all__ = ["READ_ONLY", "UNWRITABLE", "BadInputError", "RunFailedError", "TerminatedError", "outcome"]

READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
"""Of an `OSError`: the place cannot be written."""
FULL = (errno.ENOSPC, errno.EDQUOT)
UNWRITABLE = (*FULL, errno.EROFS)
"""Of an `OSError` while something was written: what the disk is to blame for."""
OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|^could not create a (primitive|memory object)$")
"""How PyTorch says so: on a GPU, on the CPU, and of its convolutions there, which name no reason."""


class BadInputError(Exception):
    """Bad input, which a user can mend: the message names the file or key, what was expected and found; status 2."""


class RunFailedError(Exception):
    """A program that a run rests on failed: the message has its own words; status 1."""


class TerminatedError(KeyboardInterrupt):
    """The process was asked to end (SIGTERM), as by a batch system; status 143."""


def outcome(error: Exception) -> tuple[int, str] | None:
    """Exit status and message of an error that has one message; None for one that deserves its traceback."""
    if isinstance(error, BadInputError):
        return 2, str(error)
    if isinstance(error, RunFailedError):
        return 1, str(error)
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        where = f"{error.filename}: " if error.filename else ""
        if error.errno in FULL:
            return 1, f"{where}no space left on the disk; make room, and the same command goes on from here"
        return 2, f"{where}expected a place that can be written, found a read-only file system"
    if _is_of_memory(error):
        return 1, (
            f"out of memory ({_first_line(error)}); with more of it, or fewer items at once (batch_size=N), the same "
            "command goes on from what it has kept; a training begins anew with another training.at_once"
        )
    return None


def _is_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(str(error)) is not None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
