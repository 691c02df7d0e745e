"""Storage of arrays in files, so that nothing is computed twice.

The name of a file is `KEY-CHECKSUM.safetensors`. `KEY` is the SHA-256 of the settings that determine the arrays.
`CHECKSUM` is the beginning of the SHA-256 of the file's bytes. If a file is damaged, its bytes no longer have the
checksum in its name. A file is written under a temporary name and then renamed, so that it appears completely or not at
all.
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
"""Function that takes the arrays of a file, and returns True if their names, types and shapes are as expected."""
T = TypeVar("T", bound=Hashable)
P = TypeVar("P", bound=Hashable)
log = logging.getLogger(__name__)

CHECKSUM_DIGITS = 16
SUFFIX, PARTIAL, LEASE = ".safetensors", ".partial", ".lease"
SUMS = "SHA256SUMS"
"""Name of a file that lists the SHA-256 of each other file in its folder, in the format of `sha256sum`.

It is used for content that is a folder, such as prepared items.
"""
WRITERS = 8
"""Largest number of files that are written at the same time."""
ATTEMPTS = 3
"""Number of attempts to find and read a file, because another process may replace it between the two steps."""


def content_key(settings: Mapping[str, Any]) -> str:
    """Return the key of settings: the SHA-256 of the settings as canonical JSON, with 64 hexadecimal digits.

    The order in which `settings` lists its keys does not change the result. Different settings have different results.

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
    """Concatenate the arrays of several dictionaries along the first axis, separately for each name.

    Args:
        parts: dictionaries of arrays. All dictionaries have the same names.

    Returns:
        One array for each name, sorted by name.
    """
    return {name: np.concatenate([arrays[name] for arrays in parts]) for name in sorted(parts[0])}


@dataclass(frozen=True)
class Turn(Generic[T, P]):
    """A block that `Store.turns` yields to this process. Until the next block is requested, the process may work on it.

    The store saves each part of the block, such as the scores of one row, under a separate key.
    """

    block: T
    found: dict[P, Arrays]
    """Arrays of the parts that the store already has."""
    missing: list[P]
    """Parts that the store does not have yet. This process must compute and save them."""


@dataclass(frozen=True)
class Store:
    """The arrays that are saved below one folder. A kind, such as `latents`, and a key identify each saved file."""

    root: Path
    uses: Uses = field(default_factory=Uses, compare=False)
    """Note of the content that the run uses, so that cleaning the store does not remove it."""
    fresh: bool = False
    """True if a run must compute its latents and scores again although the store has them."""

    def get(self, kind: str, key: str, fits: Check = _accept_any) -> Arrays | None:
        """Return the arrays that are saved under a key, or None if no undamaged file has this key.

        A damaged file is renamed by `put_aside`, with a warning.

        Args:
            kind: kind of the arrays, one of `bench.store.layout.FILES`.
            key: hash of the settings that determine the arrays; see `content_key`.
            fits: function that returns True if the names, types and shapes of the arrays are right. If it returns
                False, the file is treated as damaged.

        Raises:
            BadInputError: this process has no permission to read the file.
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
        """Remove the files that are saved under the given keys. Keys without files are skipped.

        Raises:
            BadInputError: the store is not writable.
        """
        with writing(self.root / kind):
            for key in keys:
                for path in self._folder(kind, key).glob(f"{key}-*{SUFFIX}"):
                    removed(path)

    def put(self, kind: str, key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Save arrays under a key. They replace the arrays that were saved under this key before.

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
        """Save the arrays of several keys at the same time, because writing a small file consists mostly of waiting.

        If one file cannot be written, the method still tries to write all other files before it raises the error.

        Args:
            kind: `latents` or `scores`.
            arrays: for each key, the arrays to save under it, by name.

        Raises:
            BadInputError: the store is not writable.
            OSError: the disk is full.
        """
        with ThreadPoolExecutor(WRITERS, "store") as threads:
            for done in [threads.submit(self.put, kind, key, values) for key, values in arrays.items()]:
                done.result()

    def turns(
        self, kind: str, blocks: Mapping[T, Mapping[P, str]], fits: Callable[[T, P, Arrays], bool] = _accept_any_part
    ) -> Generator[Turn[T, P], None, None]:
        """Yield every block once, so that several processes that ask for the same blocks share the work.

        If the store has all parts of a block, the block is yielded with its arrays. If parts are missing, this process
        holds the block's lease while the caller computes and saves them. A block on which another process works is
        yielded at the end. By then, the other process has completed the block, or it has died and this process takes
        over the block. If no part of any block is missing, nothing is written.

        Args:
            kind: `latents` or `scores`.
            blocks: for each block, the key of each part of the block. The first key of a block names the block's lease,
                so all runs that share a block must have the same first key for this block.
            fits: function that takes a block, a part and the part's arrays, and returns True if the arrays are right;
                see `get`.

        Raises:
            BadInputError: a part is missing, and the store is not writable.
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
                lacking = _described(kind, found, missing)
                with self._held(kind, next(iter(keys.values())), wait=last, lacking=lacking) as held:
                    if held:
                        yield Turn(block, *self._found(kind, keys, fit))
                    else:
                        busy.append(block)
            if busy:
                log.info(
                    "%s: waiting for other processes, which are computing %d of %d blocks", kind, len(busy), len(blocks)
                )
            waiting = busy

    def _found(
        self, kind: str, keys: Mapping[P, str], fits: Callable[[P, Arrays], bool]
    ) -> tuple[dict[P, Arrays], list[P]]:
        found = {part: self.get(kind, key, partial(fits, part)) for part, key in keys.items()}
        there = {part: arrays for part, arrays in found.items() if arrays is not None}
        return there, [part for part in keys if part not in there]

    @contextmanager
    def _held(self, kind: str, key: str, *, wait: bool, lacking: str) -> Iterator[bool]:
        with ExitStack() as stack:
            with writing(self.root / kind, lacking):
                made_folder(self.root, self._folder(kind, key))
                held = stack.enter_context(lease(self._folder(kind, key) / f".{key}{LEASE}", wait=wait))
            yield held

    def _folder(self, kind: str, key: str) -> Path:
        return self.root / kind / key[:2]


