"""Padding of images until their sides are multiples of a number, and a check that images have such sides."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.errors import BadInputError

__all__ = ["check_sides", "mirrored"]


def mirrored(x: Tensor, multiple: int) -> Tensor:
    """Pad images B×C×H×W at the bottom and right by mirroring, so that the sides are multiples of `multiple`.

    The padding begins with a copy of the last row or column, as with `numpy.pad(mode="symmetric")`. The same padding
    is used in advimman/lama (786f593: saicinpainting/evaluation/data.py).
    """
    rows, columns = (_mirrored_indices(side, multiple).to(x.device) for side in x.shape[2:])
    return x[:, :, rows][:, :, :, columns]


def _mirrored_indices(side: int, multiple: int) -> Tensor:
    place = torch.arange(-(-side // multiple) * multiple) % (2 * side)
    return torch.where(place < side, place, 2 * side - 1 - place)


def check_sides(image: Tensor, multiple: int, method: str) -> None:
    """Refuse images B×C×H×W whose sides are not multiples of `multiple`.

    Raises:
        BadInputError: the height or the width is not a multiple of `multiple`.
    """
    height, width = image.shape[2:]
    if height % multiple or width % multiple:
        raise BadInputError(
            f"{method}: expected images with sides that are multiples of {multiple}, found {width}×{height}"
        )
