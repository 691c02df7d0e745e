"""Pictures on which two decoders are compared: those of a folder, or pictures that this project draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from bench.data.items import square_image
from bench.data.listing import source_notes
from bench.data.mini.photographic import photographic_test_picture
from bench.data.mini.scenes import draw_scene, numbered_scene
from bench.data.pairing import picture_folder
from bench.data.squaring import Squaring
from bench.errors import BadInputError
from bench.runtime.seeding import numpy_generator

__all__ = ["DRAWN", "FEWEST", "DecoderPicture", "decoder_pictures"]

Pixels = npt.NDArray[np.uint8]
DRAWN = 32
"""Number of drawn pictures, if no other number is asked for."""
FEWEST = 2
"""Smallest number of pictures from which an interval can be computed."""
DATA_SET = "gate-decoder"


@dataclass(frozen=True)
class DecoderPicture:
    """One square picture, with its source."""

    pixels: Pixels
    """Picture as uint8 RGB of shape (size, size, 3)."""
    source: str
    """Name of the original picture. Pictures of one source are not independent."""


def decoder_pictures(folder: Path | None, *, limit: int | None, size: int) -> list[DecoderPicture]:
    """Return the pictures on which two decoders are compared.

    Args:
        folder: folder of pictures. The shorter side of each picture is scaled to `size`, and the centre is cut out.
            With None, this project makes the pictures: every other picture is a drawn scene with a word, and the
            others are crops of photographs and drawn textures.
        limit: number of pictures. From a folder, the first pictures by name are taken. With None, all pictures of the
            folder are taken, or `DRAWN` pictures are made.
        size: side of the pictures in pixels.

    Raises:
        BadInputError: the folder is missing; a picture cannot be read; or there are fewer than `FEWEST` pictures.
    """
    if limit is not None and limit < FEWEST:
        raise BadInputError(f"limit: expected {FEWEST} or more pictures, because one has no interval, found {limit}")
    if folder is None:
        return list(islice(_drawn(size), DRAWN if limit is None else limit))
    listed = picture_folder(folder, "pictures", "a folder of pictures")
    if len(listed.names) < FEWEST:
        raise BadInputError(f"pictures: expected {FEWEST} or more pictures in {folder}, found {len(listed.names)}")
    sources, squaring = source_notes(listed.root), Squaring("crop")
    return [
        DecoderPicture(square_image(listed.root / name, resolution=size, squaring=squaring), sources.get(name, name))
        for name in listed.names[:limit]
    ]


def _drawn(size: int) -> Iterator[DecoderPicture]:
    """Yield drawn scenes and photographic pictures in turn, without an end. Each picture has a source of its own."""
    number = 0
    while True:
        scene = draw_scene(numbered_scene(number, 0, data_set=DATA_SET, split="val"))
        yield DecoderPicture(_square(scene, size), f"scene {number}")
        picture, facts = photographic_test_picture(number, DATA_SET, numpy_generator(0, DATA_SET, number))
        yield DecoderPicture(_square(picture, size), facts["source"])
        number += 1


def _square(picture: Pixels, size: int) -> Pixels:
    """Cut out the central square of a picture, and scale this square to the given size.

    A larger square is scaled by averages over areas, and a smaller square by bicubic interpolation.
    """
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(picture[top : top + side, left : left + side])
    way = cv2.INTER_AREA if size < side else cv2.INTER_CUBIC
    return cv2.resize(square, (size, size), interpolation=way).astype(np.uint8)
