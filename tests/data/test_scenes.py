"""Tests of drawn scenes: they are deterministic and complete, and splits share no word."""

import itertools

import numpy as np
import pytest

from bench.data.mini.scenes import SHAPES, SIDE, TEXTURES, WORDS, _draw_shape, draw_scene, numbered_scene, sample_scene
from bench.runtime.seeding import numpy_generator


@pytest.mark.property
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


@pytest.mark.property
def test_splits_share_no_word() -> None:
    for first, second in itertools.combinations(WORDS, 2):
        assert not set(WORDS[first]) & set(WORDS[second])


@pytest.mark.blackbox
def test_an_unknown_texture_is_named() -> None:
    scene = sample_scene(numpy_generator(0), split="val", shape="star", texture="tartan")
    with pytest.raises(ValueError, match=r"plain.*tartan"):
        draw_scene(scene)


@pytest.mark.property
@pytest.mark.parametrize("shape", SHAPES)
def test_the_bounding_box_of_a_shape_is_tight(shape: str) -> None:
    for index in range(20):
        main = sample_scene(numpy_generator(1, shape, index), split="val", shape=shape, texture="plain").shapes[0]
        left, top, right, bottom = main.box
        assert 0 <= left < right <= SIDE
        assert 0 <= top < bottom <= SIDE
        blank = np.zeros((SIDE, SIDE, 3), np.uint8)
        _draw_shape(blank, main)
        drawn = blank.any(axis=2)
        assert drawn[top:bottom, left:right].sum() == drawn.sum()
        assert all(edge.any() for edge in (drawn[top], drawn[bottom - 1], drawn[:, left], drawn[:, right - 1]))


@pytest.mark.property
def test_seventy_two_numbered_scenes_have_every_shape_on_every_texture() -> None:
    scenes = [numbered_scene(index, 0, data_set="places", split="val") for index in range(72)]
    assert {(scene.shapes[0].kind, scene.texture) for scene in scenes} == set(itertools.product(SHAPES, TEXTURES))
    assert len(set(scenes)) == 72
    assert set(scenes).isdisjoint(numbered_scene(index, 0, data_set="cocoee", split="val") for index in range(72))
    assert scenes[3] != numbered_scene(3, 1, data_set="places", split="val")
