"""Checkpoints of a training, which are complete or absent, and which only a training with equal settings resumes."""

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
    """Write a state to disk; if the disk is full, the previous file stays.

    Args:
        path: path of the file; its folder is created.
        state: tensors and plain values.
        settings: text that must be equal to resume from the checkpoint, such as the hash of the recipe.

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
    """Return the saved state on the CPU.

    Raises:
        BadInputError: the file is damaged, or was saved with other settings.
    """
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        found = state["settings"]
    except Exception as error:  # a broken pickle can raise any error
        raise BadInputError(
            f"{path}: expected a whole checkpoint, found a damaged one ({type(error).__name__}); once it is removed, "
            "the training resumes from the previous one, or starts again"
        ) from None
    if found != settings:
        raise BadInputError(f"{path}: a checkpoint made with other settings; remove it or choose another folder")
    return state
