"""Files and folders that appear whole or not at all, and a full disk that is known as one, whoever wrote."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import UNWRITABLE

__all__ = ["named_disk_errors", "whole_file", "whole_folder"]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary name to write under; the file is at its path once that went well, and nothing stays otherwise.

    Raises:
        OSError: of `named_disk_errors`.
    """
    partial = path.with_name(f".{path.name}.partial")
    with named_disk_errors(path):
        try:
            yield partial
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """The same for a folder, which is empty at first and in the end takes the place of what is there.

    Raises:
        OSError: of `named_disk_errors`.
    """
    partial = path.with_name(f".{path.name}")
    with named_disk_errors(path):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            shutil.rmtree(path, ignore_errors=True)
            os.replace(partial, path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


@contextmanager
def named_disk_errors(path: Path) -> Iterator[None]:
    """Within it, a place that is full or read-only is an `OSError` that names a path, whatever a library makes of it.

    PyTorch raises its own error while it handles the system's; safetensors puts the system's number into its text.

    Args:
        path: to name where the error names none.
    """
    try:
        yield
    except Exception as error:
        found = _of_the_disk(error)
        if found is None:
            raise
        found.filename = found.filename2 or found.filename or str(path)
        raise found from None


def _of_the_disk(error: BaseException | None) -> OSError | None:
    while error is not None:
        number = re.search(r"\(os error (\d+)\)", str(error))
        found = OSError(int(number[1]), os.strerror(int(number[1]))) if number else error
        if isinstance(found, OSError) and found.errno in UNWRITABLE:
            return found
        error = error.__context__
    return None
