"""Photographic pictures for the miniature data sets: crops of photographs, and drawn textures in `val`.

The splits `train` and `dev` contain many crops of each photograph. A test set contains one of each, so that no
photograph dominates its numbers: it alternates crops and drawn textures, and continues with textures alone after the
last photograph.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.data.mini.photos import LONG, PHOTOS, photo_crop
from bench.data.mini.textures import KINDS, draw_texture

__all__ = ["photograph", "photographic_test_picture"]

Noted = tuple[npt.NDArray[np.uint8], dict[str, str]]
"""A picture, uint8 RGB of shape (128, 171, 3), with its `source` and `caption` in a data set's notes."""


def photograph(name: str, generator: np.random.Generator) -> Noted:
    """Cut a random crop from the photograph of that name."""
    facts = {"source": f"photo {name}", "caption": f"a photograph of {name.replace('_', ' ')}"}
    return photo_crop(name, generator), facts


def photographic_test_picture(number: int, data_set: str, generator: np.random.Generator) -> Noted:
    """Make a picture of the split `val`; each one of a data set has a different source.

    Args:
        number: index of the picture among the data set's photographic pictures.
        data_set: name of the data set, which is part of the source of a drawn picture.
        generator: random generator for the crop, or for the drawn picture.
    """
    photos = PHOTOS["val"]
    place, is_drawn = divmod(number, 2) if number < 2 * len(photos) else (number - len(photos), True)
    if not is_drawn:
        return photograph(photos[place], generator)
    kind = KINDS[place % len(KINDS)]
    facts = {"source": f"texture {data_set} val {kind} {place}", "caption": f"a photograph of {kind}"}
    return draw_texture(kind, generator, width=LONG), facts
