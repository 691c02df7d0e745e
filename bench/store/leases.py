"""Leases: of several processes, on one host or on many, one does the work and the others wait or do other work.

A lease is a file that is made exclusively and says whose it is: host, process, and when that started. Its holder renews
it every 20 s. A dead process's is taken at once on its own host, and after 60 s of silence elsewhere. No lock of the
operating system is asked for, so it holds on network file systems as well. Results never rest on it: two that work on
one thing at once write the same values, each in one step.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import SoftFileLease, Timeout

__all__ = ["SILENT", "lease"]

SILENT = 60.0
"""Seconds without a renewal after which another host takes a lease."""
POLL = 0.2
"""Seconds between two looks."""


@contextmanager
def lease(path: Path, *, wait: bool = True, silent: float = SILENT) -> Iterator[bool]:
    """Hold a path, whose folder is made, while something is worked on.

    Args:
        path: of the lease's own file; gone once it is given back.
        wait: until it is free; otherwise the work may be another's.
        silent: seconds without a renewal after which another host takes it; the same for all that want it.

    Yields:
        Whether it is held.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    held = SoftFileLease(path, lease_duration=silent, poll_interval=POLL)
    if not _acquired(held, path, wait, silent):
        yield False
        return
    try:
        yield True
    finally:
        held.release()


def _acquired(held: SoftFileLease, path: Path, wait: bool, silent: float) -> bool:
    empty_since: float | None = None
    while True:
        try:
            held.acquire(timeout=1 if wait else 0)
            return True
        except Timeout:
            if not wait:
                return False
        # Whoever was killed between making the file and writing it left an empty one, which names nobody to look for.
        if not _empty(path):
            empty_since = None
        elif empty_since is None:
            empty_since = time.monotonic()
        elif time.monotonic() - empty_since > silent:
            with suppress(FileNotFoundError):
                os.unlink(path)


def _empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return False
