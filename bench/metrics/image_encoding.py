"""Functions that convert images to 8 bits before they are measured, as if the images had been saved and read again."""

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
"""Beginning of the name of a variant that uses an encoding, as in `saved_jpeg95`."""
QUALITY = 95


def saved(image: Tensor, way: str) -> Tensor:
    """Return the images B×3×H×W uint8 that a program would read from files in which the given images were saved.

    Args:
        image: images B×3×H×W float in [0, 1].
        way: name of the encoding, a key of `WAYS`.

    Raises:
        KeyError: `way` is not in `WAYS`.
    """
    return WAYS[way](image)


def jpeg(image: Tensor, quality: int = QUALITY) -> Tensor:
    """Truncate images to 8 bits, encode them as JPEG, and return the decoded images B×3×H×W uint8.

    JPEG saves the colours at half the resolution (4:2:0). Pillow works on the CPU. The result is on the device of the
    given images.

    Args:
        image: images B×3×H×W float in [0, 1].
        quality: JPEG quality of Pillow, up to 100.
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
"""For the name of each encoding, the function that applies it. `truncate` and `round` correspond to lossless files such
as PNG. `bench.metrics.names.VARIANTS` describes the encodings."""
