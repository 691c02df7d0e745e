"""Leases, by which one of several processes on one or more hosts does a piece of work and the others do not.

A lease is a file that is created exclusively and names its holder: host, process, and start time. The holder renews it
every 20 s. The lease of a dead process is taken over at once on its own host, and after 60 s without a renewal on
others. It uses no lock of the operating system, so it works on network file systems as well. Results do not depend on
leases: two processes that do the same work at once write the same values, each in one step.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout

from bench.store.putting_aside import put_aside

__all__ = ["SILENT", "lease"]

SILENT = 60.0
"""Seconds without a renewal after which another host takes over a lease."""
POLL = 0.2
"""Seconds between two attempts."""


@contextmanager
def lease(path: Path, *, wait: bool = True, silent: float = SILENT) -> Iterator[bool]:
    """Hold a lease while the block runs; the folder of its file is created.

    Args:
        path: the lease's file, which exists while the lease is held.
        wait: True to wait until the lease is free; otherwise another process may keep it.
        silent: seconds without a renewal after which another host takes it over; equal for all processes.

    Yields:
        Whether this process holds the lease.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    held = SoftFileLease(path, lease_duration=silent, poll_interval=POLL)
    if not _acquire(held, path, wait, silent):
        yield False
        return
    try:
        yield True
    finally:
        held.release()


def _acquire(held: SoftFileLease, path: Path, wait: bool, silent: float) -> bool:
    seen, unchanged_since = None, time.monotonic()
    while True:
        if os.path.lexists(path) and not _is_file(path):  # no holder created it
            put_aside(path)
        try:
            held.acquire(timeout=1 if wait else 0)
            return True
        except Timeout:
            if not wait:
                return False
        except LeaseSettingsMismatch:  # the file is damaged, or its holder uses a longer `silent`
            if not wait:
                return False
            time.sleep(1)
        # A process that was killed after it created the file leaves an empty one, and a damaged file may name any
        # holder. Every live holder renews its lease, so a lease that is not renewed has no holder.
        state = _state(path)
        if state != seen:
            seen, unchanged_since = state, time.monotonic()
        elif state is not None and time.monotonic() - unchanged_since > silent:
            with suppress(FileNotFoundError):
                os.unlink(path)


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _state(path: Path) -> tuple[int, int] | None:
    """Return the values that every renewal changes, or None if there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
