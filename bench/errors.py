"""What ends a command with one message instead of a traceback."""

__all__ = ["BadInputError", "RunFailedError"]


class BadInputError(Exception):
    """Bad input, which a user can mend: the message names the file or key, what was expected and found; status 2."""


class RunFailedError(Exception):
    """A program that a run rests on failed: the message has its own words; status 1."""
