"""What ends a command with one message instead of a traceback."""

import errno

__all__ = ["READ_ONLY", "BadInputError", "RunFailedError", "TerminatedError", "outcome"]

READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
"""Of an `OSError`: the place cannot be written."""
FULL = (errno.ENOSPC, errno.EDQUOT)


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
    if isinstance(error, OSError) and error.errno in FULL:
        where = f"{error.filename}: " if error.filename else ""
        return 1, f"{where}no space left on the disk; make room, and the same command goes on from here"
    return None
