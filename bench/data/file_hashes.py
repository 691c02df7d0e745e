"""Computes the SHA-256 of files, and stores it, so that later runs do not read unchanged files again.

A file is treated as unchanged if it has the same device, inode, size, modification time and status time as before. The
status time is the time of the last change of the file's content or attributes. Programs cannot set this time.
Therefore a changed content is noticed even if a program restores the old modification time.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from stat import S_ISREG

from bench.runtime.progress import Progress
from bench.store import Fact, content_key

__all__ = ["FileHashes", "file_state"]

READERS = 8
"""Number of files that are read at the same time."""
SETTLED = 2_000_000_000
"""Nanoseconds that must have passed since a file's last change before its hash is stored.

Soon after a change, a second change could get the same time as the first one, and the stored hash would then be wrong.
"""
SHA256 = re.compile("[0-9a-f]{64}")
NO_FILE = "none"
"""Value in place of the hash for a path that is not a readable file. The error is reported when the picture is read."""
SHOWN_FROM = 1000
"""Smallest number of files to hash for which progress is shown."""


def file_state(status: os.stat_result) -> str:
    """Return a text that describes the state of a file. If the file may have changed, this text differs from before.

    Args:
        status: result of `os.stat` for the file.
    """
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


class FileHashes:
    """The SHA-256 of many files, which can be stored for later runs."""

    def __init__(self, memory: Fact | None = None) -> None:
        """Set the file of the store in which hashes are kept between runs.

        Args:
            memory: file of the store for the hashes. If it is None, hashes are not stored, and every file is hashed
                each time. Stored hashes have a checksum. If the checksum does not match, the hashes are ignored.
        """
        self._memory = memory
        self._states: dict[Path, str | None] = {}

    def changed(self) -> list[Path]:
        """Return the files that may have changed since the last call of `of`."""
        return [path for path, state in self._states.items() if _state(path) != state]

    def of(self, paths: Iterable[Path]) -> dict[Path, str]:
        """Return the SHA-256 of each file as 64 hexadecimal digits, or `none` for a path that is not a readable file.

        Unchanged files with a stored hash are not read again.
        """
        known = self._stored()
        self._states = {path: _state(path) for path in dict.fromkeys(paths)}
        hashes = {path: NO_FILE if state is None else known.get(state, "") for path, state in self._states.items()}
        missing = [path for path, digest in hashes.items() if not digest]
        now = time.time_ns()
        current = {state: known[state] for state in self._states.values() if state is not None and state in known}
        for path, (digest, state) in zip(missing, self._hashed(missing), strict=True):
            hashes[path] = digest
            if state is not None and now - int(state.rpartition(":")[2]) > SETTLED:
                current[state] = digest
        if missing and self._memory is not None:
            self._memory.remember({"hashes": current, "checksum": content_key(current)})
        return hashes

    def _stored(self) -> dict[str, str]:
        found = (self._memory.recall() or {}) if self._memory is not None else {}
        hashes = found.get("hashes")
        valid = (
            isinstance(hashes, dict)
            and all(isinstance(one, str) and SHA256.fullmatch(one) for one in hashes.values())
            and found.get("checksum") == content_key(hashes)
        )
        return hashes if valid and isinstance(hashes, dict) else {}

    @staticmethod
    def _hashed(paths: list[Path]) -> list[tuple[str, str | None]]:
        with ThreadPoolExecutor(READERS, "hashes") as threads:
            done = threads.map(_hash, paths)
            if len(paths) < SHOWN_FROM:
                return list(done)
            found = []
            with Progress("hash files", len(paths), unit="files") as progress:
                for one in done:
                    found.append(one)
                    progress.advance(1)
            return found


def _state(path: Path) -> str | None:
    """Return the state of a regular file (see `file_state`), or None if the path is not a regular file."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # a path with a null character raises ValueError
        return None
    return file_state(status) if S_ISREG(status.st_mode) else None


def _hash(path: Path) -> tuple[str, str | None]:
    """Read a file and return its SHA-256 and its state (see `file_state`).

    If the file changed while it was read, the state is None, so that the hash is not stored. If the file cannot be
    read, the hash is `none` and the state is None.
    """
    try:
        with path.open("rb") as file:
            before = file_state(os.fstat(file.fileno()))
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            unchanged = file_state(os.fstat(file.fileno())) == before
    except OSError:
        return NO_FILE, None
    return digest, before if unchanged else None
