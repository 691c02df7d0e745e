"""Tests of the miniature COCO 2017, of the adapter that also reads the real data set, and of adjusted adapters."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.adjusted import Adjusted, adjusted, same_or_first
from bench.data.coco2017 import COCO2017Validation
from bench.data.imagenet import ImageNetValidation
from bench.data.items import Pictures
from bench.data.masks import preset
from bench.data.mini.coco2017 import write_coco2017
from bench.data.prepared import Items, prepare_items
from bench.data.squaring import Squaring
from bench.errors import BadInputError
from bench.runtime.defaults import with_defaults
from tests.helpers.prepared_items import Listed

pytestmark = pytest.mark.blackbox

COUNT, SIDE = 6, 48


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coco2017(tmp_path_factory.mktemp("data"), "val", images=COUNT)


def prepared(folder: Path, pictures: Pictures) -> Items:
    masks = preset(f"thick_512@{SIDE}")
    return prepare_items(folder / "items", pictures, resolution=SIDE, masks=masks, seed=0, limit=None)


def test_the_pictures_lie_in_val2017_with_twelve_digits_and_sides_of_4_to_3(root: Path) -> None:
    files = sorted((root / "val2017").iterdir())
    assert len(files) == COUNT
    sizes = set()
    for file in files:
        assert file.suffix == ".jpg"
        assert len(file.stem) == 12
        assert file.stem.isdecimal()
        with Image.open(file) as picture:
            sizes.add(picture.size)
    assert sizes <= {(128, 96), (96, 128)}


def test_each_picture_is_an_item_without_a_known_pixel(root: Path, tmp_path: Path) -> None:
    adapter = COCO2017Validation(root)
    assert [picture.id for picture in adapter] == sorted(path.stem for path in (root / "val2017").iterdir())
    assert (adapter.dataset, adapter.split, adapter.subset) == ("COCO 2017", "val", "custom")
    items = prepared(tmp_path, adapter)
    assert len(items) == COUNT == len(set(items.sources))
    assert {line["mask_area"] for line in items.lines()} == {1.0}
    with Image.open(root / "val2017" / f"{items.ids[0]}.jpg") as picture:
        expected = np.asarray(Squaring("crop").square(picture.convert("RGB"), SIDE))
    assert np.array_equal(items.read(0, 1)[0].image, expected)


def test_another_split_has_other_pictures(root: Path, tmp_path: Path) -> None:
    other = write_coco2017(tmp_path, "train", images=COUNT)
    hashes = [prepared(tmp_path / name, COCO2017Validation(folder)) for name, folder in (("a", root), ("b", other))]
    assert {line["image"] for line in hashes[0].lines()}.isdisjoint(line["image"] for line in hashes[1].lines())


def test_a_missing_folder_and_files_that_are_not_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"dataset\.root.*val2017"):
        list(COCO2017Validation(tmp_path))
    (tmp_path / "val2017").mkdir()
    (tmp_path / "val2017" / "notes.txt").write_text("no picture")
    with pytest.raises(BadInputError, match=r"expected pictures in .*val2017, found none"):
        list(COCO2017Validation(tmp_path))
    assert COCO2017Validation(tmp_path).left_out == {"notes.txt": "not a picture"}


def test_one_pixel_or_another_filter_gives_other_items_and_the_default_the_same(root: Path, tmp_path: Path) -> None:
    adapter = COCO2017Validation(root)
    assert adjusted(adapter, {"fit": "crop", "filter": "bicubic", "crop_offset": 0}) is adapter
    assert adjusted(adapter, {}) is adapter
    changes = ({}, {"crop_offset": 1}, {"filter": "bilinear"}, {"filter": "box_bicubic"}, {"fit": "squash"})
    found = [prepared(tmp_path, adjusted(adapter, change)) for change in changes]
    assert len({items.hash for items in found}) == len(changes)
    assert [items.squaring for items in found] == [
        Squaring("crop"),
        Squaring("crop", crop_offset=1),
        Squaring("crop", "bilinear"),
        Squaring("crop", "box_bicubic"),
        Squaring("squash"),
    ]
    for items in found:  # the pixels are read again from the files, in the same way
        assert [item.image_sha256 for item in items.read(0, COUNT)] == [line["image"] for line in items.lines()]
    assert not {"filter", "crop_offset"} & found[0].manifest.keys()


def test_pictures_with_drawn_masks_lose_them_if_they_are_cropped(root: Path, tmp_path: Path) -> None:
    pictures = with_defaults(Listed(list(COCO2017Validation(root))), Pictures)
    assert (pictures.masks, pictures.fit) == ("drawn", "lama")
    cropped = adjusted(pictures, {"fit": "crop"})
    assert (cropped.masks, cropped.fit, cropped.subset) == ("whole", "crop", "custom")
    by_lanczos = adjusted(pictures, {"filter": "lanczos"})
    assert (by_lanczos.masks, by_lanczos.fit) == ("drawn", "lama")
    assert prepared(tmp_path, by_lanczos).hash != prepared(tmp_path, pictures).hash


def test_given_masks_forbid_another_way(root: Path) -> None:
    given = with_defaults(Listed(list(COCO2017Validation(root)), "given", "squash"), Pictures)
    with pytest.raises(BadInputError, match=r"dataset\.fit: expected squash or null.*found crop"):
        adjusted(given, {"fit": "crop"})


def test_a_reference_set_has_the_same_ids_or_as_many_pictures(root: Path, tmp_path: Path) -> None:
    adapter, ids = COCO2017Validation(root), [picture.id for picture in COCO2017Validation(root)][1:4]
    assert [picture.id for picture in same_or_first(adapter, ids)] == ids
    first = [picture.id for picture in adapter][:3]
    assert [picture.id for picture in same_or_first(adapter, ["a", "b", "c"])] == first
    assert isinstance(same_or_first(adapter, ids), Adjusted)


def test_the_split_of_imagenet_is_the_name_of_its_folder() -> None:
    assert [ImageNetValidation(f"imagenet/{name}").split for name in ("val", "train", "other")] == [
        "val",
        "train",
        "val",
    ]
