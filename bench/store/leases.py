"""Leases, with which one process does a piece of work, and other processes, also on other hosts, do not repeat it.

A lease is a file. The process that creates it is the holder of the lease, and the file names the holder's host, process
and start time. The holder renews the lease every 20 s. If the holder dies, a process on the same host takes over the
lease at once. A process on another host takes over the lease after 60 s without a renewal. Leases use no lock of the
operating system, so they work on network file systems as well.

Leases save time, but results do not depend on them. If two processes do the same work at once, they write the same
values, and each process moves its complete file to the final path in one step.
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
"""Seconds between two attempts to get a lease that another process holds."""


@contextmanager
def lease(path: Path, *, wait: bool = True, silent: float = SILENT) -> Iterator[bool]:
    """Hold a lease while the `with` block runs.

    Args:
        path: file of the lease, which exists while a process holds the lease. The folder of the file is created if
            necessary.
        wait: True to wait until the lease is free. False to run the block without the lease if another process holds
            the lease.
        silent: seconds without a renewal after which another host takes over the lease. All processes that use the
            lease must pass the same number.

    Yields:
        True if this process holds the lease during the block; False only if `wait` is False.

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
    """Return the inode and the modification time (in ns) of a lease's file, or None if there is no file.

    Each renewal changes the modification time.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
