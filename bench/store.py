"""The store: arrays under the hash of everything that made them, so that no stage computes the same thing twice.

A file is named `KEY-CHECKSUM.safetensors`. The key is the SHA-256 of the settings behind the content; the checksum is
that of the bytes, so a damaged file is known by its own name. Files appear whole or not at all, by `os.replace`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.numpy import load, save

__all__ = ["Arrays", "Store", "content_key", "file_sha256", "joined"]

Arrays = dict[str, npt.NDArray[Any]]
log = logging.getLogger(__name__)

CHECKSUM_DIGITS = 16


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
class Store:
    """Arrays on disk, by kind (`latents`, `scores`, …) and key."""

    root: Path

    def get(self, kind: str, key: str) -> Arrays | None:
        """The arrays under a key, or None where there are none; a damaged file is put aside, with a warning."""
        for path in sorted(self._folder(kind, key).glob(f"{key}-*.safetensors")):
            data = path.read_bytes()
            if path.stem == f"{key}-{_checksum(data)}":
                try:
                    return load(data)
                except SafetensorError:  # whole, as the checksum says, but not ours
                    pass
            aside = path.with_suffix(".damaged")
            os.replace(path, aside)
            log.warning("store: %s is damaged; it is kept as %s and made again", path, aside.name)
        return None

    def put(self, kind: str, key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write arrays under a key; what was there under it is replaced."""
        folder = self._folder(kind, key)
        folder.mkdir(parents=True, exist_ok=True)
        data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        target = folder / f"{key}-{_checksum(data)}.safetensors"
        earlier = [path for path in folder.glob(f"{key}-*.safetensors") if path != target]
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{key[:8]}-", suffix=".partial")
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

    @contextmanager
    def lock(self, kind: str, key: str) -> Iterator[None]:
        """Hold a key, so that of several processes one makes its content and the others wait and find it.

        The operating system gives the lock up when its holder dies. Results do not rest on it: it saves work.
        """
        folder = self._folder(kind, key)
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{key}.lock"):
            yield

    def _folder(self, kind: str, key: str) -> Path:
        return self.root / kind / key[:2]


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:CHECKSUM_DIGITS]
