"""Tests of drawn textures: they are deterministic, of any size, distinct and as detailed as photographs."""

import itertools

import numpy as np
import pytest

from bench.data.mini.textures import KINDS, draw_texture
from bench.runtime.seeding import numpy_generator


def draw(kind: str, index: int, *, width: int = 171) -> np.ndarray:
    return draw_texture(kind, numpy_generator(0, "textures", kind, index), width=width)


@pytest.mark.property
@pytest.mark.parametrize("kind", KINDS)
def test_a_texture_is_repeatable_and_depends_on_its_generator(kind: str) -> None:
    first, again, other = draw(kind, 0), draw(kind, 0), draw(kind, 1)
    assert first.shape == (128, 171, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert np.abs(first.astype(float) - other).mean() > 3
    assert draw(kind, 0, width=128).shape == (128, 128, 3)


@pytest.mark.property
@pytest.mark.parametrize("kind", KINDS)
def test_textures_are_neither_flat_nor_saturated(kind: str) -> None:
    for index in range(6):
        picture = draw(kind, index)
        assert picture.std() > 4
        assert np.isin(picture, (0, 255)).mean() < 0.35


@pytest.mark.property
def test_the_spectrum_falls_like_that_of_natural_images() -> None:
    """The power of photographs falls with about the square of the frequency; a flat spectrum is noise."""
    slopes = []
    for kind, index in itertools.product(KINDS, range(6)):
        grey = draw(kind, index, width=128).mean(axis=2)
        power = np.abs(np.fft.fft2((grey - grey.mean()) * np.hanning(128)[:, None] * np.hanning(128))) ** 2
        radius = np.rint(np.hypot(*np.meshgrid(np.fft.fftfreq(128, 1 / 128), np.fft.fftfreq(128, 1 / 128)))).astype(int)
        mean = np.bincount(radius.ravel(), weights=power.ravel()) / np.bincount(radius.ravel())
        slopes.append(np.polyfit(np.log(np.arange(3, 41)), np.log(mean[3:41]), 1)[0])
    assert -3.5 < np.median(slopes) < -1.5


@pytest.mark.blackbox
def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match=r"^texture: expected one of sky, .*, found 'tartan'$"):
        draw_texture("tartan", numpy_generator(0), width=128)
