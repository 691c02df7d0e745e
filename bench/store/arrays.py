"""The store: arrays under the hash of everything that made them, so that no stage computes the same thing twice.

A file is named `KEY-CHECKSUM.safetensors`. The key is the SHA-256 of the settings behind the content; the checksum is
that of the bytes, so a damaged file is known by its own name. Files appear whole or not at all, by `os.replace`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Generator, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from bench.errors import READ_ONLY, BadInputError
from bench.store.leases import lease
from bench.store.uses import Uses

__all__ = [
    "DAMAGED",
    "LEASE",
    "PARTIAL",
    "SUFFIX",
    "SUMS",
    "Arrays",
    "Store",
    "Turn",
    "content_key",
    "file_sha256",
    "is_whole",
    "joined",
    "put_aside",
    "put_folder",
    "writing",
]

Arrays = dict[str, npt.NDArray[Any]]
T = TypeVar("T", bound=Hashable)
P = TypeVar("P", bound=Hashable)
log = logging.getLogger(__name__)

CHECKSUM_DIGITS = 16
SUFFIX, PARTIAL, DAMAGED, LEASE = ".safetensors", ".partial", ".damaged", ".lease"
SUMS = "SHA256SUMS"
"""In a folder of the store: the SHA-256 of its files, as `sha256sum` writes them."""
WRITERS = 8
"""Files that are written at once."""
LOOKS = 3
"""At a file that another process has just replaced."""


def content_key(settings: Mapping[str, Any]) -> str:
    """SHA-256 of settings as canonical JSON: the order of keys does not matter, every value does.

    Raises:
        TypeError: a value that JSON does not know, such as an object or a path.
        ValueError: a number that is not finite.
    """
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def joined(parts: Sequence[Arrays]) -> Arrays:
    """Arrays of the same names end to end, in the order of names."""
    return {name: np.concatenate([arrays[name] for arrays in parts]) for name in sorted(parts[0])}


@dataclass(frozen=True)
class Turn(Generic[T, P]):
    """What is to be done of a block of content, which this process may work on until it asks for the next."""

    block: T
    found: dict[P, Arrays]
    """By part, what is there."""
    missing: list[P]
    """Parts that are not, to be made."""


@dataclass(frozen=True)
class Store:
    """Arrays on disk, by kind (`latents`, `scores`, …) and key."""

    root: Path
    uses: Uses = field(default_factory=Uses, compare=False)
    """Notes which run uses what."""

    def get(self, kind: str, key: str) -> Arrays | None:
        """The arrays under a key, or None where there are none; a damaged file is put aside, with a warning."""
        for _ in range(LOOKS):
            vanished = False
            for path in sorted(self._folder(kind, key).glob(f"{key}-*{SUFFIX}")):
                try:
                    arrays = _read(path)
                except FileNotFoundError:
                    vanished = True
                    continue
                if arrays is not None:
                    return arrays
                put_aside(path)
            if not vanished:
                break
        return None

    def put(self, kind: str, key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write arrays under a key; what was there under it is replaced.

        Raises:
            BadInputError: the store cannot be written.
            OSError: the disk is full.
        """
        made_by = {"experiment": self.uses.experiment} if self.uses.experiment else None
        data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata=made_by)
        folder = self._folder(kind, key)
        target = folder / f"{key}-{_checksum(data)}{SUFFIX}"
        with writing(self.root / kind):
            folder.mkdir(parents=True, exist_ok=True)
            earlier = [path for path in folder.glob(f"{key}-*{SUFFIX}") if path != target]
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{key[:8]}-", suffix=PARTIAL)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, target)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            for path in earlier:
                path.unlink(missing_ok=True)

    def put_all(self, kind: str, arrays: Mapping[str, Mapping[str, npt.NDArray[Any]]]) -> None:
        """The same for several keys at once: most of a small file's time is the disk's.

        Raises:
            BadInputError, OSError: as `put`; what could be written is there.
        """
        with ThreadPoolExecutor(WRITERS, "store") as threads:
            for done in [threads.submit(self.put, kind, key, values) for key, values in arrays.items()]:
                done.result()

    def turns(self, kind: str, blocks: Mapping[T, Mapping[P, str]]) -> Generator[Turn[T, P], None, None]:
        """Every block once: with all its parts where they are in the store, else held while the caller makes the rest.

        A block that another process works on comes last: by then it is there, or its maker is dead and it is this
        one's. So several processes with the same blocks share them. A store in which all is there is only read.

        Args:
            kind: of the content.
            blocks: the keys of their parts; of several runs that share a block the first key is the same.

        Raises:
            BadInputError: something is missing, and the store cannot be written.
        """
        waiting = list(blocks)
        for last in (False, True):
            busy = []
            for block in waiting:
                keys = blocks[block]
                found, missing = self._found(kind, keys)
                if not missing:
                    yield Turn(block, found, missing)
                    continue
                with self._held(kind, next(iter(keys.values())), wait=last) as held:
                    if held:
                        yield Turn(block, *self._found(kind, keys))
                    else:
                        busy.append(block)
            if busy:
                log.info("%s: %d of %d blocks are another process's; waiting", kind, len(busy), len(blocks))
            waiting = busy

    def _found(self, kind: str, keys: Mapping[P, str]) -> tuple[dict[P, Arrays], list[P]]:
        there = {part: arrays for part, key in keys.items() if (arrays := self.get(kind, key)) is not None}
        return there, [part for part in keys if part not in there]

    @contextmanager
    def _held(self, kind: str, key: str, *, wait: bool) -> Iterator[bool]:
        with ExitStack() as stack:
            with writing(self.root / kind):
                held = stack.enter_context(lease(self._folder(kind, key) / f".{key}{LEASE}", wait=wait))
            yield held

    def _folder(self, kind: str, key: str) -> Path:
        return self.root / kind / key[:2]


def _read(path: Path) -> Arrays | None:
    """What a file holds, or None where it is damaged."""
    try:
        data = path.read_bytes()
        return load(data) if is_whole(path, data) else None
    except SafetensorError:  # whole, as the checksum says, but not ours
        return None
    except OSError as error:
        if error.errno == errno.EIO:
            return None
        raise


def is_whole(path: Path, data: bytes) -> bool:
    """Whether bytes are those that a file's name says."""
    return path.stem.endswith(f"-{_checksum(data)}")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Within it, a folder of the store that cannot be written is named as the user names it."""
    try:
        yield
    except OSError as error:
        if error.errno in READ_ONLY:
            raise BadInputError(
                f"paths.store: expected a folder that can be written, as {folder.name} are missing in it, found {error}"
            ) from None
        error.filename = error.filename or str(folder)
        raise


def put_folder(partial: Path, target: Path) -> None:
    """Rename a folder that is whole, unless another process was faster: then the same is there already."""
    try:
        os.replace(partial, target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(partial)


def put_aside(path: Path) -> None:
    """Rename a damaged file or folder, so that its content is made again, and say so."""
    aside = path.with_suffix(DAMAGED)
    try:
        if aside.is_dir():
            shutil.rmtree(aside)
        os.replace(path, aside)
    except FileNotFoundError:  # another process has put it aside
        return
    except OSError as error:
        log.warning("store: %s is damaged, and cannot be put aside: %s", path, error)
    else:
        log.warning("store: %s is damaged; it is kept as %s and made again", path, aside.name)


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:CHECKSUM_DIGITS]
