"""Pictures of photographic character for the miniature data sets: crops of photographs, and drawn textures in `val`.

The splits `train` and `dev` cut any number of crops from each photograph. A test set cuts one, so that no photograph
decides its numbers: its pictures are a crop and a drawn texture in turn, and textures alone after the last photograph.
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
    """Make a picture of the split `val`; no two of a data set have the same source.

    Args:
        number: counts the data set's pictures of photographic character from 0 on.
        data_set: is part of the name of a drawn picture's source.
        generator: of the crop's place and size, or of everything that is drawn.
    """
    photos = PHOTOS["val"]
    place, is_drawn = divmod(number, 2) if number < 2 * len(photos) else (number - len(photos), True)
    if not is_drawn:
        return photograph(photos[place], generator)
    kind = KINDS[place % len(KINDS)]
    facts = {"source": f"texture {data_set} val {kind} {place}", "caption": f"a photograph of {kind}"}
    return draw_texture(kind, generator, width=LONG), facts
