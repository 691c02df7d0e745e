"""Context managers that let a file or a folder appear completely or not at all.

They report every full or read-only disk as an `OSError`, whichever library raised the original error.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import UNWRITABLE

__all__ = ["named_disk_errors", "whole_file", "whole_folder"]

BEGINNING = 200
"""Largest number of bytes of a file's name that its temporary name repeats.

The temporary name is longer than this part, and file systems allow 255 bytes in a name.
"""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path, to which the `with` block writes the file.

    If the block succeeds, the file is moved to `path`, where it replaces an earlier file. If the block fails, the
    temporary file is deleted.

    Raises:
        OSError: see `named_disk_errors`.
    """
    beginning = os.fsdecode(os.fsencode(path.name)[:BEGINNING])
    partial = path.with_name(f".{beginning}.{secrets.token_hex(4)}.partial")  # other processes may write the same file
    with named_disk_errors(path):
        try:
            yield partial
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder, which the `with` block fills.

    If the block succeeds, this folder is moved to `path`, where it replaces an earlier folder. If the block fails, the
    temporary folder is deleted.

    Raises:
        OSError: see `named_disk_errors`.
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
    """Raise an `OSError` that names a path if a full or read-only disk causes an error in the `with` block.

    Libraries report such an error in different ways. PyTorch raises an error of its own type while it handles the
    system's error. safetensors only writes the system's error number into its message. Errors with other causes pass
    unchanged.

    Args:
        path: path that the `OSError` names if the original error names no path.

    Raises:
        OSError: the disk is full or read-only, or the file is too large.
    """
    try:
        yield
    except Exception as error:
        found = _disk_error(error)
        if found is None:
            raise
        found.filename = found.filename2 or found.filename or str(path)
        raise found from None


def _disk_error(error: BaseException | None) -> OSError | None:
    while error is not None:
        number = re.search(r"\(os error (\d+)\)", str(error))
        found = OSError(int(number[1]), os.strerror(int(number[1]))) if number else error
        if isinstance(found, OSError) and found.errno in UNWRITABLE:
            return found
        error = error.__context__
    return None
