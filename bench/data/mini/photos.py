"""Cuts pictures out of real photographs. Installed packages contain these photographs, so nothing is downloaded.

No photograph is in two splits.

matplotlib contains `grace_hopper`, and scikit-image contains all other photographs. Their documentation says this about
the photographs of the split `val`:

| name | shows | author or source | licence |
|---|---|---|---|
| cat | Chelsea, a cat | Stefan van der Walt | CC0 |
| stereo_motorcycle | a motorcycle in a garage | Nesic et al., Middlebury stereo benchmark of 2014 | not named |
| coins | Greek coins from Pompeii | Brooklyn Museum Collection | no known copyright restrictions |
| moon | the surface of the moon | not named | not named |
| cell | a cell in saline, by digital holography | Müller et al. 2018, doi 10.1364/OE.26.010729 | CC0 |
| clock | a wall clock, blurred by motion | Stefan van der Walt | public domain |
| page | a scanned page of print | not named | not named |
| microaneurysms | a detail of a retina | Budai et al. 2013, doi 10.1155/2013/154860 | CC0 |
| grace_hopper | a portrait of Grace Hopper | United States Navy | public domain |

Two photographs of `skimage.data` are in no split: `text` (handwriting) and `rocket` (a launch pad at night). A single
crop of one of them caused more than a twentieth of the variance of FID.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.cbook import get_sample_data
from PIL import Image

__all__ = ["PHOTOS", "crop_of", "photo_crop"]

Pixels = npt.NDArray[np.uint8]

PHOTOS = {
    "train": ("astronaut", "coffee", "hubble_deep_field", "immunohistochemistry", "brick", "camera", "gravel"),
    "dev": ("retina", "grass"),
    "val": (
        "cat",
        "stereo_motorcycle",
        "coins",
        "moon",
        "cell",
        "clock",
        "page",
        "microaneurysms",
        "grace_hopper",
    ),
}
"""Names of the photographs in each split. A name is a function of `skimage.data`, or matplotlib's `grace_hopper`."""

SHORT, LONG = 128, 171
"""Height and width of a crop in pixels. Most ImageNet pictures have the same ratio of sides, 4:3."""


@functools.cache
def _photo(name: str) -> Pixels:
    if name == "grace_hopper":
        with Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)) as portrait:
            return np.asarray(portrait.convert("RGB"))
    import skimage.data  # imported here, because only the drawing of the mini data sets needs it

    loaded = getattr(skimage.data, name)()
    picture: Pixels = loaded[0] if isinstance(loaded, tuple) else loaded
    return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB).astype(np.uint8) if picture.ndim == 2 else picture


def photo_crop(name: str, generator: np.random.Generator) -> Pixels:
    """Cut a random 4:3 rectangle from a photograph of `PHOTOS` as `crop_of` does; `name` is its name."""
    return crop_of(_photo(name), generator)


def crop_of(picture: Pixels, generator: np.random.Generator) -> Pixels:
    """Cut a random 4:3 rectangle from a photograph, and return it scaled, as uint8 RGB of shape (128, 171, 3).

    Args:
        picture: photograph, uint8 RGB of shape (H, W, 3).
        generator: random generator for the size and the position of the rectangle.
    """
    fit = min(picture.shape[0] / SHORT, picture.shape[1] / LONG)
    scale = float(generator.uniform(min(1.0, fit), fit))
    height, width = int(SHORT * scale), int(LONG * scale)
    top = int(generator.integers(picture.shape[0] - height, endpoint=True))
    left = int(generator.integers(picture.shape[1] - width, endpoint=True))
    crop = np.ascontiguousarray(picture[top : top + height, left : left + width])
    return cv2.resize(crop, (LONG, SHORT), interpolation=cv2.INTER_AREA).astype(np.uint8)
