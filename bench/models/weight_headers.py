"""Checks that read only the header of a weight file: the names and shapes of the tensors, but none of their values.

A header shows whether a file is empty or cut off, and whether it has the right format and belongs to the right network.
Damaged values in a file of the right length are found only when the file is loaded.
"""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bench.errors import BadInputError
from bench.models.tensor_files import PICKLED, read_tensors

__all__ = ["damage", "read_header"]

SAFETENSORS = ".safetensors"
CONTENT = "data.pkl"
"""Name of the file that lists the tensors in a zip archive of `torch.save`."""
OLD_BEGINNING = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""Bytes with which a file of `torch.save` begins if it was written before PyTorch 1.6: a pickled magic number."""


def damage(file: Path) -> str | None:
    """Return a description of the damage that the header of a weight file shows.

    Args:
        file: path of a file that exists.

    Returns:
        The description; None if the header is right, or if the ending of the name belongs to no known format.
    """
    if file.suffix != SAFETENSORS and file.suffix not in PICKLED:
        return None
    try:
        if not file.stat().st_size:
            return "an empty file, where weights are expected"
        return _damaged_safetensors(file) if file.suffix == SAFETENSORS else _damaged_pickle(file)
    except OSError as error:
        return f"a file that cannot be read ({error.strerror or error})"


def _damaged_safetensors(file: Path) -> str | None:
    try:
        with safe_open(file, "pt") as opened:
            found = bool(opened.keys())
    except SafetensorError as error:
        return f"a damaged safetensors file, or another kind of file ({error})"
    return None if found else "a safetensors file without any tensor"


def _damaged_pickle(file: Path) -> str | None:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
        if any(name == CONTENT or name.endswith(f"/{CONTENT}") for name in names):
            return None
        return f"a zip archive that torch.save did not write: it has no {CONTENT}"
    with file.open("rb") as opened:
        begins = opened.read(len(OLD_BEGINNING))
    if begins == OLD_BEGINNING or tarfile.is_tarfile(file):
        return None
    if begins.startswith(b"PK"):
        return "a file of torch.save whose end is missing, as after a broken download"
    return "a file that torch.save did not write"


def read_header(file: Path) -> dict[str, Tensor]:
    """Read the names and shapes of the tensors of a weight file, without their values.

    Args:
        file: path of a file that `bench.models.tensor_files.read_tensors` reads. The values of a safetensors file, and
            of a file that `torch.save` wrote with PyTorch 1.6 or later, are not read. A file of an older version is
            read as a whole.

    Returns:
        A dictionary from each name in the file to a tensor with the stored shape. For a safetensors file, the tensors
        are on the meta device and have the type float32. For a file of `torch.save`, `read_tensors` creates the
        tensors.

    Raises:
        BadInputError: the file is missing, is broken or has another format.
    """
    if file.suffix != SAFETENSORS or not file.is_file():
        return read_tensors(file)
    try:
        with safe_open(file, "pt") as opened:
            shapes = {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise BadInputError(
            f"{file}: expected a safetensors file, found a damaged or unreadable file ({error})"
        ) from None
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
