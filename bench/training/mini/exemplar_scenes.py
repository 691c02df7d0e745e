"""Pictures of scenes for the text-to-image, exemplar and CLIP models: whole scenes, and crops of single things.

A thing is a shape in a colour. Crops of generated pictures differ from exemplars in sharpness and light.
Therefore the sharpness and the light of training crops vary at random.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.data.mini.scenes import COLOURS, SHAPES, SIDE, TEXTURES, Scene, draw_scene, sample_scene

__all__ = ["THINGS", "enlarged_box", "number_of", "scene_of", "scene_pictures", "thing_crop"]

Pixels = npt.NDArray[np.uint8]

THINGS = tuple(itertools.product(SHAPES, COLOURS))
"""All things: each shape in each colour."""
MARGINS = (2, 10)
"""Smallest and largest distance by which each side of a thing's box is moved outwards, in pixels of a scene."""
WAYS_TO_SCALE = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)


def scene_pictures(scenes: Sequence[Scene], resolution: int) -> Tensor:
    """Draw whole scenes, and return them as B×3×R×R in [-1, 1].

    The scenes are scaled by area averaging, as in the mini profile's data sets.

    Args:
        scenes: the scenes to draw.
        resolution: side R of the pictures.
    """
    pictures = [
        cv2.resize(draw_scene(scene), (resolution, resolution), interpolation=cv2.INTER_AREA) for scene in scenes
    ]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def scene_of(thing: tuple[str, str], generator: np.random.Generator, *, split: str) -> Scene:
    """Return a random scene whose main shape is the given thing. The background does not contain the thing's colour.

    Args:
        thing: shape and colour.
        generator: random generator for all draws.
        split: split to which the scene belongs.
    """
    shape, colour = thing
    while True:
        texture = TEXTURES[int(generator.integers(len(TEXTURES)))]
        scene = sample_scene(generator, split=split, shape=shape, texture=texture)
        if colour not in scene.ground:
            return replace(scene, shapes=(replace(scene.shapes[0], colour=colour), *scene.shapes[1:]))


def number_of(scene: Scene) -> int:
    """Return the index in `THINGS` of a scene's main thing."""
    return THINGS.index((scene.shapes[0].kind, scene.shapes[0].colour))


def enlarged_box(scene: Scene, generator: np.random.Generator) -> tuple[int, int, int, int]:
    """Return the box of the main shape, enlarged by a random margin on each side, but not beyond the scene's edges.

    The result is the left, top, right and bottom of the box in pixels of the scene, whose side has `SIDE` pixels.
    """
    left, top, right, bottom = scene.shapes[0].box
    margins = generator.integers(*MARGINS, size=4, endpoint=True).tolist()
    inside = (left - margins[0], top - margins[1], right + margins[2], bottom + margins[3])
    left, top, right, bottom = (min(max(side, 0), SIDE) for side in inside)
    return left, top, right, bottom


def thing_crop(scene: Scene, generator: np.random.Generator, side: int, *, smallest: int = SIDE) -> Pixels:
    """Return a crop of the scene's main thing as side×side×3 uint8, with random sharpness, light and noise.

    Args:
        scene: scene with the thing.
        generator: random generator for all draws.
        side: side of the crop in pixels. The cut-out box is stretched to a square with this side.
        smallest: smallest side in pixels to which the scene may be reduced before the crop is cut out.
    """
    picture = draw_scene(scene)
    left, top, right, bottom = enlarged_box(scene, generator)
    size = int(generator.integers(smallest, SIDE, endpoint=True))
    if size < SIDE:
        picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8)
    rows, columns = (slice(low * size // SIDE, -(-high * size // SIDE)) for low, high in ((top, bottom), (left, right)))
    way = WAYS_TO_SCALE[int(generator.integers(len(WAYS_TO_SCALE)))]
    crop: npt.NDArray[Any] = cv2.resize(picture[rows, columns], (side, side), interpolation=way).astype(np.float32)
    if generator.random() < 0.5:
        crop = cv2.GaussianBlur(crop, (0, 0), float(generator.uniform(0.2, 0.9)))
    light = generator.uniform(0.88, 1.12) * generator.uniform(0.95, 1.05, 3)
    noise = generator.normal(0, generator.uniform(0, 5), crop.shape)
    lit: Pixels = (crop * light + noise).clip(0, 255).astype(np.uint8)
    return lit
