"""Functions that read weight files on this machine.

A file with tensors is read without running any code from it. A TorchScript file is a program. It is therefore loaded
only if it has a known hash.
"""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from bench.errors import BadInputError
from bench.store import file_sha256

__all__ = ["is_program", "load_program", "misfit", "read_tensors"]

SHOWN = 160
"""Largest number of characters of one line of a PyTorch message that is shown. A line can list hundreds of names, and
the rest is cut."""


def read_tensors(path: Path, what: str, sha256: str | None = None) -> dict[str, Tensor]:
    """Read a state dict from a file: a dictionary from the name of each tensor to the tensor, on the CPU.

    Args:
        path: path of a `.safetensors` file, or of a file that `torch.save` wrote. The latter must contain a state dict,
            or a dictionary with a state dict under the key `state_dict`.
        what: description of the expected file, for messages.
        sha256: SHA-256 that the file must have; None if it may have any.

    Raises:
        BadInputError: the file is missing or broken, it contains something that is not a named tensor, or its SHA-256
            is not `sha256`.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: expected {what}, found no file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns of unusual archives, which it then reads or refuses
            found = (
                load_file(path)
                if path.suffix == ".safetensors"
                else torch.load(path, map_location="cpu", weights_only=True)
            )
    except Exception as error:  # a broken file may raise any exception
        reason = (str(error) or type(error).__name__).strip().split("\n")[0][:SHOWN]
        raise BadInputError(f"{path}: expected {what}, found a broken or different file ({reason})") from None
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not (isinstance(found, dict) and all(isinstance(value, Tensor) for value in found.values())):
        raise BadInputError(f"{path}: expected {what}, found a file that does not contain only named tensors")
    if sha256 is not None and (hashed := file_sha256(path)) != sha256:
        raise BadInputError(f"{path}: expected {what} with SHA-256 {sha256}, found {hashed}")
    return found


def misfit(path: Path, what: str, error: RuntimeError) -> BadInputError:
    """Convert an error of `load_state_dict` into an error that names the file and some tensors that do not fit.

    Args:
        path: path of the weight file.
        what: description of the expected file, for the message.
        error: error that `load_state_dict` raised.
    """
    lines = [line.strip() for line in str(error).split("\n")[1:]]
    shown = "; ".join(line if len(line) <= SHOWN else f"{line[:SHOWN]}..." for line in lines[:3])
    return BadInputError(f"{path}: expected {what}, found other tensors: {shown}")


def is_program(path: Path) -> bool:
    """Return True if a file is a TorchScript archive, and False for any other file."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def load_program(path: Path, what: str, sha256: str) -> Any:
    """Load a TorchScript module onto the CPU, in evaluation mode.

    A TorchScript file is a program, which can run code when it is loaded. Therefore the file must have a known hash.

    Args:
        path: path of the file.
        what: description of the expected file, for messages.
        sha256: SHA-256 that the file must have.

    Raises:
        BadInputError: the file is missing, or its SHA-256 is not `sha256`.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: expected {what}, found no file")
    found = file_sha256(path)
    if found != sha256:
        raise BadInputError(
            f"{path}: expected {what} with SHA-256 {sha256}, found {found}; the harness runs no other program"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, but the published files use it
        return torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
