"""Tests of captions without pictures as a data set: items have a caption and a grey image that stands for nothing."""

from pathlib import Path

import numpy as np
import pytest

from bench.data.items import GREY, Item, Picture, inpainting_item
from bench.data.masks import preset
from bench.data.prompts import Prompts
from bench.errors import BadInputError
from bench.evaluation.scoring import _measurable
from bench.metrics.measure import Measure
from tests.helpers.prepared_items import SIDE, Listed, prepared

pytestmark = pytest.mark.blackbox


def written(folder: Path, text: str) -> Path:
    path = folder / "prompts.csv"
    path.write_text(text)
    return path


def test_captions_are_numbered_or_named(tmp_path: Path) -> None:
    numbered = list(Prompts(written(tmp_path, "prompt\na cat\na dog\n")))
    assert [(one.id, one.source, one.caption) for one in numbered] == [
        ("000001", "000001", "a cat"),
        ("000002", "000002", "a dog"),
    ]
    named = Prompts(written(tmp_path, "file,prompt\ncat.png,a cat\nbirds/dog,a dog\n"))
    assert [one.id for one in named] == ["cat.png", "birds/dog"]
    assert not any(one.reference or one.path for one in [*numbered, *named])
    with pytest.raises(BadInputError, match="expected each name once, found 1 repeated: a"):
        list(Prompts(written(tmp_path, "file,prompt\na,x\na,y\n")))


@pytest.mark.parametrize("task", ["inpainting", "editing", None])
def test_other_tasks_need_pictures(tmp_path: Path, task: str | None) -> None:
    with pytest.raises(BadInputError, match="dataset: expected pictures, because this table's task is"):
        list(Prompts(written(tmp_path, "prompt\na cat\n"), task))


def test_items_have_no_hash_of_an_image_and_are_read_again(tmp_path: Path) -> None:
    items = prepared(tmp_path / "items", Prompts(written(tmp_path, "prompt\na cat\na dog\n")))
    assert [line["image"] for line in items.lines()] == [None, None]
    assert items.references == []
    for item, caption in zip(items.read(0, 2), ("a cat", "a dog"), strict=True):
        assert (item.caption, item.pictured, item.mask_area) == (caption, False, 1)
        assert item.image.shape == (SIDE, SIDE, 3)
        assert (item.image == GREY).all()


def test_other_adapters_may_not_leave_out_the_picture(tmp_path: Path) -> None:
    picture = Picture("a", None, "a", caption="a cat")
    with pytest.raises(
        BadInputError, match=r"dataset\.pictures: expected the path of a picture, found None for the item a"
    ):
        prepared(tmp_path / "items", Listed([picture], masks="whole", fit="squash"))
    with pytest.raises(BadInputError, match="item a: expected a picture in which a mask can be drawn"):
        inpainting_item(picture, resolution=SIDE, masks=preset("thick_512@32"), seed=0)


class Mixed(Measure):
    """A measure with a value that compares with the truth, one that does not, and features."""

    without_truth = ("alone",)


def test_only_values_that_need_no_true_picture_are_kept() -> None:
    arrays = {"compared": np.ones(2), "alone": np.ones(2), "features": np.ones((2, 3))}
    grey, mask = np.full((4, 4, 3), GREY, np.uint8), np.ones((4, 4), np.uint8)
    items = [Item("a", "a", grey, mask), Item("b", "b", grey, mask, pictured=False)]
    found = _measurable(arrays, Mixed, items)  # type: ignore[arg-type]  # only the attribute is read
    assert np.array_equal(found["compared"], [1, np.nan], equal_nan=True)
    assert np.array_equal(found["alone"], [1, 1])
    assert np.array_equal(found["features"], arrays["features"])
    assert _measurable(arrays, Mixed, items[:1]) is arrays  # type: ignore[arg-type]
