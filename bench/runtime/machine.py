"""Facts about this machine: free disk space, and the peak memory of a process."""

from __future__ import annotations

import resource
import shutil
import sys
from pathlib import Path

__all__ = ["free_disk", "peak_memory"]


def free_disk(path: Path) -> int:
    """Return the free bytes of the disk on which a path lies, or would lie if it does not exist yet."""
    there = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free


def peak_memory(usage: resource.struct_rusage) -> int:
    """Return the peak memory in bytes of the process whose resource usage is given.

    Linux gives the peak memory in `usage` in kilobytes, and macOS gives it in bytes. This function converts it.
    """
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
