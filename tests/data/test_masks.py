"""The free-form masks against the distribution that LaMa's own functions give.

The expected shares and drop rates were simulated with the official functions on 6,000 images for each size; the
tolerances are four standard errors of our draw and theirs together.
"""

import numpy as np
import pytest

from bench.data.masks import MAX_HOLE, PRESETS, accept_masks, preset, sample_mask, square_crop
from bench.seeding import numpy_generator

DRAWS = 1500
SIMULATED = 6000


def tolerance(share: float) -> float:
    return 4 * float(np.sqrt(share * (1 - share) * (1 / DRAWS + 1 / SIMULATED)))


@pytest.mark.parametrize(
    ("height", "width", "dropped", "shares"),
    [
        (512, 512, 0.0175, (0.13, 0.21, 0.24, 0.22, 0.19)),
        (512, 683, 0.0052, (0.16, 0.21, 0.23, 0.20, 0.20)),
    ],
)
def test_area_histogram_and_drop_rate_are_lamas(
    height: int, width: int, dropped: float, shares: tuple[float, ...]
) -> None:
    thick = PRESETS["thick_512"]
    drawn = [accept_masks(thick, height, width, numpy_generator(0, str(index), "mask")) for index in range(DRAWS)]
    areas = np.array([mask.mean() for mask, _ in filter(None, drawn)])
    assert abs(1 - len(areas) / DRAWS - dropped) < tolerance(dropped)
    histogram, _ = np.histogram(areas, bins=np.linspace(0, 0.5, 6))
    for share, expected in zip(histogram / len(areas), shares, strict=True):
        assert abs(share - expected) < tolerance(expected) + 0.005  # the expected shares have two digits


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


def test_a_mask_depends_on_its_generator_alone() -> None:
    kind = preset("thick_512")
    first, second = (sample_mask(kind, 512, 512, numpy_generator(0, "item", "mask")) for _ in range(2))
    other = sample_mask(kind, 512, 512, numpy_generator(0, "another item", "mask"))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_square_has_one_crop() -> None:
    mask = sample_mask(preset("thick_256"), 256, 256, numpy_generator(0))
    assert square_crop(mask, numpy_generator(0)) == (0, 0, 256)


@pytest.mark.parametrize("name", ["thin_512", "thick_512@", "thick_512@0", "thick_512@x"])
def test_an_unknown_preset_is_named_with_those_there_are(name: str) -> None:
    with pytest.raises(ValueError, match="thick_512, thick_256"):
        preset(name)
