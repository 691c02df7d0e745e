"""Prepared items: made once, the same from the same pictures, and nothing left out without a word."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.items import Picture, inpainting_item
from bench.data.manifest import BLOCK, Items, prepare_items
from bench.data.masks import preset
from bench.errors import BadInputError

MASKS = preset("thick_512@32")
SIDE = 32


@dataclass
class Listed:
    """An adapter of these pictures."""

    pictures: list[Picture]
    masks: str = "drawn"
    fit: str = "lama"
    subset: str = "custom"

    def __iter__(self) -> Iterator[Picture]:
        return iter(self.pictures)


def draw(path: Path, number: int) -> Picture:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(levels).resize((44, 36), Image.Resampling.NEAREST).save(path)
    return Picture(path.stem, path, path.stem)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    """A few pictures, each of which gives an item."""
    drawn = (draw(tmp_path / "pictures" / f"{number}.png", number) for number in range(20))
    kept = [picture for picture in drawn if inpainting_item(picture, resolution=SIDE, masks=MASKS, seed=0) is not None]
    return kept[:6]


def rejected(folder: Path) -> Picture:
    """A picture all of whose masks are too large, as about one in sixty is."""
    first = draw(folder / "first.png", 0)
    for number in range(2000):
        picture = replace(first, id=f"try{number}")
        if inpainting_item(picture, resolution=SIDE, masks=MASKS, seed=0) is None:
            return picture
    raise AssertionError("no picture is ever left out")


def prepare(folder: Path, pictures: list[Picture], *, limit: int | None = None, seed: int = 0) -> Items:
    return prepare_items(folder, Listed(pictures), resolution=SIDE, masks=MASKS, seed=seed, limit=limit)


def sets(folder: Path) -> list[Path]:
    """What is finished or half finished in the folder."""
    return sorted(path for path in folder.iterdir() if path.is_dir())


def test_pixels_come_back_as_they_were_made(tmp_path: Path, pictures: list[Picture]) -> None:
    items = prepare(tmp_path / "items", pictures)
    assert len(items) == len(pictures) == 6
    for picture, found, line in zip(pictures, items.read(0, 6), items.lines(), strict=True):
        expected = inpainting_item(picture, resolution=SIDE, masks=MASKS, seed=0)
        assert expected is not None
        assert (found.id, found.source) == (line["id"], line["source"]) == (picture.id, picture.source)
        assert np.array_equal(found.image, expected.image)
        assert np.array_equal(found.mask, expected.mask)
        assert line["mask_area"] == expected.mask_area
        assert (line["image"], line["mask"]) == (expected.image_sha256, expected.mask_sha256)
    assert [item.id for item in items.pick([4, 0])] == [pictures[4].id, pictures[0].id]
    assert [item.id for item in items.read(2, 4)] == [line["id"] for line in items.lines(2, 4)]


def test_the_same_call_writes_nothing_again(tmp_path: Path, pictures: list[Picture]) -> None:
    folder = tmp_path / "items"
    first = prepare(folder, pictures)
    (made,) = sets(folder)
    before = {path: path.stat().st_mtime_ns for path in (made, *made.iterdir())}
    again = prepare(folder, pictures)
    assert sets(folder) == [made]
    assert {path: path.stat().st_mtime_ns for path in (made, *made.iterdir())} == before
    assert again.manifest == first.manifest
    assert again.hash == first.hash


def test_a_changed_picture_gives_other_items(tmp_path: Path, pictures: list[Picture]) -> None:
    folder = tmp_path / "items"
    before = prepare(folder, pictures)
    draw(pictures[2].path, 99)
    after = prepare(folder, pictures)
    assert len(sets(folder)) == 2
    changed = [one != other for one, other in zip(before.lines(), after.lines(), strict=True)]
    assert changed == [False, False, True, False, False, False]
    assert after.hash != before.hash


def test_every_setting_gives_items_of_its_own(tmp_path: Path, pictures: list[Picture]) -> None:
    folder = tmp_path / "items"
    prepare(folder, pictures)
    prepare(folder, pictures, seed=1)
    prepare(folder, pictures, limit=6)
    prepare(folder, pictures[::-1])
    prepare_items(folder, Listed(pictures), resolution=16, masks=MASKS, seed=0, limit=None)
    prepare_items(folder, Listed(pictures), resolution=SIDE, masks=preset("thick_256@32"), seed=0, limit=None)
    assert len(sets(folder)) == 6


def test_the_hash_is_of_what_the_items_are_and_not_of_where_they_lie(tmp_path: Path, pictures: list[Picture]) -> None:
    items = prepare(tmp_path / "items", pictures)
    moved = [replace(picture, path=picture.path.rename(tmp_path / picture.path.name)) for picture in pictures]
    assert prepare(tmp_path / "elsewhere", moved).hash == items.hash
    lines = items.lines()
    other = {**lines[3], "mask": lines[4]["mask"]}
    assert (
        Items({**items.manifest, "items": [*lines[:3], other, *lines[4:]]}, items.table, items.folder).hash
        != items.hash
    )
    assert Items({**items.manifest, "items": lines[::-1]}, items.table, items.folder).hash != items.hash


def test_a_limit_takes_the_first_items(tmp_path: Path, pictures: list[Picture]) -> None:
    whole = prepare(tmp_path / "items", pictures)
    few = prepare(tmp_path / "items", pictures, limit=4)
    assert few.lines() == whole.lines(0, 4)
    assert len(few.read(0, 4)) == 4
    assert prepare(tmp_path / "items", pictures, limit=100).lines() == whole.lines()


def test_a_limit_counts_items_and_not_pictures(tmp_path: Path, pictures: list[Picture]) -> None:
    items = prepare(tmp_path / "items", [rejected(tmp_path), *pictures], limit=4)
    assert [line["id"] for line in items.lines()] == [picture.id for picture in pictures[:4]]


def test_what_the_masks_leave_out_is_named_every_time(
    tmp_path: Path, pictures: list[Picture], caplog: pytest.LogCaptureFixture
) -> None:
    dropped = rejected(tmp_path)
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            items = prepare(tmp_path / "items", [pictures[0], dropped, pictures[1]])
        assert items.manifest["dropped"] == [dropped.id]
        assert [line["id"] for line in items.lines()] == [pictures[0].id, pictures[1].id]
        assert f"left out 1 picture(s), all of whose masks cover more than half of them: {dropped.id}" in caplog.text


def spoil(picture: Picture) -> None:
    data = picture.path.read_bytes()
    picture.path.write_bytes(data[: len(data) // 2])


def copies(pictures: list[Picture], count: int) -> list[Picture]:
    """Many good pictures that are one file under ids of their own."""
    return [replace(pictures[0], id=f"copy{number}") for number in range(count)]


def test_one_broken_picture_in_many_is_named(
    tmp_path: Path, pictures: list[Picture], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(pictures[1])
    with caplog.at_level(logging.WARNING):
        items = prepare(tmp_path / "items", [pictures[1], *copies(pictures, 110)])
    assert list(items.manifest["broken"]) == [pictures[1].id]
    assert str(pictures[1].path) in items.manifest["broken"][pictures[1].id]
    assert f"left out a broken picture: {pictures[1].path}" in caplog.text
    assert len(items) + len(items.manifest["dropped"]) == 110
    blocks = list(items.blocks())
    assert blocks[0] == (0, BLOCK)
    assert [line for start, stop in blocks for line in items.lines(start, stop)] == items.lines()


def test_more_than_one_broken_picture_in_a_hundred_is_refused(tmp_path: Path, pictures: list[Picture]) -> None:
    spoil(pictures[1])
    pictures[2].path.unlink()
    with pytest.raises(BadInputError, match=r"^2 of 112 pictures are broken, more than 1 %") as caught:
        prepare(tmp_path / "items", [*pictures[1:3], *copies(pictures, 110)])
    assert str(pictures[1].path) in str(caught.value)
    assert str(pictures[2].path) in str(caught.value)
    assert sets(tmp_path / "items") == []


def test_no_item_at_all_is_refused(tmp_path: Path) -> None:
    for pictures in ([], [rejected(tmp_path)]):
        with pytest.raises(BadInputError, match=rf"^dataset: no item comes of {len(pictures)} pictures"):
            prepare(tmp_path / "items", pictures)
    assert sets(tmp_path / "items") == []


def write_mask(path: Path, levels: np.ndarray) -> Path:
    Image.fromarray(levels.astype(np.uint8)).save(path)
    return path


def with_masks(folder: Path, pictures: list[Picture], levels: list[np.ndarray]) -> Listed:
    """The pictures squared, with masks of these levels."""
    found = []
    for picture, mask in zip(pictures, levels, strict=True):
        with Image.open(picture.path) as opened:
            opened.resize((SIDE, SIDE)).save(picture.path)
        path = write_mask(folder / f"{picture.id}_mask.png", mask)
        found.append(replace(picture, mask=path, exemplar=picture.path, caption=f"picture {picture.id}"))
    return Listed(found, "given", "squash", "custom")


def box(level: int, rest: int = 0) -> np.ndarray:
    mask = np.full((SIDE, SIDE), rest)
    mask[4:12, 6:20] = level
    return mask


def prepared(folder: Path, adapter: Listed) -> Items:
    return prepare_items(folder, adapter, resolution=SIDE, masks=MASKS, seed=0, limit=None)


def test_given_masks_are_taken_at_half_and_grey_ones_counted(tmp_path: Path, pictures: list[Picture]) -> None:
    adapter = with_masks(tmp_path, pictures[:3], [box(255), box(200), box(255, 100)])
    items = prepared(tmp_path / "items", adapter)
    assert items.manifest["grey_masks"] == 2
    for item, picture, line in zip(items.read(0, 3), adapter, items.lines(), strict=True):
        assert np.array_equal(item.mask, box(1))
        assert np.array_equal(item.image, np.asarray(Image.open(picture.path)))
        assert item.exemplar is not None
        assert np.array_equal(item.exemplar, item.image)
        assert item.caption == picture.caption
        assert line["image"] == item.image_sha256
        assert all(line[key] for key in ("mask", "caption", "exemplar"))


def test_masks_that_look_inverted_are_asked_about(tmp_path: Path, pictures: list[Picture]) -> None:
    adapter = with_masks(tmp_path, pictures[:2], [box(0, 255), box(0, 255)])
    with pytest.raises(BadInputError, match="found 89% on average; are they inverted"):
        prepared(tmp_path / "items", adapter)
    assert sets(tmp_path / "items") == []


def test_a_mask_of_another_size_is_named(tmp_path: Path, pictures: list[Picture]) -> None:
    adapter = with_masks(tmp_path, pictures[:1], [np.zeros((SIDE, SIDE + 1))])
    with pytest.raises(BadInputError, match=r"0_mask\.png: expected a mask of its image's size 32×32, found 33×32"):
        prepared(tmp_path / "items", adapter)


def test_where_only_words_are_given_everything_is_to_be_generated(tmp_path: Path, pictures: list[Picture]) -> None:
    said = [
        replace(picture, id=f"{picture.id}-{number}", caption=f"words {number}", reference=number == 0)
        for picture in pictures[:2]
        for number in range(3)
    ]
    items = prepared(tmp_path / "items", Listed(said, "whole", "crop"))
    assert items.references == [0, 3]
    assert {line["mask"] for line in items.lines()} == {None}
    assert [item.caption for item in items.read(0, 6)] == [f"words {number}" for number in (0, 1, 2) * 2]
    assert all(item.mask.all() for item in items.read(0, 6))
    assert len({line["image"] for line in items.lines()}) == 2
    assert items.lines()[4]["image"] == items.read(4, 5)[0].image_sha256


def test_one_id_for_two_pictures_is_refused(tmp_path: Path, pictures: list[Picture]) -> None:
    with pytest.raises(BadInputError, match=f"found 1 repeated: {pictures[0].id}"):
        prepare(tmp_path / "items", [*pictures, pictures[0]])
