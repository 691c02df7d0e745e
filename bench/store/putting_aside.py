"""Functions that rename damaged files and folders in a store, and that create and remove folders.

After the renaming, a run makes the content again, and the damaged file stays under the new name for the user to
examine.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

__all__ = ["DAMAGED", "made_folder", "put_aside", "removed"]

log = logging.getLogger(__name__)

DAMAGED = ".damaged"
"""Suffix that `put_aside` gives to a damaged file or folder."""
SUFFIXES = (".safetensors", ".json", ".lease")
"""Suffixes that `.damaged` replaces. For a name with another suffix, `.damaged` is appended."""


def put_aside(path: Path) -> None:
    """Rename a damaged file or folder, so that a run makes its content again, and log a warning.

    If the new name exists already, the earlier damaged file or folder is removed. If `path` is a link, the link is
    renamed and the target of the link is not changed. If the renaming fails, a warning is logged and no error is
    raised.
    """
    aside = path.with_suffix(DAMAGED) if path.suffix in SUFFIXES else path.with_name(path.name + DAMAGED)
    try:
        if os.path.lexists(path) and os.path.lexists(aside):
            removed(aside)
        os.replace(path, aside)
    except FileNotFoundError:  # another process has put it aside
        return
    except OSError as error:
        log.warning("store: %s is damaged, and cannot be renamed: %s", path, error)
    else:
        log.warning("store: %s is damaged; it is renamed to %s, and its content is created again", path, aside.name)


def removed(path: Path) -> None:
    """Remove a file, a link, or a folder with its content. The target of a link is not removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def made_folder(root: Path, folder: Path) -> Path:
    """Create a folder in a store, with its parents, and return its path.

    If something that is not a folder has the name of the folder or of a parent below `root`, `put_aside` renames it.

    Args:
        root: root of the store.
        folder: path of the folder, below `root`.

    Raises:
        OSError: the folder cannot be created.
    """
    for one in [*reversed([parent for parent in folder.parents if parent.is_relative_to(root)]), folder]:
        if one != root and os.path.lexists(one) and not one.is_dir():
            put_aside(one)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
