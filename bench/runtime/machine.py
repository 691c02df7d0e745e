"""Functions that return the free space of a disk and the peak memory of a process."""

from __future__ import annotations

import resource
import shutil
import sys
from pathlib import Path

__all__ = ["free_disk", "peak_memory"]


def free_disk(path: Path) -> int:
    """Return the number of free bytes on the disk of a path. The path does not need to exist."""
    there = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free


def peak_memory(usage: resource.struct_rusage) -> int:
    """Return the peak memory of a process in bytes.

    Args:
        usage: resource usage of the process. Linux states the peak memory in kilobytes, and macOS states it in bytes.
    """
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
