"""Reads the tensors in a TorchScript archive and their names, without running the program in the archive.

The archive is a zip file (pytorch/pytorch: torch/csrc/jit/docs/serialization.md). The file `data.pkl` describes the
modules, the files `data/N` contain the values of tensors, and the folder `code/` contains the program as source text.
This module replaces every class of the program by a container of attributes, and ignores the folder `code/`.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import BadInputError

__all__ = ["read_program_tensors"]

STORAGE_TYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def read_program_tensors(path: Path) -> dict[str, Tensor]:
    """Return the parameters and buffers of a program's modules, on the CPU. The keys are names as in a state dict.

    Raises:
        BadInputError: the file is missing or broken, or it refers to a global that could run code.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: expected a TorchScript archive, found no file")
    found: dict[str, Tensor] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            (description,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            folder = description.removesuffix(".pkl")
            _collect(_Description(archive, folder).load(), "", found)
    except Exception as error:  # a broken archive can raise any error
        reason = str(error).split("\n")[0] or type(error).__name__
        raise BadInputError(
            f"{path}: expected a TorchScript archive that can be read, found an error: {reason}"
        ) from None
    return found


class _Part:
    """A container that replaces one module of the program. It holds only the attributes of this module."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.attributes = dict(state)


class _Description(pickle.Unpickler):
    """An unpickler for `data.pkl`. It accepts only the globals in `find_class`, and none of them can run code."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}.pkl")))
        self.archive = archive
        self.folder = folder
        self.storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return _Part
        if module == "torch" and name in STORAGE_TYPES:
            return STORAGE_TYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch.jit._pickle", "restore_type_tag"):
            return _untagged
        if module == "torch.jit._pickle" and name.startswith("build_") and name.endswith("list"):
            return list
        raise pickle.UnpicklingError(f"{module}.{name} is refused, because it could run code")

    def persistent_load(self, pid: Any) -> Tensor:
        _, kind, key, _, count = pid
        if key not in self.storages:
            values = bytearray(self.archive.read(f"{self.folder}/{key}"))
            whole = torch.frombuffer(values, dtype=kind) if values else torch.empty(0, dtype=kind)
            self.storages[key] = whole[:count]
        return self.storages[key]


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    return storage.as_strided(size, stride, offset)


def _untagged(value: Any, _: str) -> Any:
    return value


def _collect(part: Any, prefix: str, found: dict[str, Tensor]) -> None:
    for name, value in getattr(part, "attributes", {}).items():
        if isinstance(value, Tensor):
            found[f"{prefix}{name}"] = value
        elif isinstance(value, _Part):
            _collect(value, f"{prefix}{name}.", found)
