"""Tests of prepared items: they are made once, are repeatable, and every omission is reported."""

import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.folder import FolderPictures
from bench.data.items import Picture, inpainting_item
from bench.data.masks import preset
from bench.data.prepared import BLOCK, Items, prepare_items
from bench.errors import BadInputError
from tests.helpers.prepared_items import MASKS, SIDE, Listed, draw, prepare, prepared, sets

pytestmark = pytest.mark.blackbox


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    """Return a few pictures, each of which gives an item."""
    drawn = (draw(tmp_path / "pictures" / f"{number}.png", number) for number in range(20))
    kept = [picture for picture in drawn if inpainting_item(picture, resolution=SIDE, masks=MASKS, seed=0) is not None]
    return kept[:6]


def rejected(folder: Path) -> Picture:
    """Return a picture all of whose masks are too large, which is true of about one in sixty."""
    first = draw(folder / "first.png", 0)
    for number in range(2000):
        picture = replace(first, id=f"try{number}")
        if inpainting_item(picture, resolution=SIDE, masks=MASKS, seed=0) is None:
            return picture
    raise AssertionError("no picture is ever left out")


def test_prepared_pixels_are_read_back_unchanged(tmp_path: Path, pictures: list[Picture]) -> None:
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


def test_a_repeated_call_writes_nothing(tmp_path: Path, pictures: list[Picture]) -> None:
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


def test_the_hash_depends_on_the_items_and_not_on_their_folder(tmp_path: Path, pictures: list[Picture]) -> None:
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


def test_pictures_without_a_valid_mask_are_named_every_time(
    tmp_path: Path, pictures: list[Picture], caplog: pytest.LogCaptureFixture
) -> None:
    dropped = rejected(tmp_path)
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            items = prepare(tmp_path / "items", [pictures[0], dropped, pictures[1]])
        assert items.manifest["dropped"] == [dropped.id]
        assert [line["id"] for line in items.lines()] == [pictures[0].id, pictures[1].id]
        assert (
            f"1 picture(s) are left out, because each mask that was drawn for them covers more than half of the image: "
            f"{dropped.id}" in caplog.text
        )


