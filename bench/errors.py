"""What ends a command with one message instead of a traceback."""

import errno

__all__ = ["READ_ONLY", "BadInputError", "RunFailedError", "TerminatedError", "no_space"]

READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
"""Of an `OSError`: the place cannot be written."""
FULL = (errno.ENOSPC, errno.EDQUOT)


class BadInputError(Exception):
    """Bad input, which a user can mend: the message names the file or key, what was expected and found; status 2."""


class RunFailedError(Exception):
    """A program that a run rests on failed: the message has its own words; status 1."""


class TerminatedError(KeyboardInterrupt):
    """The process was asked to end (SIGTERM), as by a batch system; status 143."""


def no_space(error: BaseException) -> str | None:
    """What to say of a full disk or quota; None for anything else."""
    if not isinstance(error, OSError) or error.errno not in FULL:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}no space left on the disk; make room and run the same command again: it goes on from here"
