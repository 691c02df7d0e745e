"""Tests of the pictures and masks that a caller may give, and of the messages on all others."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.edits.pictures import read_masks, read_pictures
from bench.errors import BadInputError
from tests.helpers.photographs import write

pytestmark = pytest.mark.blackbox

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (3, 16, 20, 3), dtype=np.uint8)
FLOATS = torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255


@pytest.mark.parametrize(
    "given",
    [
        PIXELS,
        torch.from_numpy(PIXELS),
        FLOATS,
        FLOATS.double(),
        FLOATS.numpy(),
        FLOATS.numpy().astype(">f4"),
        np.ascontiguousarray(PIXELS[..., ::-1])[..., ::-1],
        list(PIXELS),
        list(FLOATS),
    ],
    ids=["uint8", "tensor", "floats", "doubles", "float array", "other byte order", "reversed", "arrays", "tensors"],
)
def test_all_accepted_layouts_give_the_same_pixels(given: Any) -> None:
    found = read_pictures(given, "truth")
    assert found.sizes == ((16, 20),) * 3
    for place in range(3):
        np.testing.assert_array_equal(found.pixels(place), PIXELS[place])


def test_files_give_the_same_pixels_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, {"b": PIXELS[1], "sub/a": PIXELS[2], "a": PIXELS[0]})
    found = read_pictures(tmp_path, "truth")
    assert found.names == ("a", "b", "sub/a")
    np.testing.assert_array_equal(found.pixels(2), PIXELS[2])
    listed = read_pictures([tmp_path / "b.png", str(tmp_path / "a.png")], "truth")
    assert listed.names == ("b", "a")


def test_floats_keep_their_precision() -> None:
    values = torch.full((1, 3, 16, 16), 0.12345)
    assert read_pictures(values, "edited").read(0)[0, 0, 0].item() == pytest.approx(0.12345)


def test_a_list_may_hold_pictures_of_different_sizes() -> None:
    assert read_pictures([PIXELS[0], PIXELS[1, :12]], "truth").sizes == ((16, 20), (12, 20))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (PIXELS.transpose(0, 3, 1, 2), r"truth\[0\]: .*found uint8 of shape 3×16×20; move the axis of the channels"),
        (FLOATS.permute(0, 2, 3, 1), r"found float32 of shape 16×20×3; move the axis of the channels to the front"),
        (FLOATS * 2 - 1, r"expected values in \[0, 1\], found -1 to 1; \(x \+ 1\) / 2 maps"),
        (FLOATS * 255, r"expected values in \[0, 1\], found 0 to 255"),
        (FLOATS / 0, r"expected finite values"),
        (PIXELS[..., :1], r"found uint8 of shape 16×20×1"),
        (PIXELS[0], r"expected one array of 4 axes with all pictures"),
        (PIXELS.astype(np.int64), r"found int64"),
        (PIXELS.astype(bool), r"found bool"),
        ([PIXELS[0], "a.png"], r"expected a list of arrays or a list of paths, found str among arrays"),
        ([], r"expected at least one picture"),
        (PIXELS[:0], r"expected at least one picture"),
        (PIXELS[:, :0], r"expected a picture with pixels"),
        (7, r"expected a folder, a list of paths, an array or a list of arrays, found int"),
        ("no/such/folder", r"expected a folder of pictures, found nothing"),
        (["no.png"], r"expected paths of files that exist, found 1 missing: no.png"),
        ("", r"expected a folder of pictures, found an empty text"),
        (np.ma.array(PIXELS, mask=PIXELS > 250), r"found a masked array"),
        (PIXELS.astype(object), r"expected an array of numbers, found the type object"),
        (FLOATS.to("meta"), r"expected a dense tensor of real numbers"),
        (FLOATS.to(torch.complex64), r"expected a dense tensor of real numbers"),
    ],
)
def test_other_pictures_are_refused(given: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read_pictures(given, "truth")


def test_files_with_the_same_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {"a": PIXELS[0]})
    (tmp_path / "a.bmp").write_bytes((tmp_path / "a.png").read_bytes())
    with pytest.raises(BadInputError, match="expected pictures whose names differ even without their suffixes"):
        read_pictures(tmp_path, "truth")


HOLE = np.zeros((2, 16, 20), np.bool_)
HOLE[:, 4:9, 5:11] = True


@pytest.mark.parametrize(
    "given",
    [
        HOLE,
        HOLE.astype(np.uint8),
        HOLE.astype(np.uint8) * 255,
        HOLE.astype(np.int64),
        HOLE.astype(np.uint16) * 255,
        HOLE[:, :, ::-1][:, :, ::-1],
        HOLE.astype(np.float32),
        torch.from_numpy(HOLE)[:, None],
        HOLE[..., None],
        list(HOLE),
    ],
    ids=["booleans", "0 and 1", "0 and 255", "int64", "uint16", "reversed", "floats", "N×1×H×W", "N×H×W×1", "list"],
)
def test_all_accepted_masks_have_the_same_hole(given: Any) -> None:
    found = read_masks(given)
    np.testing.assert_array_equal(found.read(1).hole, HOLE[1])
    assert found.read(1).grey == 0


def test_grey_pixels_of_a_mask_are_counted() -> None:
    soft = HOLE.astype(np.float32)
    soft[0, 0, :4] = 0.4
    found = read_masks(soft)
    assert found.read(0).grey == pytest.approx(4 / (16 * 20))
    np.testing.assert_array_equal(found.read(0).hole, HOLE[0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (HOLE.astype(np.int64) * 300, "expected integers from 0 to 255, found 0 to 300"),
        (HOLE.astype(np.float32) * 255, r"expected values in \[0, 1\], found 0 to 255"),
        (np.stack([HOLE, HOLE, HOLE], -1), "expected a mask of shape H×W"),
    ],
)
def test_other_masks_are_refused(given: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read_masks(given)


def test_masks_of_0_and_1_are_told_from_the_whole_stack() -> None:
    levels = HOLE.astype(np.uint8) * 255
    levels[1] = 0
    levels[1, 0, 0] = 1  # nearly black, beside a mask with 255
    assert not read_masks(levels).read(1).hole.any()


def test_a_file_with_the_values_0_and_1_is_refused(tmp_path: Path) -> None:
    Image.fromarray(HOLE[0].astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(
        BadInputError, match=r"a.png: expected a mask in black \(0\) and white \(255\), found no value above 1"
    ):
        read_masks(tmp_path).read(0)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"a": PIXELS[0]})
    (tmp_path / "b.png").touch()
    with pytest.raises(BadInputError, match=r"found 1 that cannot be used: b.png \(an empty file\)"):
        read_pictures(tmp_path, "truth")


def test_true_floats_between_grey_levels_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"truth\[0\]: expected the values k / 255 of an 8-bit picture"):
        read_pictures(FLOATS * 0.99, "truth").require_levels()
    read_pictures(FLOATS, "truth").require_levels()
