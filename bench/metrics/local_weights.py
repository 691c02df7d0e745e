"""Weight files on this machine: tensors, out of which nothing is run, and the known TorchScript programs."""

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
"""Letters of each line of a message that PyTorch writes with hundreds of names."""


def read_tensors(path: Path, what: str) -> dict[str, Tensor]:
    """A state dict, on the CPU, as it is stored.

    Args:
        path: ends in `.safetensors`, or is a file of `torch.save`: a state dict or a dictionary with one as
            `state_dict`.
        what: the file that is expected, for messages.

    Raises:
        BadInputError: the file is missing or broken, or holds anything but tensors by name.
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
    except Exception as error:  # a broken file may end in any of them
        reason = (str(error) or type(error).__name__).strip().split("\n")[0][:SHOWN]
        raise BadInputError(f"{path}: expected {what}, found a broken file or another ({reason})") from None
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not (isinstance(found, dict) and all(isinstance(value, Tensor) for value in found.values())):
        raise BadInputError(f"{path}: expected {what}, found no tensors by name")
    return found


def misfit(path: Path, what: str, error: RuntimeError) -> BadInputError:
    """Says which tensors differ, from what `load_state_dict` raised."""
    lines = [line.strip() for line in str(error).split("\n")[1:]]
    shown = "; ".join(line if len(line) <= SHOWN else f"{line[:SHOWN]}..." for line in lines[:3])
    return BadInputError(f"{path}: expected {what}, found other tensors: {shown}")


def is_program(path: Path) -> bool:
    """Whether a file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def load_program(path: Path, what: str, sha256: str) -> Any:
    """A TorchScript module on the CPU, in evaluation mode.

    Such a file is a program, which runs as soon as it is loaded; so only the known one is.

    Raises:
        BadInputError: the file is missing, or its SHA-256 is another.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: expected {what}, found no file")
    found = file_sha256(path)
    if found != sha256:
        raise BadInputError(f"{path}: expected {what} with SHA-256 {sha256}, found {found}; no other program is run")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; the files are what they are
        return torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
