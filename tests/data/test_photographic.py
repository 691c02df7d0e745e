"""Tests of the photographic pictures in a test set, each of which is its own source."""

from collections import Counter

import numpy as np
import pytest

from bench.data.mini.photographic import photographic_test_picture
from bench.data.mini.photos import PHOTOS, photo_crop
from bench.data.mini.textures import KINDS
from bench.runtime.seeding import numpy_generator


@pytest.mark.blackbox
@pytest.mark.parametrize("count", [133, pytest.param(180, marks=pytest.mark.slow)])
def test_every_photograph_and_texture_is_its_own_source(count: int) -> None:
    notes = [photographic_test_picture(number, "places", numpy_generator(0, number))[1] for number in range(count)]
    sources = Counter(note["source"] for note in notes)
    assert set(sources.values()) == {1}
    photos = {source for source in sources if source.startswith("photo ")}
    assert photos == {f"photo {name}" for name in PHOTOS["val"]}
    textures = [source for source in sources if source.startswith("texture places val ")]
    assert len(textures) == count - len(photos)
    kinds = Counter(source.split()[3] for source in textures)
    assert set(kinds) == set(KINDS)
    assert max(kinds.values()) - min(kinds.values()) <= 1


@pytest.mark.blackbox
@pytest.mark.parametrize("name", [name for names in PHOTOS.values() for name in names])
def test_every_photograph_exists_and_is_cropped_to_the_same_size(name: str) -> None:
    crop = photo_crop(name, numpy_generator(0, name))
    assert crop.shape == (128, 171, 3)
    assert crop.dtype == np.uint8
    assert crop.std() > 2


@pytest.mark.property
def test_no_photograph_is_in_two_splits() -> None:
    names = [name for names in PHOTOS.values() for name in names]
    assert len(set(names)) == len(names)
