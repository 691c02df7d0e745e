"""The random crop of training pictures, as in the released code of the paper.

The released code is buxiangzhiren/Asymmetric_VQGAN at 406c5cd, ldm/data/imagenet.py.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["random_crop"]

Pixels = npt.NDArray[np.uint8]


def random_crop(picture: Pixels, generator: np.random.Generator, side: int, *, smallest: float = 0.5) -> Pixels:
    """Cut a random square from a picture, and scale it to a given size with OpenCV's filter `INTER_AREA`.

    If the square becomes smaller, the filter averages over areas. The side of the square is between `smallest` and 1
    times the shorter side of the picture.

    Args:
        picture: picture as uint8 of shape (H, W, 3).
        generator: random generator for the size and the position of the square.
        side: side of the result in pixels.
        smallest: smallest side of the square, as a fraction of the picture's shorter side.

    Returns:
        The scaled square as uint8 of shape (side, side, 3).
    """
    height, width = picture.shape[:2]
    cut = int(min(height, width) * generator.uniform(smallest, 1.0))
    top = int(generator.integers(height - cut, endpoint=True))
    left = int(generator.integers(width - cut, endpoint=True))
    crop = np.ascontiguousarray(picture[top : top + cut, left : left + cut])
    return cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)
