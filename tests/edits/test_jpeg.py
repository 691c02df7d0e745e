"""Tests of the traces of JPEG: found after compression, and on nothing else."""

import cv2
import numpy as np
import pytest

from bench.edits.jpeg import has_jpeg_traces
from tests.helpers.photographs import Pixels, jpeg, photograph

pytestmark = pytest.mark.property

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
DRAWS = 200


def traced(pixels: Pixels) -> bool:
    return has_jpeg_traces(pixels @ LUMINANCE)


@pytest.mark.parametrize(("quality", "least"), [(50, 0.8), (75, 0.85), (90, 0.9), (95, 0.85)])
def test_a_compressed_picture_shows_traces(quality: int, least: float) -> None:
    rng = np.random.default_rng(0)
    assert np.mean([traced(jpeg(photograph(rng).pixels, quality)) for _ in range(DRAWS)]) >= least


def test_no_other_picture_shows_traces() -> None:
    rng = np.random.default_rng(1)
    for _ in range(DRAWS):
        one = photograph(rng)
        assert not traced(one.pixels)
        assert not traced(one.edited(rng))


def test_a_resized_picture_shows_no_traces() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        compressed = jpeg(photograph(rng, 160).pixels, 75)
        assert not traced(cv2.resize(compressed, (112, 112), interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize("shape", [(64, 64), (11, 13), (8, 8), (100, 17)])
def test_flat_noisy_and_small_pictures_show_no_traces(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    assert not has_jpeg_traces(np.full(shape, 128, np.float32))
    assert not has_jpeg_traces(rng.integers(0, 256, shape).astype(np.float32))


def test_line_art_shows_no_traces() -> None:
    places = np.indices((64, 64)).sum(0)
    for width in (1, 2, 4):
        assert not has_jpeg_traces(np.where(places // width % 2, 255, 0).astype(np.float32))
