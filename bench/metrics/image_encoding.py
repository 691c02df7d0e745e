"""Encodings by which images become 8-bit files before they are measured, applied in memory."""

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
"""Prefix of an encoding's name in the variant of a metric."""
QUALITY = 95


def saved(image: Tensor, way: str) -> Tensor:
    """Return images B×3×H×W in [0, 1] as uint8 B×3×H×W, the way they are read back from a file.

    Args:
        image: images in [0, 1].
        way: a key of `WAYS`.

    Raises:
        KeyError: the way is not in `WAYS`.
    """
    return WAYS[way](image)


def jpeg(image: Tensor, quality: int = QUALITY) -> Tensor:
    """Return the truncated images B×3×H×W, written as JPEG with colours at half the resolution and read again.

    Pillow works on the CPU; the result is moved back to the images' device.
    """
    decoded = []
    for pixels in to_uint8(image, rounding="truncate").permute(0, 2, 3, 1).cpu().numpy():
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        decoded.append(np.asarray(Image.open(file)))
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).contiguous().to(image.device)


WAYS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "truncate": partial(to_uint8, rounding="truncate"),
    "round": partial(to_uint8, rounding="round"),
    "jpeg95": jpeg,
}
"""Encodings by name, described in `bench.metrics.names.VARIANTS`; the first two are those of lossless files."""
