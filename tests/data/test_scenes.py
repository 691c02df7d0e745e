"""Drawn scenes: deterministic, complete, and split so that no word is shared."""

import itertools

import numpy as np
import pytest

from bench.data.mini.scenes import SHAPES, SIDE, TEXTURES, WORDS, draw_scene, sample_scene
from bench.seeding import numpy_generator


@pytest.mark.parametrize(("shape", "texture"), list(itertools.product(SHAPES, TEXTURES)))
def test_every_shape_on_every_texture_is_drawn_the_same_twice(shape: str, texture: str) -> None:
    pictures = []
    for _ in range(2):
        scene = sample_scene(numpy_generator(0, shape, texture), split="train", shape=shape, texture=texture)
        pictures.append(draw_scene(scene))
    assert pictures[0].shape == (SIDE, SIDE, 3)
    assert pictures[0].dtype == np.uint8
    assert pictures[0].std() > 10
    assert np.array_equal(*pictures)
    assert shape in scene.caption
    assert texture in scene.caption
    assert scene.word in WORDS["train"]


def test_splits_share_no_word() -> None:
    for first, second in itertools.combinations(WORDS, 2):
        assert not set(WORDS[first]) & set(WORDS[second])


def test_an_unknown_texture_is_named() -> None:
    scene = sample_scene(numpy_generator(0), split="val", shape="star", texture="tartan")
    with pytest.raises(ValueError, match=r"tartan.*plain"):
        draw_scene(scene)
