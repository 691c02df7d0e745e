"""Tests of the estimated shift, zoom and blur against changes that were made, and of the first shift."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from skimage.registration import phase_cross_correlation

from bench.metrics import registration
from bench.metrics.registration import Registration, register
from benchmarks.faults import crop
from tests.helpers.photographs import Photograph, Pixels, photograph

LUMINANCE = np.array([0.299, 0.587, 0.114])
DRAWS = 40


def pictures(side: int) -> list[Photograph]:
    rng = np.random.default_rng(0)
    return [photograph(rng, side) for _ in range(DRAWS)]


def registered(one: Photograph, edited: Pixels) -> tuple[float, float, float, float]:
    found = estimated(one.pixels @ LUMINANCE, edited @ LUMINANCE, ~one.hole)
    return found.right.item(), found.down.item(), found.zoom.item(), found.explained.item()


def estimated(truth: np.ndarray, edited: np.ndarray, known: np.ndarray) -> Registration:
    return register(*(torch.from_numpy(values)[None] for values in (truth, edited, known)))


@pytest.mark.property
@pytest.mark.parametrize("side", [64, 96, 160])
def test_a_shift_of_one_pixel_is_found(side: int) -> None:
    found = np.array([registered(one, one.shifted()) for one in pictures(side)])
    assert np.nanmedian(found[:, 0]) == pytest.approx(1, abs=0.02)
    assert (np.abs(found[:, 0] - 1) < 0.1).mean() >= 0.9
    assert (found[:, 3] > 0.9).mean() >= 0.9


@pytest.mark.property
@pytest.mark.parametrize("side", [64, 96, 128])
def test_a_zoom_of_one_percent_is_found(side: int) -> None:
    rng = np.random.default_rng(0)
    drawn = [crop(rng, side) for _ in range(DRAWS)]
    found = np.array(
        [estimated(one.seen() @ LUMINANCE, one.seen(zoom=0.01) @ LUMINANCE, ~one.hole).zoom.item() for one in drawn]
    )
    assert np.nanmedian(found) == pytest.approx(0.01, abs=0.0002)
    assert (np.abs(found - 0.01) < 0.0005).mean() >= 0.9


@pytest.mark.property
@pytest.mark.parametrize(("height", "width"), [(900, 1600), (2500, 60)])
def test_shift_zoom_and_blur_of_a_large_picture_are_found_in_its_blocks(height: int, width: int) -> None:
    assert max(height, width) > registration.BLOCKS * registration.BLOCK
    texture = np.random.default_rng(0).normal(0, 1, (height + 80, width + 80))
    levels = 128 + 80 * cv2.GaussianBlur(texture, (0, 0), 1.5) + 800 * cv2.GaussianBlur(texture, (0, 0), 20)
    x, y = (40 + (size - 1) / 2 for size in (width, height))
    moved = np.array([[1.01, 0, 1.5 - 0.01 * x], [0, 1.01, -0.01 * y]])
    edited = cv2.GaussianBlur(cv2.warpAffine(levels, moved, levels.shape[::-1], flags=cv2.INTER_LANCZOS4), (0, 0), 0.7)
    known = np.ones((height, width), np.bool_)
    known[height // 4 : height // 2, width // 4 : width // 2] = False
    found = estimated(*(values[40:-40, 40:-40] for values in (levels, edited)), known)
    assert (found.right.item(), found.down.item()) == pytest.approx((1.5, 0), abs=0.03)
    assert found.zoom.item() == pytest.approx(0.01, rel=0.02)
    assert found.variance.item() == pytest.approx(0.49, rel=0.05)


@pytest.mark.property
def test_a_large_shift_is_found() -> None:
    for one in pictures(160)[:8]:
        moved = np.roll(one.pixels, 9, axis=0)
        right, down, zoom, _ = registered(one, moved)
        assert (right, down, zoom) == pytest.approx((0, 9, 0), abs=1)


def stripes(side: int, right: int = 0) -> Pixels:
    return np.tile(np.where((np.arange(side) - right) % 8 < 4, 200.0, 50.0), (side, 1))


def checkerboard(side: int, right: int = 0) -> Pixels:
    rows, columns = np.ogrid[:side, :side]
    return np.where((rows // 4 + (columns - right) // 4) % 2 == 0, 200.0, 50.0)


@pytest.mark.property
@pytest.mark.parametrize("right", [-3, -2, -1, 1, 2, 3])
@pytest.mark.parametrize("texture", [stripes, checkerboard])
def test_the_shift_of_a_periodic_texture_is_the_shortest(texture: Callable[..., Pixels], right: int) -> None:
    truth, edited, known = texture(64), texture(64, right), np.ones((64, 64), np.bool_)
    assert estimated(truth, edited, known).right.item() == pytest.approx(right, abs=0.02)


@pytest.mark.property
@pytest.mark.parametrize("texture", [stripes, checkerboard])
def test_the_shift_of_a_periodic_texture_does_not_depend_on_the_batch(texture: Callable[..., Pixels]) -> None:
    truth, edited, known = texture(64), texture(64, 4), np.ones((64, 64), np.bool_)
    alone = estimated(truth, edited, known).right.item()
    others = [(one.pixels @ LUMINANCE, one.shifted() @ LUMINANCE, ~one.hole) for one in pictures(64)[:4]]
    given = [*others, (truth, edited, known)]
    together = register(*(torch.from_numpy(np.stack(values)) for values in zip(*given, strict=True)))
    assert together.right[-1].item() == pytest.approx(alone, abs=1e-6, nan_ok=True)


@pytest.mark.blackbox
@pytest.mark.parametrize(("height", "width"), [(16, 3000), (3000, 16), (20, 2100), (1, 700), (700, 2)])
def test_a_very_long_picture_is_registered(height: int, width: int) -> None:
    texture = cv2.GaussianBlur(np.random.default_rng(0).normal(128, 60, (height, width + 2)), (0, 0), 1.5)
    known = np.ones((height, width), np.bool_)
    found = estimated(texture[:, 2:], texture[:, 1:-1], known)
    if min(height, width) >= 16:
        assert found.right.item() == pytest.approx(1, abs=0.02)
    else:
        assert torch.isnan(found.right).item()


@pytest.mark.property
def test_other_brightness_and_contrast_are_no_shift() -> None:
    for one in pictures(96)[:8]:
        darker = (one.pixels * 0.8 + 10).astype(np.uint8)
        right, down, zoom, _ = registered(one, darker)
        assert (right, down) == pytest.approx((0, 0), abs=0.05)
        assert zoom == pytest.approx(0, abs=0.001)


@pytest.mark.property
def test_the_hole_has_no_influence() -> None:
    rng = np.random.default_rng(1)
    for one in pictures(96)[:8]:
        edited = one.shifted()
        noise = rng.integers(0, 256, edited.shape, dtype=np.uint8)
        changed = np.where(one.hole[..., None], noise, edited)
        assert registered(one, changed)[0] == pytest.approx(registered(one, edited)[0], abs=0.05)


@pytest.mark.property
def test_a_picture_without_texture_or_known_pixels_gives_no_estimate() -> None:
    flat = np.full((64, 64), 100.0)
    everywhere, nowhere = np.ones((64, 64), np.bool_), np.zeros((64, 64), np.bool_)
    grey = pictures(64)[0].pixels @ LUMINANCE
    for found in (estimated(flat, flat + 1, everywhere), estimated(grey, cv2.blur(grey, (3, 3)), nowhere)):
        assert torch.isnan(torch.stack([found.right, found.down, found.zoom, found.variance, found.explained])).all()
    stripes = np.tile(128 + 100 * np.sin(np.arange(64) / 2), (64, 1))
    found = estimated(stripes, stripes, everywhere)
    assert found.right.item() == 0  # stripes from top to bottom say nothing about a shift along them
    assert torch.isnan(found.down).item()
    assert found.explained.item() == 0


@pytest.mark.property
def test_unrelated_pictures_give_no_estimate() -> None:
    rng = np.random.default_rng(0)
    for _ in range(8):
        truth, other = rng.normal(128, 30, (2, 64, 64))
        assert torch.isnan(estimated(truth, other, np.ones((64, 64), np.bool_)).right).item()


@pytest.mark.property
def test_equal_pictures_did_not_change_at_all() -> None:
    for one in pictures(96):
        changed = one.pixels.copy()
        changed[one.hole] = 7
        right, down, zoom, explained = registered(one, changed)
        assert (right, down, zoom, explained) == (0, 0, 0, 0)


@pytest.mark.property
def test_a_batch_gives_the_values_of_its_items() -> None:
    drawn = pictures(96)[:6]
    given = [(one.pixels @ LUMINANCE, one.shifted() @ LUMINANCE, ~one.hole) for one in drawn]
    truth, edited, known = (torch.from_numpy(np.stack(values)) for values in zip(*given, strict=True))
    together = register(truth, edited, known)
    for place, one in enumerate(drawn):
        right, down, zoom, _ = registered(one, one.shifted())
        found = [values[place].item() for values in (together.right, together.down, together.zoom)]
        assert found == pytest.approx([right, down, zoom], rel=1e-6, abs=1e-9, nan_ok=True)


@pytest.mark.reference
def test_the_first_shift_is_that_of_scikit_image() -> None:
    for number, one in enumerate(pictures(96)[:12]):
        rows, columns = (number % 5 - 2) * 3, (number % 4 - 1) * 4
        truth, known = one.pixels @ LUMINANCE, ~one.hole
        edited = np.roll(truth, (rows, columns), (0, 1))
        expected, _, _ = phase_cross_correlation(edited, truth, reference_mask=known, moving_mask=known)
        tensors = (torch.from_numpy(values)[None] for values in (truth, edited, known))
        found = registration._whole_shift(*tensors)
        assert [found.down.item(), found.right.item()] == expected.tolist()