def spoil(picture: Picture) -> None:
    data = picture.path.read_bytes()
    picture.path.write_bytes(data[: len(data) // 2])


def copies(pictures: list[Picture], count: int) -> list[Picture]:
    """Return many valid pictures of one file with different ids."""
    return [replace(pictures[0], id=f"copy{number}") for number in range(count)]


def test_one_broken_picture_among_many_is_named(
    tmp_path: Path, pictures: list[Picture], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(pictures[1])
    with caplog.at_level(logging.WARNING):
        items = prepare(tmp_path / "items", [pictures[1], *copies(pictures, 110)])
    assert list(items.manifest["broken"]) == [pictures[1].id]
    assert str(pictures[1].path) in items.manifest["broken"][pictures[1].id]
    assert f"a broken picture is left out: {pictures[1].path}" in caplog.text
    assert len(items) + len(items.manifest["dropped"]) == 110
    blocks = list(items.blocks())
    assert blocks[0] == (0, BLOCK)
    assert [line for start, stop in blocks for line in items.lines(start, stop)] == items.lines()


def test_more_than_one_broken_picture_in_a_hundred_is_refused(tmp_path: Path, pictures: list[Picture]) -> None:
    spoil(pictures[1])
    pictures[2].path.unlink()
    with pytest.raises(
        BadInputError, match=r"^dataset: expected at most 1 % broken pictures, found 2 of 112, such as: "
    ) as caught:
        prepare(tmp_path / "items", [*pictures[1:3], *copies(pictures, 110)])
    assert str(pictures[1].path) in str(caught.value)
    assert str(pictures[2].path) in str(caught.value)
    assert sets(tmp_path / "items") == []


WRONG = {
    "line": lambda manifest: manifest["items"].__setitem__(0, []),
    "source": lambda manifest: manifest["items"][0].update(source=None),
    "area": lambda manifest: manifest["items"][0].update(mask_area="half"),
    "large": lambda manifest: manifest["items"][0].update(mask_area=2),
    "reference": lambda manifest: manifest["items"][0].update(reference="no"),
    "resolution": lambda manifest: manifest.update(resolution=str(SIDE)),
    "dropped": lambda manifest: manifest.update(dropped=None),
    "broken": lambda manifest: manifest.update(broken=["a"]),
    "left_out": lambda manifest: manifest.pop("left_out"),
    "grey_masks": lambda manifest: manifest.update(grey_masks="none"),
}
"""Wrong types in a manifest that is valid JSON."""


@pytest.mark.parametrize("key", WRONG)
def test_a_manifest_of_wrong_types_is_put_aside_and_made_again(
    tmp_path: Path, pictures: list[Picture], key: str
) -> None:
    before = prepare(tmp_path / "items", pictures)
    (path,) = (tmp_path / "items").glob("*/manifest.json")
    manifest = json.loads(path.read_text())
    WRONG[key](manifest)
    path.write_text(json.dumps(manifest))
    path.with_name("SHA256SUMS").unlink()
    assert prepare(tmp_path / "items", pictures).manifest == before.manifest
    assert [folder.suffix for folder in sorted((tmp_path / "items").iterdir())] == ["", ".damaged"]


def test_a_wrong_area_or_source_in_the_manifest_is_treated_as_damage(tmp_path: Path, pictures: list[Picture]) -> None:
    items = prepare(tmp_path / "items", pictures)
    (item,) = items.read(0, 1)
    line = items.lines()[0]
    assert items.changed(item, line) == []
    assert items.changed(item, line | {"source": "another"}) == ["source"]
    assert items.changed(item, line | {"mask_area": line["mask_area"] / 2}) == ["mask_area"]


def test_a_data_set_without_items_is_refused(tmp_path: Path) -> None:
    for pictures in ([], [rejected(tmp_path)]):
        with pytest.raises(
            BadInputError, match=rf"^dataset: expected at least one picture .*, found none in {len(pictures)} pictures"
        ):
            prepare(tmp_path / "items", pictures)
    assert sets(tmp_path / "items") == []


def test_names_that_are_not_utf8_are_escaped_in_the_note(tmp_path: Path) -> None:
    root = Path(os.fsdecode(b"%s/\xff" % os.fsencode(tmp_path)))
    for number in range(6):
        draw(root / f"{number}.png", number)
    (root / os.fsdecode(b"\xfe.txt")).write_text("no picture")
    made = [prepared(tmp_path / "items", FolderPictures(root)) for _ in range(2)]
    assert made[0].hash == made[1].hash
    assert [name.partition("~")[0] for name in made[1].manifest["left_out"]] == [r"\xfe.txt"]


def test_a_mask_whose_path_is_not_utf8_is_reported_as_broken(tmp_path: Path, pictures: list[Picture]) -> None:
    masked = with_masks(tmp_path, pictures, [box(255)] * len(pictures)).pictures
    path = write_mask(tmp_path / os.fsdecode(b"\xff.png"), box(0))
    listed = [*copies(masked, 120), replace(masked[0], id="wrong", mask=path)]
    for _ in range(2):
        found = prepared(tmp_path / "items", Listed(listed, "given", "squash"))
        assert r"\xff.png: expected a mask in black and white" in found.manifest["broken"]["wrong"]


STRANGE = {
    "number": (lambda picture: Listed([5]), "expected objects of the class Picture, found 5"),  # type: ignore[list-item]
    "path": (
        lambda picture: Listed([replace(picture, path="a.png")]),
        "expected Path objects as paths and a text as caption",
    ),
    "mask": (
        lambda picture: Listed([replace(picture, mask="a.png")]),
        "expected Path objects as paths and a text as caption",
    ),
    "caption": (
        lambda picture: Listed([replace(picture, caption="\udcff")]),
        "found a lone surrogate in the caption of",
    ),
    "masks": (
        lambda picture: Listed([picture], masks="none"),
        "masks: expected one of drawn, given, whole, found 'none'",
    ),
    "fit": (
        lambda picture: Listed([picture], fit="stretch"),
        "fit: expected one of lama, squash, crop, found 'stretch'",
    ),
    "failing": (lambda picture: {"no": "adapter"}, "expected an object that lists pictures, found AttributeError"),
    "none": (lambda picture: None, "expected an object that lists pictures, found AttributeError"),
}
"""Adapters that break their contract, and the messages about them."""


@pytest.mark.parametrize("case", STRANGE)
def test_an_adapter_that_breaks_its_contract_is_named(tmp_path: Path, pictures: list[Picture], case: str) -> None:
    make, says = STRANGE[case]
    with pytest.raises(BadInputError, match=rf"^dataset\.pictures.*{says}"):
        prepared(tmp_path / "items", make(pictures[0]))
    assert not (tmp_path / "items").exists()


def write_mask(path: Path, levels: np.ndarray) -> Path:
    Image.fromarray(levels.astype(np.uint8)).save(path)
    return path


def with_masks(folder: Path, pictures: list[Picture], levels: list[np.ndarray]) -> Listed:
    """Return square pictures with masks of the given levels."""
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


def test_given_masks_are_split_at_one_half_and_grey_ones_are_counted(tmp_path: Path, pictures: list[Picture]) -> None:
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


def test_masks_that_look_inverted_are_refused(tmp_path: Path, pictures: list[Picture]) -> None:
    adapter = with_masks(tmp_path, pictures[:2], [box(0, 255), box(0, 255)])
    with pytest.raises(BadInputError, match="on average, found 89%; if the holes are black"):
        prepared(tmp_path / "items", adapter)
    assert sets(tmp_path / "items") == []


def test_a_mask_of_another_size_is_named(tmp_path: Path, pictures: list[Picture]) -> None:
    adapter = with_masks(tmp_path, pictures[:1], [np.zeros((SIDE, SIDE + 1))])
    with pytest.raises(
        BadInputError, match=r"0_mask\.png: expected a mask with the size of its image, 32×32, found 33×32"
    ):
        prepared(tmp_path / "items", adapter)


def test_items_with_only_captions_have_full_masks(tmp_path: Path, pictures: list[Picture]) -> None:
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


def test_two_pictures_with_one_id_are_refused(tmp_path: Path, pictures: list[Picture]) -> None:
    with pytest.raises(BadInputError, match=f"found 1 repeated ids: {pictures[0].id}"):
        prepare(tmp_path / "items", [*pictures, pictures[0]])
