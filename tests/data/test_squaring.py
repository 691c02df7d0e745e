"""Tests of the ways to make a picture square: filters, crops and offsets."""

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from bench.data.squaring import FILTERS, Squaring, check_squaring, squaring_of
from bench.errors import BadInputError


def drawn(width: int, height: int) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(noise)


def pixels(picture: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(picture)


@pytest.mark.reference
@pytest.mark.parametrize("size", [(300, 200), (131, 400), (64, 90), (64, 64)])
def test_box_bicubic_halves_by_means_and_then_scales(size: tuple[int, int]) -> None:
    """Halving is written with NumPy here, where a box filter of two is a mean of four pixels."""
    side, levels = 48, pixels(drawn(*size)).astype(np.float64)
    while min(levels.shape[:2]) >= 2 * side:
        if levels.shape[0] % 2 or levels.shape[1] % 2:  # a box filter of an odd side has other weights
            picture = Image.fromarray(levels.astype(np.uint8))
            half = picture.resize((levels.shape[1] // 2, levels.shape[0] // 2), Image.Resampling.BOX)
            levels = pixels(half).astype(np.float64)
            continue
        blocks = levels.reshape(levels.shape[0] // 2, 2, levels.shape[1] // 2, 2, 3)
        levels = np.floor(blocks.mean((1, 3)) + 0.5)
    factor = side / min(levels.shape[:2])
    height, width = (round(length * factor) for length in levels.shape[:2])
    scaled = pixels(Image.fromarray(levels.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC))
    top, left = (height - side) // 2, (width - side) // 2
    found = pixels(Squaring("crop", "box_bicubic").square(drawn(*size), side)).astype(int)
    assert np.abs(found - scaled[top : top + side, left : left + side]).max() <= 3  # roundings of each halving


@pytest.mark.property
@pytest.mark.parametrize(("width", "height"), [(96, 48), (48, 96), (49, 48)])
@pytest.mark.parametrize("offset", [-1, 1, 5, 1000])
def test_the_offset_moves_the_square_along_the_longer_side(width: int, height: int, offset: int) -> None:
    picture = drawn(width, height)  # its shorter side has the resolution, so that nothing is scaled
    room = max(width, height) - 48
    start = min(max(room // 2 + offset, 0), room)
    whole = pixels(picture)
    expected = whole[:, start : start + 48] if width > height else whole[start : start + 48]
    assert np.array_equal(pixels(Squaring("crop", crop_offset=offset).square(picture, 48)), expected)


@pytest.mark.property
def test_each_filter_and_each_way_gives_other_pixels() -> None:
    picture = drawn(150, 100)
    found = {
        pixels(Squaring(fit, scaled_by).square(picture, 48)).tobytes()
        for fit in ("crop", "squash")
        for scaled_by in FILTERS
    }
    # A squashed picture is scaled in one step, so that box_bicubic equals bicubic there.
    assert len(found) == 2 * len(FILTERS) - 1


@pytest.mark.blackbox
def test_only_settings_that_are_not_the_default_are_stated() -> None:
    assert Squaring("crop").settings == Squaring("lama").settings == {}
    assert Squaring("crop", "box", 2).settings == {"filter": "box", "crop_offset": 2}


@pytest.mark.blackbox
def test_the_descriptions_name_filter_crop_and_offset() -> None:
    assert Squaring("lama").crop(drawn=True) == "square that touches the hole"
    assert Squaring("lama").crop(drawn=False) == Squaring("crop").crop(drawn=False) == "center"
    assert Squaring("crop", crop_offset=1).crop(drawn=False) == "center, moved by 1 pixel"
    assert Squaring("crop", crop_offset=-2).crop(drawn=False) == "center, moved by -2 pixels"
    assert (Squaring("squash").resize, Squaring("squash").crop(drawn=False)) == ("both sides, bicubic", "none")


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"fit": "stretch"}, "dataset.fit: expected one of squash, crop, found stretch"),
        ({"filter": "nearest"}, "dataset.filter: expected one of bicubic, .*box_bicubic, found nearest"),
        ({"crop_offset": 1}, "dataset.crop_offset: expected 0.*found 1"),
        ({"fit": "squash", "crop_offset": 1}, "dataset.crop_offset: expected 0.*found 1"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(node: dict[str, object], said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        squaring_of(node, Squaring("lama"))


@pytest.mark.blackbox
def test_keys_that_are_none_leave_the_adapters_way() -> None:
    own = Squaring("crop", "box", 1)
    assert squaring_of({"fit": None, "filter": None, "crop_offset": None}, own) == squaring_of({}, own) == own
    assert squaring_of({"crop_offset": 0}, own) == Squaring("crop", "box")
    check_squaring({"fit": "crop", "filter": "lanczos"}, "metrics")
