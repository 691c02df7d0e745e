"""Tests of the items of later turns: their masks, their images and the lines by which a store distinguishes them."""

from pathlib import Path

import numpy as np
import pytest

from bench.data.edited import EditedItems, SavedImages, TurnMasks
from bench.data.masks import MAX_HOLE
from bench.data.prepared import Items
from tests.helpers.prepared_items import MASKS, draw, prepare

TURNS = range(1, 7)


@pytest.fixture
def items(tmp_path: Path) -> Items:
    return prepare(tmp_path / "items", [draw(tmp_path / "pictures" / f"{number}.png", number) for number in range(5)])


@pytest.mark.property
def test_moving_masks_differ_between_turns_and_items_and_are_drawn_again_alike(items: Items) -> None:
    firsts = dict(zip(items.ids, items.masks(0, len(items)), strict=True))
    masks = TurnMasks(True, MASKS, 0)
    drawn = {(name, turn): masks.of(name, first, turn).tobytes() for name, first in firsts.items() for turn in TURNS}
    assert len(set(drawn.values())) == len(drawn)
    again = {
        (name, turn): TurnMasks(True, MASKS, 0).of(name, firsts[name], turn).tobytes() for name, turn in reversed(drawn)
    }
    assert again == drawn
    other = {key: TurnMasks(True, MASKS, 1).of(key[0], firsts[key[0]], key[1]).tobytes() for key in drawn if key[1] > 1}
    assert all(other[key] != drawn[key] for key in other)
    for (name, turn), found in drawn.items():
        mask = np.frombuffer(found, np.uint8)
        assert 0 < mask.mean() <= MAX_HOLE, (name, turn)


@pytest.mark.property
def test_the_holes_until_a_turn_are_the_union_of_its_masks(items: Items) -> None:
    masks = TurnMasks(True, MASKS, 0)
    for name, first in zip(items.ids, items.masks(0, len(items)), strict=True):
        union = np.zeros_like(first)
        for turn in TURNS:
            union |= masks.of(name, first, turn)
            assert np.array_equal(masks.until(name, first, turn), union)


@pytest.mark.property
def test_fixed_masks_are_the_items_own_in_every_turn(items: Items) -> None:
    masks = TurnMasks(False, MASKS, 0)
    for name, first in zip(items.ids, items.masks(0, len(items)), strict=True):
        for turn in TURNS:
            assert np.array_equal(masks.of(name, first, turn), first)
            assert np.array_equal(masks.until(name, first, turn), first)


@pytest.mark.blackbox
def test_edited_items_have_the_given_images_and_masks_and_lines_of_their_own(items: Items) -> None:
    masks = TurnMasks(True, MASKS, 0)
    pictures = np.random.default_rng(0).integers(0, 256, (len(items), *items.masks(0, 1).shape[1:], 3), dtype=np.uint8)
    edited = EditedItems.of(
        items, lambda name, first: masks.of(name, first, 2), SavedImages(["key"], lambda number: pictures)
    )
    assert edited.ids == items.ids
    assert edited.sources == items.sources
    assert list(edited.blocks()) == list(items.blocks())
    for place, (item, own) in enumerate(zip(edited.read(0, 5), items.read(0, 5), strict=True)):
        assert np.array_equal(item.image, pictures[place])
        assert np.array_equal(item.mask, masks.of(own.id, own.mask, 2))
        line = edited.lines()[place]
        assert line["image"] == f"key/{place}"
        assert line["mask"] == item.mask_sha256 != items.lines()[place]["mask"]
        assert line["mask_area"] == item.mask_area
    assert np.array_equal(edited.pick([3])[0].image, pictures[3])
    assert edited.hash != items.hash
    assert np.array_equal(edited.masks(1, 3), np.stack([item.mask for item in edited.read(1, 3)]))
    same = EditedItems.of(items, lambda name, first: first)
    assert same.hash == items.hash
