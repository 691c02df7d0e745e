"""The random crop of training pictures (buxiangzhiren/Asymmetric_VQGAN at 406c5cd, ldm/data/imagenet.py)."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["random_crop"]

Pixels = npt.NDArray[np.uint8]


def random_crop(picture: Pixels, generator: np.random.Generator, side: int, *, smallest: float = 0.5) -> Pixels:
    """Crop a random square of `smallest` to 1 times the shorter side, and scale it by area averaging.

    Args:
        picture: uint8 H×W×3.
        generator: random generator for the crop.
        side: side of the result in pixels.
        smallest: smallest side of the crop as a fraction of the shorter side.

    Returns:
        uint8 side×side×3.
    """
    height, width = picture.shape[:2]
    cut = int(min(height, width) * generator.uniform(smallest, 1.0))
    top = int(generator.integers(height - cut, endpoint=True))
    left = int(generator.integers(width - cut, endpoint=True))
    crop = np.ascontiguousarray(picture[top : top + cut, left : left + cut])
    return cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)
