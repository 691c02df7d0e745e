"""Writing of miniature data sets: once, completely or not at all, with notes on the content of each file."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bench.runtime.atomic import named_disk_errors
from bench.store import lease, put_folder

__all__ = ["JPEG_QUALITY", "write_notes", "written_once"]

JPEG_QUALITY = 95


def written_once(target: Path, write: Callable[[Path], None]) -> Path:
    """Write a folder unless it exists, and return it.

    Args:
        target: the folder; it appears completely or not at all, and only one of several processes writes it.
        write: function that fills the given folder, which becomes the target.
    """
    if target.is_dir():
        return target
    with lease(target.with_suffix(".lease")):
        if target.is_dir():
            return target
        with named_disk_errors(target):
            partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
            try:
                write(partial)
                put_folder(partial, target)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    return target


def write_notes(path: Path, lines: Iterable[Mapping[str, str]]) -> None:
    """Write one line of JSON for each file, with its content and the keys `file` and `source`."""
    path.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines), encoding="utf-8")
