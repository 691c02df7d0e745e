"""Checkpoints of a training: files that are always complete, and that only a training with equal settings can read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bench.errors import BadInputError
from bench.runtime.atomic import whole_file

__all__ = ["read_checkpoint", "save_checkpoint"]


def save_checkpoint(path: Path, state: Mapping[str, Any], *, settings: str) -> None:
    """Write the state of a training to a file. If the disk is full, an existing file at this path stays unchanged.

    Args:
        path: path of the file. Its folder is created if it does not exist.
        state: tensors and plain values to save.
        settings: text that identifies the training, such as the hash of its recipe. `read_checkpoint` requires an equal
            text.

    Raises:
        OSError: the disk is full or read-only; the error contains the path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial, partial.open("wb") as file:
        torch.save(
            {"settings": settings, **state}, file
        )  # given a path instead, torch.save would not report why it failed
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(path: Path, *, settings: str) -> dict[str, Any]:
    """Return the state that `save_checkpoint` saved, with its tensors on the CPU.

    Args:
        path: path of the file.
        settings: text that must equal the text with which the checkpoint was saved.

    Raises:
        BadInputError: the file is missing or damaged, or was saved with other settings.
    """
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        found = state["settings"]
    except Exception as error:  # a broken pickle can raise any error
        raise BadInputError(
            f"{path}: expected a complete checkpoint, found a damaged file ({type(error).__name__}); remove the file, "
            "and the training continues from the previous checkpoint or, if there is none, from the start"
        ) from None
    if found != settings:
        raise BadInputError(
            f"{path}: expected a checkpoint of a training with the same settings, found other settings; remove the "
            "file or choose another folder"
        )
    return state
