"""The one exception for what a user can mend: it ends a command with its message and exit status 2."""

__all__ = ["BadInputError"]


class BadInputError(Exception):
    """Bad input: the message names the file or key, what was expected and what was found."""
