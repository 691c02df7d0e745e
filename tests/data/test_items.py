"""Tests of items from pictures of every mode, and from files that are not pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.imagenet import ImageNetValidation
from bench.data.items import Item, Picture, inpainting_item
from bench.data.masks import preset
from bench.data.mini.imagenet import write_imagenet
from bench.data.pictures import read_rgb
from bench.errors import BadInputError

MASKS = preset("thick_512@64")


def colours(width: int = 96, height: int = 72) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([columns * 2, rows * 3, 128 + 0 * rows], -1).astype(np.uint8))


@pytest.mark.blackbox
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "CMYK", "1"])
def test_every_mode_is_read_as_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png")
    colours().convert(mode).save(path)
    picture = read_rgb(path)
    assert (picture.mode, picture.size) == ("RGB", (96, 72))
    flat = {"RGBA": "RGB", "LA": "L"}.get(mode, mode)
    assert np.array_equal(np.asarray(picture), np.asarray(colours().convert(flat).convert("RGB")))


@pytest.mark.blackbox
def test_pictures_of_sixteen_bits_keep_their_range(tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    assert np.array_equal(np.asarray(read_rgb(tmp_path / "deep.png"))[..., 0].ravel(), np.arange(256))


@pytest.mark.blackbox
def test_transparent_pixels_are_blended_with_white(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    picture.putpixel((0, 0), (0, 0, 0, 255))  # what is transparent all over is refused
    picture.save(tmp_path / "clear.png")
    levels = np.asarray(read_rgb(tmp_path / "clear.png"))
    assert levels[0, 0].max() == 0
    assert levels.reshape(-1, 3)[1:].min() == 255


@pytest.mark.blackbox
def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    colours().save(tmp_path / "turned.jpg", exif=exif)
    assert read_rgb(tmp_path / "turned.jpg").size == (72, 96)


@pytest.mark.blackbox
def test_files_that_are_not_pictures_are_named(tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("not a picture")
    colours().save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    for name, found in (("gone.png", "no file"), ("note.png", "found a file of another type"), ("half.png", "broken")):
        with pytest.raises(BadInputError, match=rf"{name}.*{found}"):
            read_rgb(tmp_path / name)


@pytest.mark.property
@pytest.mark.parametrize(("width", "height"), [(96, 72), (72, 96), (40, 40), (64, 64), (300, 65)])
def test_an_item_is_a_square_with_a_mask_of_at_most_half(tmp_path: Path, width: int, height: int) -> None:
    colours(width, height).save(tmp_path / "a.png")
    made = [
        inpainting_item(Picture(f"{seed}", tmp_path / "a.png", "a"), resolution=64, masks=MASKS, seed=seed)
        for seed in range(8)
    ]
    items = [item for item in made if item is not None]
    assert items
    for item in items:
        assert item.image.shape == (64, 64, 3)
        assert item.mask.shape == (64, 64)
        assert 0 < item.mask_area <= 0.5


@pytest.mark.property
def test_an_item_depends_on_its_picture_its_id_and_the_seed(tmp_path: Path) -> None:
    colours().save(tmp_path / "a.png")

    def hashes(name: str, seed: int) -> tuple[str, str]:
        item = inpainting_item(Picture(name, tmp_path / "a.png", "a"), resolution=64, masks=MASKS, seed=seed)
        assert item is not None
        return item.image_sha256, item.mask_sha256

    assert hashes("a", 0) == hashes("a", 0)
    assert len({hashes("a", 0), hashes("b", 0), hashes("a", 1)}) == 3


@pytest.mark.reference
@pytest.mark.slow
def test_the_share_of_items_without_a_mask_agrees_with_lamas_rule(tmp_path: Path) -> None:
    pictures = list(ImageNetValidation(write_imagenet(tmp_path, "val", per_class=3)))
    made = [inpainting_item(picture, resolution=64, masks=MASKS, seed=0) for picture in pictures]
    kept = sum(item is not None for item in made)
    assert 0.95 <= kept / len(pictures) < 1


@pytest.mark.blackbox
def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(
        BadInputError, match=r"item a: expected an RGB image and a mask .*, found an image of 4×4 and a mask of 2×3"
    ):
        Item("a", "a", np.zeros((4, 4, 3), np.uint8), np.zeros((2, 3), np.uint8))
