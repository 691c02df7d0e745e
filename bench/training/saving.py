"""Checkpoints of a training: whole or absent, and taken up by the same training alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bench.errors import BadInputError
from bench.whole import whole_file

__all__ = ["read_checkpoint", "save_checkpoint"]


def save_checkpoint(path: Path, state: Mapping[str, Any], *, settings: str) -> None:
    """Write a state to disk; on a full one, the file that was there stays.

    Args:
        path: of the file; its folder is made.
        state: tensors and plain values.
        settings: what must agree for it to be taken up, such as the hash of the recipe.

    Raises:
        OSError: the disk is full or read-only; it names the path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial, partial.open("wb") as file:
        torch.save({"settings": settings, **state}, file)  # by name, it would not say why it failed
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(path: Path, *, settings: str) -> dict[str, Any]:
    """The state as it was saved, on the CPU.

    Raises:
        BadInputError: the file is damaged, or was made with other settings.
    """
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        found = state["settings"]
    except Exception as error:  # a broken pickle may end in any of them
        raise BadInputError(
            f"{path}: expected a whole checkpoint, found a damaged one ({type(error).__name__}); once it is removed, "
            "the training goes on from the one before, or from the start"
        ) from None
    if found != settings:
        raise BadInputError(f"{path}: a checkpoint made with other settings; remove it or choose another folder")
    return state
