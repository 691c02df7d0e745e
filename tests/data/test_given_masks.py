"""Tests of masks from files: they are upright, have two distinct levels and a hole, or are refused by name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from bench.data.cocoee import COCOEE
from bench.data.given_masks import MaskValues, mask_values, read_mask
from bench.data.imagenet import AuthorsArchive
from bench.data.items import Picture, item_of_files
from bench.data.squaring import Squaring
from bench.errors import BadInputError

pytestmark = pytest.mark.blackbox

SIZE = (24, 32)


def box(hole: int = 255, known: int = 0) -> Image.Image:
    levels = np.full(SIZE[::-1], known, np.uint8)
    levels[4:12, 2:18] = hole
    return Image.fromarray(levels)


def read(path: Path, picture: Image.Image, values: MaskValues | None = None, **options: object) -> np.ndarray:
    picture.save(path, **options)
    return read_mask(path, resolution=32, like=SIZE, values=values)[0]


def labels(*, index: int = 1) -> Image.Image:
    picture = box(index).convert("L")
    palette = Image.new("P", SIZE)
    palette.putdata(list(np.asarray(picture).ravel()))
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    return palette


EXPECTED_HOLE = np.asarray(box(1).resize((32, 32), Image.Resampling.NEAREST))


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P", "I;16"])
def test_a_black_and_white_mask_of_any_mode_is_read(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(np.asarray(box()).astype(np.uint16) * 257) if mode == "I;16" else box().convert(mode)
    assert np.array_equal(read(tmp_path / "m.png", picture), EXPECTED_HOLE)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (box(1), r"found no pixel of the hole: the values 0, 1$"),
        (box(0), r"found no pixel of the hole: only the value 0$"),
        (box(255, 255), r"found no known pixel: only the value 255$"),
        (box(140, 120), r"found the values 120, 140$"),
        (labels(), r"found no pixel of the hole: the values 0, 38$"),
        (
            Image.fromarray(np.arange(768, dtype=np.uint32).reshape(32, 24).astype(np.uint8)),
            r"found the values .* more$",
        ),
        (Image.merge("LA", (Image.new("L", SIZE), box())), r"without transparency, found transparent pixels$"),
    ],
)
def test_an_unclear_mask_is_refused_with_file_values_and_key(tmp_path: Path, picture: Image.Image, said: str) -> None:
    with pytest.raises(BadInputError, match=rf"m\.png: expected a mask .*{said}") as caught:
        read(tmp_path / "m.png", picture)
    assert "transparen" in str(caught.value) or "dataset.pictures.mask_values=[KNOWN,HOLE]" in str(caught.value)


@pytest.mark.parametrize(
    ("picture", "values"),
    [(box(1), (0, 1)), (box(0, 1), (1, 0)), (labels(), (0, 1)), (labels(index=2), (0, 2)), (box(0, 255), (255, 0))],
)
def test_the_given_values_define_the_hole(tmp_path: Path, picture: Image.Image, values: tuple[int, int]) -> None:
    assert np.array_equal(read(tmp_path / "m.png", picture, MaskValues(*values)), EXPECTED_HOLE)


def test_a_mask_value_other_than_the_given_two_is_refused(tmp_path: Path) -> None:
    levels = np.array(box(1))
    levels[0, 0] = 255
    with pytest.raises(
        BadInputError, match=r"expected a mask with the values \[0,1\], which .* sets, found the values 0, 1, 255$"
    ):
        read(tmp_path / "m.png", Image.fromarray(levels), MaskValues(0, 1))


@pytest.mark.parametrize(
    ("mode", "values", "other"), [("L", (0, 15), 12), ("L", (0, 15), 3), ("P", (0, 200), 190), ("P", (0, 200), 20)]
)
def test_a_third_label_is_not_rounded_to_its_neighbour(
    tmp_path: Path, mode: str, values: tuple[int, int], other: int
) -> None:
    levels = np.array(box(values[1]))
    levels[20, 20] = other
    picture = Image.fromarray(levels)
    if mode == "P":
        picture.putpalette(bytes(range(256)) * 3)
    with pytest.raises(BadInputError, match=rf"expected a mask with the values .*, found the values .*{other}"):
        read(tmp_path / "m.png", picture, MaskValues(*values))


def test_soft_edges_and_jpeg_noise_are_split_at_one_half(tmp_path: Path) -> None:
    soft = box().filter(ImageFilter.GaussianBlur(0.7))
    assert np.array_equal(read(tmp_path / "soft.png", soft), (np.asarray(soft.resize((32, 32), 0)) >= 128))
    assert (read(tmp_path / "m.jpg", box(), quality=70) == EXPECTED_HOLE).mean() > 0.9


def test_a_hole_that_vanishes_when_scaled_is_refused(tmp_path: Path) -> None:
    levels = np.zeros((300, 300), np.uint8)
    levels[0, 0] = 255
    Image.fromarray(levels).save(tmp_path / "m.png")
    with pytest.raises(BadInputError, match=r"after scaling to 8×8, found no hole$"):
        read_mask(tmp_path / "m.png", resolution=8, like=(300, 300))


@pytest.mark.parametrize("given", [[0], [1, 1], [0, 256], [-1, 0], [0, True], ["0", "1"], "01", 3, [0, 1, 2], [0.0, 1]])
def test_values_that_are_not_two_whole_numbers_are_refused(tmp_path: Path, given: object) -> None:
    for adapter in (COCOEE, AuthorsArchive):
        with pytest.raises(BadInputError, match=r"^dataset\.pictures\.mask_values: expected \[KNOWN,HOLE\]"):
            adapter(tmp_path, mask_values=given)  # type: ignore[arg-type]
    assert mask_values([0, 1]) == MaskValues(0, 1)


def turned(path: Path, upright: Image.Image, orientation: int) -> None:
    """Save a picture that stands upright once EXIF is applied."""
    back = {6: Image.Transpose.ROTATE_90, 3: Image.Transpose.ROTATE_180, 8: Image.Transpose.ROTATE_270}
    exif = Image.Exif()
    exif[274] = orientation
    upright.transpose(back[orientation]).save(path, exif=exif)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_picture_and_mask_are_compared_upright(tmp_path: Path, orientation: int) -> None:
    scene = Image.merge("RGB", (box(200, 20), box(10, 90), box(60, 50)))
    turned(tmp_path / "a.png", scene, orientation)
    box().save(tmp_path / "upright.png")
    turned(tmp_path / "turned.png", box(), orientation)
    for name in ("upright.png", "turned.png"):
        picture = Picture("a", tmp_path / "a.png", "a", mask=tmp_path / name)
        item, _ = item_of_files(picture, resolution=32, squaring=Squaring("squash"))
        assert np.array_equal(item.mask, EXPECTED_HOLE)
        assert item.image[item.mask == 1][:, 0].mean() > 170


def test_a_mask_in_the_orientation_of_the_stored_pixels_is_refused(tmp_path: Path) -> None:
    turned(tmp_path / "a.png", box().convert("RGB"), 6)
    box().transpose(Image.Transpose.ROTATE_90).save(tmp_path / "m.png")
    with pytest.raises(
        BadInputError,
        match=r"m\.png: expected a mask with the size of its image, 24×32, found 32×24 \(sizes after any EXIF",
    ):
        item_of_files(
            Picture("a", tmp_path / "a.png", "a", mask=tmp_path / "m.png"), resolution=32, squaring=Squaring("squash")
        )
