"""Tests of the estimated shift and zoom against shifts and zooms that were made."""

import cv2
import numpy as np
import pytest

from bench.edits.registration import register
from tests.helpers.photographs import Photograph, Pixels, photograph

pytestmark = pytest.mark.property

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
DRAWS = 40


def pictures(side: int) -> list[Photograph]:
    rng = np.random.default_rng(0)
    return [photograph(rng, side) for _ in range(DRAWS)]


def registered(one: Photograph, edited: Pixels) -> tuple[float, float, float, float]:
    found = register(one.pixels @ LUMINANCE, edited @ LUMINANCE, ~one.hole)
    assert found is not None
    return found.right, found.down, found.zoom, found.explained


@pytest.mark.parametrize("side", [64, 96, 160])
def test_a_shift_of_one_pixel_is_found(side: int) -> None:
    found = np.array([registered(one, one.shifted()) for one in pictures(side)])
    assert np.median(found[:, 0]) == pytest.approx(1, abs=0.02)
    assert (np.abs(found[:, 0] - 1) < 0.1).mean() >= 0.95
    assert (found[:, 3] > 0.9).mean() >= 0.95


@pytest.mark.parametrize("side", [64, 96, 160])
def test_a_zoom_of_one_percent_is_found(side: int) -> None:
    found = np.array([registered(one, one.zoomed(1.01)) for one in pictures(side)])
    assert np.median(found[:, 2]) == pytest.approx(0.01, abs=0.0005)
    assert (np.abs(found[:, 2] - 0.01) < 0.002).mean() >= 0.9


def test_a_large_shift_is_found() -> None:
    for one in pictures(160)[:8]:
        moved = np.roll(one.pixels, 9, axis=0)
        right, down, zoom, _ = registered(one, moved)
        assert (right, down, zoom) == pytest.approx((0, 9, 0), abs=1)


def test_other_brightness_and_contrast_are_no_shift() -> None:
    for one in pictures(96)[:8]:
        darker = (one.pixels * 0.8 + 10).astype(np.uint8)
        right, down, zoom, _ = registered(one, darker)
        assert (right, down) == pytest.approx((0, 0), abs=0.05)
        assert zoom == pytest.approx(0, abs=0.001)


def test_the_hole_has_no_influence() -> None:
    rng = np.random.default_rng(1)
    for one in pictures(96)[:8]:
        edited = one.shifted()
        noise = rng.integers(0, 256, edited.shape, dtype=np.uint8)
        changed = np.where(one.hole[..., None], noise, edited)
        assert registered(one, changed)[0] == pytest.approx(registered(one, edited)[0], abs=0.05)


def test_a_picture_without_texture_or_known_pixels_gives_no_estimate() -> None:
    flat = np.full((64, 64), 100, np.float32)
    assert register(flat, flat + 1, np.ones((64, 64), np.bool_)) is None
    one = pictures(64)[0]
    grey = one.pixels @ LUMINANCE
    assert register(grey, cv2.blur(grey, (3, 3)), np.zeros((64, 64), np.bool_)) is None
