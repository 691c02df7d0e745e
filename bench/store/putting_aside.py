"""Renaming of damaged entries of a store, so that their content is made again and the damage can be examined."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

__all__ = ["DAMAGED", "made_folder", "put_aside", "removed"]

log = logging.getLogger(__name__)

DAMAGED = ".damaged"
"""Suffix of a damaged entry, in place of its own suffix."""
SUFFIXES = (".safetensors", ".json", ".lease")
"""Suffixes that it replaces; other names keep their suffix before it."""


def put_aside(path: Path) -> None:
    """Rename a damaged file or folder, so that its content is made again, and log a warning.

    An earlier damaged entry of the same name is removed. A link is renamed itself, not its target.
    """
    aside = path.with_suffix(DAMAGED) if path.suffix in SUFFIXES else path.with_name(path.name + DAMAGED)
    try:
        if os.path.lexists(path) and os.path.lexists(aside):
            removed(aside)
        os.replace(path, aside)
    except FileNotFoundError:  # another process has put it aside
        return
    except OSError as error:
        log.warning("store: %s is damaged, and cannot be put aside: %s", path, error)
    else:
        log.warning("store: %s is damaged; it is kept as %s and made again", path, aside.name)


def removed(path: Path) -> None:
    """Remove a file, a folder with its content, or a link, but never the target of a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def made_folder(root: Path, folder: Path) -> Path:
    """Create a folder of a store with its parents and return it; put aside any file that is in the place of a folder.

    Args:
        root: root of the store.
        folder: folder below it.

    Raises:
        OSError: the folder cannot be created.
    """
    for one in [*reversed([parent for parent in folder.parents if parent.is_relative_to(root)]), folder]:
        if one != root and os.path.lexists(one) and not one.is_dir():
            put_aside(one)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