def _described(kind: str, found: Mapping[P, Arrays], missing: Sequence[P]) -> str:
    """Return a text that describes the missing parts of a block, for an error message.

    If the store has some parts of the block, and every part is identified by a text, the result names the kind and the
    missing parts. Otherwise, the result is only the kind.

    Args:
        kind: `latents` or `scores`.
        found: arrays of the parts that the store has, by part.
        missing: parts that the store does not have.
    """
    if not found or not all(isinstance(part, str) for part in (*found, *missing)):
        return kind
    return (
        f"{kind} of the kinds {', '.join(map(str, missing))} (an earlier version of this program did not save them in "
        "separate files)"
    )


def _read(path: Path) -> Arrays | None:
    """Return the arrays of a file by their names, or None if the file is damaged.

    Raises:
        FileNotFoundError: the file does not exist.
        BadInputError: this process has no permission to read the file.
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
            raise BadInputError(
                f"{path}: expected permission to read this file of the store, found an error: {error}"
            ) from None
        if error.errno in (errno.EIO, errno.ELOOP, errno.EISDIR):
            return None
        raise


def is_whole(path: Path, data: bytes) -> bool:
    """Return True if the bytes of a file have the checksum that is in the file's name.

    Args:
        path: path of the file.
        data: bytes of the file.
    """
    return path.stem.endswith(f"-{_checksum(data)}")


@contextmanager
def writing(folder: Path, lacking: str = "") -> Iterator[None]:
    """Raise an error with a clear message if the `with` block fails because the store is not writable.

    Args:
        folder: folder of the store in which the `with` block writes.
        lacking: description of the content that the store lacks, for the message. If it is empty, the message contains
            the name of `folder`, such as `latents`, instead.

    Raises:
        BadInputError: the store is not writable.
        OSError: the block raised another error of the file system. The error names a file, or `folder` if the file is
            not known.
    """
    try:
        yield
    except OSError as error:
        if error.errno in READ_ONLY:
            raise BadInputError(
                f"paths.store: expected a folder that can be written, because {lacking or folder.name} must be saved "
                f"in it; found an error: {error}"
            ) from None
        error.filename = error.filename or str(folder)
        raise


def put_folder(whole: Path, target: Path) -> None:
    """Rename a complete folder to its final path.

    If another process has finished the same work first, the final path is already a folder with content. The function
    then deletes the folder with the temporary name.

    Args:
        whole: path of the complete folder, with a temporary name.
        target: final path of the folder.

    Raises:
        OSError: the folder cannot be renamed for another reason.
    """
    try:
        os.replace(whole, target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(whole)


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:CHECKSUM_DIGITS]
