"""Tests of a folder of pictures with masks, captions and exemplars: each picture gets its own, or all is refused."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.folder import FolderPictures
from bench.errors import BadInputError
from tests.helpers.prepared_items import SIDE, prepared

pytestmark = pytest.mark.blackbox

SIZE = (48, 36)
KEY = "56f23176c6600012f09b9105c022fc7741b363769c4b28cdebf08e39a3f1c78b"
MANIFEST = "2c1629d920c2bbd6940a18626b3750b1004c6178ce3c7920c029e29b58217e95"
"""Key in the store and hash of the manifest of two pictures, from before a folder could have masks and captions."""


def save(path: Path, number: int = 0, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(levels).save(path)
    return path


def save_mask(path: Path, box: tuple[int, int, int, int] = (8, 8, 24, 20), size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.new("L", size)
    mask.paste(255, box)
    mask.save(path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder of three pictures, beside which `masks`, `exemplars` and `captions.csv` belong to them."""
    for number, name in enumerate(("a.png", "b.jpg", "deep/c.webp")):
        save(tmp_path / "root" / name, number)
    for name in ("a.png", "b.png", "deep/c.png"):
        save_mask(tmp_path / "masks" / name)
        save(tmp_path / "exemplars" / name, 9, (20, 30))
    (tmp_path / "captions.csv").write_text("picture,caption\ndeep/c,a third\na.png,a first\nb.png,a second\n")
    return tmp_path / "root"


def full(root: Path) -> FolderPictures:
    beside = root.parent
    return FolderPictures(root, beside / "masks", beside / "captions.csv", beside / "exemplars")


def test_each_picture_gets_its_own_mask_caption_and_exemplar(root: Path) -> None:
    pictures = {picture.id: picture for picture in full(root)}
    assert list(pictures) == ["a.png", "b.jpg", "deep/c.webp"]
    assert [picture.caption for picture in pictures.values()] == ["a first", "a second", "a third"]
    for name, stem in (("a.png", "a"), ("b.jpg", "b"), ("deep/c.webp", "deep/c")):
        assert pictures[name].mask == root.parent / "masks" / f"{stem}.png"
        assert pictures[name].exemplar == root.parent / "exemplars" / f"{stem}.png"


@pytest.mark.parametrize(
    ("more", "masks", "fit"),
    [
        ({}, "drawn", "lama"),
        ({"masks_from": "masks"}, "given", "squash"),
        ({"captions_from": "c", "exemplars_from": "e"}, "drawn", "lama"),
        ({"masks_from": "masks", "task": "editing"}, "given", "squash"),
        ({"masks_from": "masks", "captions_from": "c", "task": "generation"}, "whole", "squash"),
    ],
)
def test_the_arguments_decide_where_masks_come_from(more: dict[str, str], masks: str, fit: str) -> None:
    pictures = FolderPictures("root", **more)
    assert (pictures.masks, pictures.fit) == (masks, fit)


def test_items_have_the_given_masks_and_exemplars(root: Path, tmp_path: Path) -> None:
    items = prepared(tmp_path / "items", full(root))
    assert (items.manifest["masks"], items.manifest["fit"]) == ("given", "squash")
    for item in items.read(0, 3):
        given = Image.open(root.parent / "masks" / "a.png").resize((SIDE, SIDE), Image.Resampling.NEAREST)
        assert np.array_equal(item.mask, np.asarray(given) > 0)
        assert item.caption
        assert item.exemplar is not None
        assert item.exemplar.shape == (30, 20, 3)


def test_items_of_pictures_alone_are_those_of_earlier_versions(tmp_path: Path) -> None:
    save(tmp_path / "root" / "a.png", 1)
    save(tmp_path / "root" / "deep" / "b.png", 2)
    (tmp_path / "root" / "notes.txt").write_text("no picture")
    items = prepared(tmp_path / "items", FolderPictures(tmp_path / "root", task="inpainting"))
    assert items.folder.name == KEY
    assert items.hash == MANIFEST


def test_texts_beside_the_pictures_are_captions_and_other_texts_are_left_out(root: Path) -> None:
    for stem in ("a", "b", "deep/c"):
        (root / f"{stem}.txt").write_text(f"caption of {stem}\n")
    (root / "README.txt").write_text("about the pictures")
    pictures = FolderPictures(root, captions_from=root)
    assert [picture.caption for picture in pictures] == ["caption of a", "caption of b", "caption of deep/c"]
    assert pictures.left_out == {"README.txt": "not a picture"}


def test_folders_inside_the_root_hold_no_further_pictures(root: Path, tmp_path: Path) -> None:
    for name in ("masks", "exemplars"):
        (tmp_path / name).rename(root / name)
    (root / "masks" / "notes.md").write_text("about the masks")
    (root / "texts" / "deep").mkdir(parents=True)
    for stem in ("a", "b", "deep/c"):
        (root / "texts" / f"{stem}.txt").write_text(stem)
    pictures = FolderPictures(root, root / "masks", root / "texts", root / "exemplars")
    assert [picture.id for picture in pictures] == ["a.png", "b.jpg", "deep/c.webp"]
    assert pictures.left_out == {"masks/notes.md": "not a picture"}


