"""SHA-256 of files, stored between runs and reused while the file system reports no change.

A file is identified by device, inode, size, and the times of its last changes of content and of status. Programs cannot
set the last one, so a copied modification time does not hide a changed content.
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
"""Number of files that are read at once."""
SETTLED = 2_000_000_000
"""Nanoseconds after a file's last change from which its hash is stored; an earlier hash could hide a second change with
the same time.
"""
SHA256 = re.compile("[0-9a-f]{64}")
NO_FILE = "none"
"""Value in place of the hash of a path that is not a readable file; reading the picture reports the error."""
SHOWN_FROM = 1000
"""Number of new files from which a progress bar is shown."""


def file_state(status: os.stat_result) -> str:
    """Return a text that changes whenever a file may have changed."""
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


class FileHashes:
    """The hashes of many files."""

    def __init__(self, memory: Fact | None = None) -> None:
        """Set the place in the store for hashes between runs; without one, every file is hashed each time.

        Stored hashes carry a checksum, and damaged ones are ignored.
        """
        self._memory = memory
        self._states: dict[Path, str | None] = {}

    def changed(self) -> list[Path]:
        """Return the files that have changed since `of` hashed them."""
        return [path for path, state in self._states.items() if _state(path) != state]

    def of(self, paths: Iterable[Path]) -> dict[Path, str]:
        """Return the SHA-256 of each file; the value is `none` for a path that is not a readable file."""
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
    """Return the state of a regular file, or None for anything else, which is not opened."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # a path with a null character raises ValueError
        return None
    return file_state(status) if S_ISREG(status.st_mode) else None


def _hash(path: Path) -> tuple[str, str | None]:
    """Return a file's hash and state; the state is None if the file changed meanwhile, so that the hash is not
    stored.
    """
    try:
        with path.open("rb") as file:
            before = file_state(os.fstat(file.fileno()))
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            unchanged = file_state(os.fstat(file.fileno())) == before
    except OSError:
        return NO_FILE, None
    return digest, before if unchanged else None
