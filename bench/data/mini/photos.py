"""Crops of the real photographs that scikit-image ships in its wheel; no download, and no photograph in two splits."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import numpy.typing as npt
import skimage.data

__all__ = ["PHOTOS", "photo_crop"]

Pixels = npt.NDArray[np.uint8]

PHOTOS = {
    "train": ("astronaut", "coffee", "hubble_deep_field", "immunohistochemistry", "brick", "camera", "gravel"),
    "dev": ("retina", "grass"),
    "val": ("cat", "rocket", "stereo_motorcycle", "coins", "moon"),
}
"""Names of functions of `skimage.data`, for each split."""

SHORT, LONG = 128, 171
"""Sides of a crop in pixels: 4:3, as most of ImageNet's pictures are."""


@functools.cache
def _photo(name: str) -> Pixels:
    loaded = getattr(skimage.data, name)()
    picture: Pixels = loaded[0] if isinstance(loaded, tuple) else loaded
    return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB).astype(np.uint8) if picture.ndim == 2 else picture


def photo_crop(name: str, generator: np.random.Generator) -> Pixels:
    """A random upright 4:3 crop of one photograph, uint8 RGB of shape (128, 171, 3)."""
    picture = _photo(name)
    fit = min(picture.shape[0] / SHORT, picture.shape[1] / LONG)
    scale = float(generator.uniform(min(1.0, fit), fit))
    height, width = int(SHORT * scale), int(LONG * scale)
    top = int(generator.integers(picture.shape[0] - height, endpoint=True))
    left = int(generator.integers(picture.shape[1] - width, endpoint=True))
    crop = np.ascontiguousarray(picture[top : top + height, left : left + width])
    return cv2.resize(crop, (LONG, SHORT), interpolation=cv2.INTER_AREA).astype(np.uint8)
