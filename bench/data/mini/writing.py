"""How miniature data sets reach the disk: once, whole or not at all, with notes of what each file shows."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bench.store import lease, put_folder

__all__ = ["JPEG_QUALITY", "write_notes", "written_once"]

JPEG_QUALITY = 95


def written_once(target: Path, write: Callable[[Path], None]) -> Path:
    """Have a folder written unless it is there, and return it.

    Args:
        target: the folder; it appears whole or not at all, and of several processes one writes it.
        write: fills the folder that it is given, which becomes the target.
    """
    if target.is_dir():
        return target
    with lease(target.with_suffix(".lease")):
        if target.is_dir():
            return target
        partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
        try:
            write(partial)
            put_folder(partial, target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return target


def write_notes(path: Path, lines: Iterable[Mapping[str, str]]) -> None:
    """Write what each file shows, `file` and `source` among it, as a line of JSON each."""
    path.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))
