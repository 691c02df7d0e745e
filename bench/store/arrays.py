"""Stores arrays in files that are named by the hash of the settings behind them, so that nothing is computed twice.

The name of a file is `KEY-CHECKSUM.safetensors`. The key is the SHA-256 of the settings behind the content. The
checksum is that of the bytes, so a damaged file is recognised by its name. Files appear completely or not at all, by
`os.replace`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from bench.errors import READ_ONLY, BadInputError
from bench.store.leases import lease
from bench.store.putting_aside import made_folder, put_aside, removed
from bench.store.references import Uses

__all__ = [
    "SUMS",
    "Arrays",
    "Store",
    "Turn",
    "content_key",
    "file_sha256",
    "is_whole",
    "joined",
    "put_folder",
    "writing",
]

Arrays = dict[str, npt.NDArray[Any]]
Check = Callable[[Arrays], bool]
"""Function that returns True if arrays are valid."""
T = TypeVar("T", bound=Hashable)
P = TypeVar("P", bound=Hashable)
log = logging.getLogger(__name__)

CHECKSUM_DIGITS = 16
SUFFIX, PARTIAL, LEASE = ".safetensors", ".partial", ".lease"
SUMS = "SHA256SUMS"
"""Name of the file with the SHA-256 of all files in a folder of the store, in the format of `sha256sum`."""
WRITERS = 8
"""Number of files that are written at once."""
ATTEMPTS = 3
"""Number of attempts to read a file that another process has just replaced."""


def content_key(settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 of settings as canonical JSON: the order of keys does not matter, every value does.

    Raises:
        TypeError: a value is not a JSON type, for example an object or a path.
        ValueError: a number is not finite.
    """
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _accept_any(arrays: Arrays) -> bool:
    return True


def _accept_any_part(block: object, part: object, arrays: Arrays) -> bool:
    return True


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def joined(parts: Sequence[Arrays]) -> Arrays:
    """Concatenate arrays of equal names along the first axis; the result is in the order of names."""
    return {name: np.concatenate([arrays[name] for arrays in parts]) for name in sorted(parts[0])}


@dataclass(frozen=True)
class Turn(Generic[T, P]):
    """A block of content that this process may work on until it asks for the next one."""

    block: T
    found: dict[P, Arrays]
    """Stored arrays of each part that exists."""
    missing: list[P]
    """Parts that do not exist yet and must be computed."""


