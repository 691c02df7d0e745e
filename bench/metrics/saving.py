"""Ways in which images become 8-bit files before others measure them, worked out in memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.metrics.known_region import to_uint8

__all__ = ["PREFIX", "WAYS", "jpeg", "saved"]

PREFIX = "saved_"
"""Stands before a way's name where that is the variant of a metric."""
QUALITY = 95


def saved(image: Tensor, way: str) -> Tensor:
    """Images as one who reads the file sees them: B×3×H×W uint8 of B×3×H×W in [0, 1].

    Raises:
        KeyError: the way is none of `WAYS`.
    """
    return WAYS[way](image)


def jpeg(image: Tensor, quality: int = QUALITY) -> Tensor:
    """The truncated images B×3×H×W, written as JPEG with colours at half the resolution and read again.

    Pillow works on the CPU; the result comes back to the images' device.
    """
    seen = []
    for pixels in to_uint8(image, rounding="truncate").permute(0, 2, 3, 1).cpu().numpy():
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        seen.append(np.asarray(Image.open(file)))
    return torch.from_numpy(np.stack(seen)).permute(0, 3, 1, 2).contiguous().to(image.device)


WAYS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "truncate": partial(to_uint8, rounding="truncate"),
    "round": partial(to_uint8, rounding="round"),
    "jpeg95": jpeg,
}
"""By name; lossless files keep what the first two leave. `bench.metrics.summary.VARIANTS` says them in words."""
