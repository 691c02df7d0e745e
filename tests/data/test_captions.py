"""Tests of the five captions of a scene: they are true, in lower case and different from each other."""

import itertools

import pytest

from bench.data.mini.captions import captions
from bench.data.mini.scenes import COLOURS, SHAPES, TEXTURES, Scene, sample_scene
from bench.runtime.seeding import numpy_generator


def scenes() -> list[Scene]:
    return [
        sample_scene(numpy_generator(0, shape, texture), split="val", shape=shape, texture=texture)
        for shape, texture in itertools.product(SHAPES, TEXTURES)
    ]


@pytest.mark.property
def test_every_caption_names_the_main_shape_and_its_colour() -> None:
    for scene in scenes():
        said = captions(scene)
        assert len(set(said)) == 5
        for text in said:
            assert text == text.lower().strip()
            assert f"{scene.shapes[0].colour} {scene.shapes[0].kind}" in text


@pytest.mark.property
def test_most_captions_name_the_background_and_some_name_the_word() -> None:
    for scene in scenes():
        said = captions(scene)
        assert sum(scene.texture in text and scene.ground[0] in text for text in said) >= 3
        assert sum(scene.word.lower() in text.split() for text in said) >= 2
        assert len({text.split()[0] for text in said}) >= 3


@pytest.mark.property
def test_captions_name_only_colours_and_shapes_of_the_scene() -> None:
    for scene in scenes():
        words = {word for text in captions(scene) for word in text.replace(",", "").split()} - {scene.word.lower()}
        assert words & set(COLOURS) <= {*scene.ground, *(shape.colour for shape in scene.shapes)}
        assert words & set(SHAPES) <= {shape.kind for shape in scene.shapes}


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("centre", "place"), [((22, 22), "top left"), ((64, 64), "centre"), ((106, 64), "right"), ((64, 106), "bottom")]
)
def test_one_caption_states_the_position_of_the_main_shape(centre: tuple[int, int], place: str) -> None:
    scene = scenes()[0]
    object.__setattr__(scene.shapes[0], "centre", centre)
    assert captions(scene)[-1].endswith(f" at the {place}")