@dataclass(frozen=True)
class Store:
    """The arrays on disk, by kind (`latents`, `scores`, …) and key."""

    root: Path
    uses: Uses = field(default_factory=Uses, compare=False)
    """Record of the content that the run uses."""
    fresh: bool = False
    """True if a run must compute its latents and scores again."""

    def get(self, kind: str, key: str, fits: Check = _accept_any) -> Arrays | None:
        """Return the arrays under a key, or None if there are none; put a damaged file aside with a warning.

        Args:
            kind: kind of the content.
            key: key of its settings.
            fits: checks the names, types and shapes of the arrays; arrays that do not fit are treated as damaged.

        Raises:
            BadInputError: the process may not read a file.
        """
        for _ in range(ATTEMPTS):
            vanished = False
            for path in sorted(self._folder(kind, key).glob(f"{key}-*{SUFFIX}")):
                try:
                    arrays = _read(path)
                except FileNotFoundError:
                    vanished = True
                    continue
                if arrays is not None and fits(arrays):
                    return arrays
                put_aside(path)
            if not vanished:
                break
        return None

    def forget(self, kind: str, keys: Iterable[str]) -> None:
        """Remove the content under some keys.

        Raises:
            BadInputError: the store is not writable.
        """
        with writing(self.root / kind):
            for key in keys:
                for path in self._folder(kind, key).glob(f"{key}-*{SUFFIX}"):
                    removed(path)

    def put(self, kind: str, key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write arrays under a key and replace the previous content.

        Raises:
            BadInputError: the store is not writable.
            OSError: the disk is full.
        """
        made_by = {"experiment": self.uses.experiment} if self.uses.experiment else None
        data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata=made_by)
        folder = self._folder(kind, key)
        target = folder / f"{key}-{_checksum(data)}{SUFFIX}"
        with writing(self.root / kind):
            made_folder(self.root, folder)
            earlier = [path for path in folder.glob(f"{key}-*{SUFFIX}") if path != target]
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{key[:8]}-", suffix=PARTIAL)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                if target.is_dir():
                    put_aside(target)
                os.replace(temporary, target)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            for path in earlier:
                removed(path)

    def put_all(self, kind: str, arrays: Mapping[str, Mapping[str, npt.NDArray[Any]]]) -> None:
        """Save the arrays of several keys in parallel, because writing small files is mostly waiting for the disk.

        Raises:
            BadInputError, OSError: see `put`; the other arrays are still written.
        """
        with ThreadPoolExecutor(WRITERS, "store") as threads:
            for done in [threads.submit(self.put, kind, key, values) for key, values in arrays.items()]:
                done.result()

    def turns(
        self, kind: str, blocks: Mapping[T, Mapping[P, str]], fits: Callable[[T, P, Arrays], bool] = _accept_any_part
    ) -> Generator[Turn[T, P], None, None]:
        """Yield every block once: either complete from the store, or leased to the caller, who computes the missing
        parts.

        Blocks that another process works on come last: by then they are complete, or their process has died and this
        one takes over. So several processes with the same blocks share the work. A complete store is only read.

        Args:
            kind: kind of the content.
            blocks: the keys of each block's parts; all runs that share a block have the same first key for it.
            fits: checks the arrays of one part of a block; see `get`.

        Raises:
            BadInputError: content is missing, and the store is not writable.
        """
        waiting = list(blocks)
        for last in (False, True):
            busy = []
            for block in waiting:
                keys, fit = blocks[block], partial(fits, block)
                found, missing = self._found(kind, keys, fit)
                if not missing:
                    yield Turn(block, found, missing)
                    continue
                with self._held(kind, next(iter(keys.values())), wait=last) as held:
                    if held:
                        yield Turn(block, *self._found(kind, keys, fit))
                    else:
                        busy.append(block)
            if busy:
                log.info("%s: %d of %d blocks belong to other processes; waiting", kind, len(busy), len(blocks))
            waiting = busy

    def _found(
        self, kind: str, keys: Mapping[P, str], fits: Callable[[P, Arrays], bool]
    ) -> tuple[dict[P, Arrays], list[P]]:
        found = {part: self.get(kind, key, partial(fits, part)) for part, key in keys.items()}
        there = {part: arrays for part, arrays in found.items() if arrays is not None}
        return there, [part for part in keys if part not in there]

    @contextmanager
    def _held(self, kind: str, key: str, *, wait: bool) -> Iterator[bool]:
        with ExitStack() as stack:
            with writing(self.root / kind):
                made_folder(self.root, self._folder(kind, key))
                held = stack.enter_context(lease(self._folder(kind, key) / f".{key}{LEASE}", wait=wait))
            yield held

    def _folder(self, kind: str, key: str) -> Path:
        return self.root / kind / key[:2]


def _read(path: Path) -> Arrays | None:
    """Return the arrays of a file, or None if it is damaged.

    Raises:
        FileNotFoundError: the file does not exist.
        BadInputError: the process may not read the file.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would block
            return None
        data = path.read_bytes()
        return load(data) if is_whole(path, data) else None
    except SafetensorError:  # the checksum is right, but the content is not safetensors
        return None
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise BadInputError(f"{path}: expected a file of the store that may be read, found {error}") from None
        if error.errno in (errno.EIO, errno.ELOOP, errno.EISDIR):
            return None
        raise


def is_whole(path: Path, data: bytes) -> bool:
    """Tell whether bytes have the checksum in their file's name."""
    return path.stem.endswith(f"-{_checksum(data)}")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raise a clear error if a folder of the store turns out not to be writable in the block."""
    try:
        yield
    except OSError as error:
        if error.errno in READ_ONLY:
            raise BadInputError(
                f"paths.store: expected a folder that can be written, as {folder.name} are missing in it, found {error}"
            ) from None
        error.filename = error.filename or str(folder)
        raise


def put_folder(whole: Path, target: Path) -> None:
    """Rename a complete folder to its target, or delete it if another process has created the same folder already."""
    try:
        os.replace(whole, target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(whole)


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:CHECKSUM_DIGITS]
