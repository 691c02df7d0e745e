"""Tests of the free-form masks against the distribution of LaMa's own functions.

The expected shares and drop rates were simulated with the official functions on 6,000 images for each size; the
tolerances are four standard errors of our draw and theirs together.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from bench.data.masks import MAX_HOLE, PRESETS, accept_masks, preset, sample_mask, square_crop
from bench.runtime.seeding import numpy_generator

DRAWS = 1500
SIMULATED = 6000


@dataclass(frozen=True)
class Settings:
    """Hold the settings of both kinds of masks of a file of LaMa (configs/data_gen/random_thick_*.yaml)."""

    max_len: int
    max_width: int
    boxes: int
    bbox_max_size: int
    margin: int = 10
    bbox_min_size: int = 30


SETTINGS = {
    "thick_512": Settings(max_len=450, max_width=250, boxes=4, bbox_max_size=300),
    "thick_256": Settings(max_len=200, max_width=100, boxes=3, bbox_max_size=150),
}


def expected_mask(settings: Settings, height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    """Draw a mask by LaMa's rules from its own settings; every upper bound of a draw is exclusive.

    The generator of strokes takes 1 to 5 of them, and one more; that of boxes adds one to the largest side.
    """
    mask = np.zeros((height, width), np.uint8)
    if generator.random() < 1 / (1 + 0.3):
        for stroke in range(1 + generator.integers(6)):
            x, y = generator.integers(width), generator.integers(height)
            for _ in range(1 + generator.integers(5)):
                turn = 0.01 + generator.integers(4)
                long, thick = 10 + generator.integers(settings.max_len), 5 + generator.integers(settings.max_width)
                # The first stroke and every second one after it run to the left.
                across = -np.sin(turn) if stroke in (0, 2, 4) else np.sin(turn)
                to = (
                    min(max(int(x + long * across), 0), width),
                    min(max(int(y + long * np.cos(turn)), 0), height),
                )
                cv2.line(mask, (int(x), int(y)), to, 1, int(thick))
                x, y = to
        return mask
    margin, free = settings.margin, min(height, width) - 2 * settings.margin
    largest = min(settings.bbox_max_size + 1, free)
    for _ in range(1 + generator.integers(settings.boxes)):
        wide, high = generator.integers(settings.bbox_min_size, largest, size=2)
        left = generator.integers(margin, width - margin - wide + 1)
        top = generator.integers(margin, height - margin - high + 1)
        for row in range(top, top + high):
            mask[row, left : left + wide] = 1
    return mask


def tolerance(share: float) -> float:
    return 4 * float(np.sqrt(share * (1 - share) * (1 / DRAWS + 1 / SIMULATED)))


@pytest.mark.reference
@pytest.mark.parametrize(
    ("height", "width", "dropped", "shares"),
    [
        (512, 512, 0.0175, (0.13, 0.21, 0.24, 0.22, 0.19)),
        (512, 683, 0.0052, (0.16, 0.21, 0.23, 0.20, 0.20)),
    ],
)
@pytest.mark.slow
def test_the_area_histogram_and_drop_rate_agree_with_lama(
    height: int, width: int, dropped: float, shares: tuple[float, ...]
) -> None:
    thick = PRESETS["thick_512"]
    drawn = [accept_masks(thick, height, width, numpy_generator(0, str(index), "mask")) for index in range(DRAWS)]
    areas = np.array([mask.mean() for mask, _ in filter(None, drawn)])
    assert abs(1 - len(areas) / DRAWS - dropped) < tolerance(dropped)
    histogram, _ = np.histogram(areas, bins=np.linspace(0, 0.5, 6))
    for share, expected in zip(histogram / len(areas), shares, strict=True):
        assert abs(share - expected) < tolerance(expected) + 0.005  # the expected shares have two digits


@pytest.mark.reference
@pytest.mark.parametrize("name", ["thick_512", "thick_256"])
@pytest.mark.parametrize(("rows", "columns"), [(1.0, 1.0), (1.0, 1.4), (1.3, 0.5)])
def test_a_mask_equals_lamas_for_the_same_random_stream(name: str, rows: float, columns: float) -> None:
    """Both draw from equal random streams, so that a bound that is off by one is detected."""
    kind = preset(name)
    height, width = round(rows * kind.size), round(columns * kind.size)
    for index in range(60):
        found = sample_mask(kind, height, width, numpy_generator(2, name, index))
        expected = expected_mask(SETTINGS[name], height, width, numpy_generator(2, name, index))
        assert found.dtype == np.uint8
        assert np.array_equal(found, expected), index


@pytest.mark.property
def test_a_scaled_preset_has_proportional_lengths_of_at_least_one_pixel() -> None:
    half, tiny = preset("thick_512@256"), preset("thick_512@8")
    assert (half.name, half.size, half.width, half.length) == ("thick_512@256", 256, (2, 127), (5, 230))
    assert (half.box_side, half.box_margin) == ((15, 150), 5)
    assert (tiny.width, tiny.length, tiny.box_side, tiny.box_margin) == ((1, 4), (1, 7), (1, 5), 1)
    whole = preset("thick_512")
    for scaled in (half, tiny):
        assert (scaled.strokes, scaled.segments, scaled.boxes) == (whole.strokes, whole.segments, whole.boxes)
        assert scaled.directions == whole.directions


@pytest.mark.property
@pytest.mark.parametrize("name", ["thick_512", "thick_256", "thick_512@64", "thick_256@64"])
def test_accepted_masks_are_binary_square_and_at_most_half(name: str) -> None:
    kind = preset(name)
    height, width = kind.size, kind.size * 4 // 3
    for index in range(40):
        accepted = accept_masks(kind, height, width, numpy_generator(1, str(index)))
        if accepted is None:
            continue
        mask, (left, top, side) = accepted
        assert mask.shape == (height, height) == (side, side)
        assert set(np.unique(mask)) <= {0, 1}
        assert mask.any()
        assert mask.mean() <= MAX_HOLE
        assert 0 <= left <= width - side
        assert top == 0


@pytest.mark.property
def test_a_mask_depends_only_on_its_generator() -> None:
    kind = preset("thick_512")
    first, second = (sample_mask(kind, 512, 512, numpy_generator(0, "item", "mask")) for _ in range(2))
    other = sample_mask(kind, 512, 512, numpy_generator(0, "another item", "mask"))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.blackbox
def test_a_square_mask_is_cropped_to_itself() -> None:
    mask = sample_mask(preset("thick_256"), 256, 256, numpy_generator(0))
    assert square_crop(mask, numpy_generator(0)) == (0, 0, 256)


@pytest.mark.reference
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("first", "last", "starts"),
    [
        # Pictures of 10 × 17 leave 7 pixels to choose from.
        (0, 0, {0}),  # the crop may not begin right of the hole
        (0, 3, {0, 1, 2}),
        (2, 10, {0, 1, 2, 3, 4, 5, 6}),
        (2, 13, {3, 4, 5, 6}),  # nor end before the hole's last pixel, nor on the picture's edge
        (12, 16, {6}),
    ],
)
def test_a_crop_starts_within_the_range_of_lamas_rule(
    first: int, last: int, starts: set[int], transposed: bool
) -> None:
    """With an overlap of 1, `propose_random_square_crop` starts between last - side and last, and below 17 - 10."""
    mask = np.zeros((10, 17), np.uint8)
    mask[4, first : last + 1] = 1
    mask = mask.T.copy() if transposed else mask
    found = {square_crop(mask, numpy_generator(3, index)) for index in range(80)}
    assert found == {(0, start, 10) if transposed else (start, 0, 10) for start in starts}


@pytest.mark.reference
def test_the_first_of_five_crops_with_at_most_half_masked_is_kept() -> None:
    """The expected crop uses equal draws in order; if all five crops have more than half masked, there is no mask."""
    kind, kept = preset("thick_256"), set()
    for index in range(200):
        generator = numpy_generator(4, index)
        choices = []
        for place in range(5):
            mask = sample_mask(kind, 256, 300, generator)
            left, top, side = square_crop(mask, generator)
            crop = mask[:, left : left + 256]
            if 2 * np.count_nonzero(crop) <= crop.size:
                choices.append((place, crop, (left, top, side)))
        found = accept_masks(kind, 256, 300, numpy_generator(4, index))
        if not choices:
            assert found is None
            continue
        place, crop, box = choices[generator.integers(len(choices))]
        kept.add(place)
        assert found is not None
        assert np.array_equal(found[0], crop)
        assert found[1] == box
    assert kept == {0, 1, 2, 3, 4}


@pytest.mark.blackbox
def test_a_hole_of_exactly_half_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    half = np.zeros((4, 4), np.uint8)
    half[:2] = 1
    more = half.copy()
    more[2, 0] = 1
    for mask, there in ((half, True), (more, False)):
        monkeypatch.setattr("bench.data.masks.sample_mask", lambda *_, mask=mask: mask)
        assert (accept_masks(preset("thick_256"), 4, 4, numpy_generator(0)) is not None) == there


@pytest.mark.blackbox
@pytest.mark.parametrize("name", ["thin_512", "thick_512@", "thick_512@0", "thick_512@x"])
def test_an_unknown_preset_is_named_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match="thick_512, thick_256"):
        preset(name)
