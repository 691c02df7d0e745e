"""Five captions of a scene: true of it, in lower case, and unlike one another."""

import itertools

import pytest

from bench.data.mini.captions import captions
from bench.data.mini.scenes import COLOURS, SHAPES, TEXTURES, Scene, sample_scene
from bench.seeding import numpy_generator


def scenes() -> list[Scene]:
    return [
        sample_scene(numpy_generator(0, shape, texture), split="val", shape=shape, texture=texture)
        for shape, texture in itertools.product(SHAPES, TEXTURES)
    ]


def test_every_caption_names_the_main_shape_and_its_colour() -> None:
    for scene in scenes():
        said = captions(scene)
        assert len(set(said)) == 5
        for text in said:
            assert text == text.lower().strip()
            assert f"{scene.shapes[0].colour} {scene.shapes[0].kind}" in text


def test_most_name_the_background_and_some_the_word() -> None:
    for scene in scenes():
        said = captions(scene)
        assert sum(scene.texture in text and scene.ground[0] in text for text in said) >= 3
        assert sum(scene.word.lower() in text.split() for text in said) >= 2
        assert len({text.split()[0] for text in said}) >= 3


def test_no_colour_or_shape_is_named_that_is_not_there() -> None:
    for scene in scenes():
        words = {word for text in captions(scene) for word in text.replace(",", "").split()} - {scene.word.lower()}
        assert words & set(COLOURS) <= {*scene.ground, *(shape.colour for shape in scene.shapes)}
        assert words & set(SHAPES) <= {shape.kind for shape in scene.shapes}


@pytest.mark.parametrize(
    ("centre", "place"), [((22, 22), "top left"), ((64, 64), "centre"), ((106, 64), "right"), ((64, 106), "bottom")]
)
def test_one_says_where_the_main_shape_is(centre: tuple[int, int], place: str) -> None:
    scene = scenes()[0]
    object.__setattr__(scene.shapes[0], "centre", centre)
    assert captions(scene)[-1].endswith(f" at the {place}")
