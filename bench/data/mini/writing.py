"""Functions that write miniature data sets. Each data set is written only once, and never appears incomplete.

Each data set also gets a JSON lines file that describes the content of each picture.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.runtime.atomic import named_disk_errors
from bench.store import lease, put_folder

__all__ = ["JPEG_QUALITY", "write_notes", "written_once"]

JPEG_QUALITY = 95


def written_once(target: Path, write: Callable[[Path], None]) -> Path:
    """Write a folder, and return the path of the folder. An existing folder is not written again.

    If several processes call this function at the same time, one process writes the folder and the others wait.

    Args:
        target: path of the folder, which appears completely or not at all.
        write: function that takes an empty temporary folder and fills it. This folder is then renamed to `target`.
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


def write_notes(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSON lines file that describes the pictures of a data set.

    Args:
        path: path of the file.
        lines: for each picture, its relative path (`file`), its source (`source`) and plain data that describes its
            content, such as texts.
    """
    path.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines), encoding="utf-8")
