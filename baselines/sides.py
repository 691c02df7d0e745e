"""Sides of images as the official programs want them: mirrored up to a multiple, or refused."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.errors import BadInputError

__all__ = ["check_sides", "mirrored"]


def mirrored(x: Tensor, multiple: int) -> Tensor:
    """Lengthen images B×C×H×W at the bottom and on the right, their last line repeated first, to sides of a multiple.

    As `numpy.pad(mode="symmetric")` does in advimman/lama (786f593: saicinpainting/evaluation/data.py).
    """
    rows, columns = (_mirrored_indices(side, multiple).to(x.device) for side in x.shape[2:])
    return x[:, :, rows][:, :, :, columns]


def _mirrored_indices(side: int, multiple: int) -> Tensor:
    place = torch.arange(-(-side // multiple) * multiple) % (2 * side)
    return torch.where(place < side, place, 2 * side - 1 - place)


def check_sides(image: Tensor, multiple: int, method: str) -> None:
    """Refuse images B×C×H×W that a method has no whole cells for.

    Raises:
        BadInputError: a side is no multiple.
    """
    height, width = image.shape[2:]
    if height % multiple or width % multiple:
        raise BadInputError(
            f"{method}: expected images with sides that are multiples of {multiple}, found {width}×{height}"
        )
