"""Makes photographic pictures for miniature data sets: crops of photographs and, in the split `val`, drawn textures.

The splits `train` and `dev` contain many crops of each photograph. In the split `val`, each data set contains only one
crop of each photograph, so that no photograph dominates the metrics. In this split, crops and drawn textures alternate
until each photograph has been used once. All further pictures are drawn textures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.data.mini.photos import LONG, PHOTOS, photo_crop
from bench.data.mini.textures import KINDS, draw_texture

__all__ = ["photograph", "photographic_test_picture"]

Noted = tuple[npt.NDArray[np.uint8], dict[str, str]]
"""A picture as uint8 RGB of shape (128, 171, 3), and its `source` and `caption` for the data set's JSON lines file."""


def photograph(name: str, generator: np.random.Generator) -> Noted:
    """Cut a random crop from a photograph, and return it with its source and its caption.

    Args:
        name: name of the photograph; see `bench.data.mini.photos.PHOTOS`.
        generator: random generator for the crop.
    """
    facts = {"source": f"photo {name}", "caption": f"a photograph of {name.replace('_', ' ')}"}
    return photo_crop(name, generator), facts


def photographic_test_picture(number: int, data_set: str, generator: np.random.Generator) -> Noted:
    """Make one photographic picture for the split `val` of a data set, and return it with its source and its caption.

    Pictures with different numbers have different sources.

    Args:
        number: index of the picture among the photographic pictures of the data set, from 0 on.
        data_set: name of the data set. The source of a drawn texture contains this name.
        generator: random generator for the crop or for the drawn picture.
    """
    photos = PHOTOS["val"]
    place, is_drawn = divmod(number, 2) if number < 2 * len(photos) else (number - len(photos), True)
    if not is_drawn:
        return photograph(photos[place], generator)
    kind = KINDS[place % len(KINDS)]
    facts = {"source": f"texture {data_set} val {kind} {place}", "caption": f"a photograph of {kind}"}
    return draw_texture(kind, generator, width=LONG), facts