def refusal(pictures: FolderPictures) -> str:
    with pytest.raises(BadInputError) as caught:
        list(pictures)
    return str(caught.value)


@pytest.mark.parametrize(("part", "key"), [("masks", "dataset.masks"), ("exemplars", "dataset.exemplars")])
def test_one_message_names_pictures_and_partners_that_stand_alone(root: Path, part: str, key: str) -> None:
    folder = root.parent / part
    word = part.removesuffix("s")
    (folder / "a.png").rename(folder / "z.png")
    (folder / "deep" / "c.png").unlink()
    assert refusal(full(root)) == (
        f"{key}: expected in {folder} one {word} for each picture, found 2 of 3 pictures with no {word}: a.png, "
        f"deep/c.webp; and 1 of 2 {word}s with no picture: z.png"
    )


def test_no_pairing_at_all_is_one_message(root: Path, tmp_path: Path) -> None:
    save_mask(tmp_path / "others" / "1.png")
    said = refusal(FolderPictures(root, tmp_path / "others"))
    assert "found 3 of 3 pictures with no mask: a.png, b.jpg, deep/c.webp; and 1 of 1 masks with no picture" in said


def test_several_partners_of_a_picture_are_refused(root: Path, tmp_path: Path) -> None:
    save_mask(tmp_path / "masks" / "a.gif")
    assert "dataset.masks: expected pictures whose names differ even without their suffixes" in refusal(full(root))
    assert "found 2 pictures in" in refusal(full(root))
    assert "a.gif, a.png" in refusal(full(root))


def test_pictures_that_share_a_stem_are_refused_only_with_partners(root: Path) -> None:
    save(root / "a.bmp")
    assert "dataset.root: expected pictures whose names differ even without their suffixes" in refusal(full(root))
    assert len(list(FolderPictures(root))) == 4


def test_captions_are_paired_by_one_message(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text("picture,caption\na.png,x\nz.png,y\n")
    assert refusal(full(root)) == (
        f"dataset.captions: expected in {path} one caption for each picture, found 2 of 3 pictures with no caption: "
        "b.jpg, deep/c.webp; and 1 of 2 captions with no picture: z.png"
    )
    path.write_text("picture,caption\na.png,x\na,y\nb,x\ndeep/c,x\n")
    assert f"{path}: expected each name once, found 1 repeated: a" in refusal(full(root))


@pytest.mark.parametrize("part", ["masks", "exemplars"])
def test_a_missing_or_wrong_folder_is_named(root: Path, tmp_path: Path, part: str) -> None:
    for place, found in ((tmp_path / "none", "nothing"), (tmp_path / "captions.csv", "something that is not a folder")):
        said = refusal(FolderPictures(root, **{f"{part}_from": place}))
        assert said == f"dataset.{part}: expected a folder of {part}, found {found} at {place}"
    said = refusal(FolderPictures(root, **{f"{part}_from": root}))
    assert f"dataset.{part}: expected another folder than dataset.root" in said


def test_text_to_image_needs_captions(root: Path) -> None:
    assert "dataset.captions: expected captions" in refusal(FolderPictures(root, task="generation"))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (Image.new("L", (10, 10), 255), "expected a mask with the size of its image, 48×36, found 10×10"),
        (Image.new("L", SIZE, 0), "found no pixel of the hole"),
        (Image.new("L", SIZE, 255), "found no known pixel"),
        (Image.linear_gradient("L").resize(SIZE), "expected a mask in black and white"),
    ],
)
def test_masks_are_refused_as_those_of_other_data_sets(
    root: Path, tmp_path: Path, mask: Image.Image, message: str
) -> None:
    mask.save(tmp_path / "masks" / "a.png")
    with pytest.raises(BadInputError, match="1 of 3") as caught:
        prepared(tmp_path / "items", full(root))
    assert message in str(caught.value)
    assert str(tmp_path / "masks" / "a.png") in str(caught.value)


def test_soft_edges_are_cut_at_one_half_and_counted(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    soft = np.zeros(SIZE[::-1], np.uint8)
    soft[8:20, 8:24] = 255
    soft[8:20, 24] = 100
    Image.fromarray(soft).save(tmp_path / "masks" / "a.png")
    with caplog.at_level(logging.WARNING):
        items = prepared(tmp_path / "items", full(root))
    assert items.manifest["grey_masks"] == 1
    assert "1 mask(s) have grey pixels" in caplog.text


def test_mask_values_apply_to_the_given_masks(root: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "masks").rglob("*.png"):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    inverted = FolderPictures(root, tmp_path / "masks", mask_values=[255, 0])
    (first, *_) = prepared(tmp_path / "items", inverted).read(0, 1)
    assert 0 < first.mask_area < 0.5
    with pytest.raises(BadInputError, match=r"dataset\.pictures\.mask_values: expected \[KNOWN,HOLE\]"):
        FolderPictures(root, mask_values=[1, 1])
