"""Tests of prefetched items: blocks are equal in any order, and only the next block is read ahead."""

from pathlib import Path

import numpy as np
import pytest

from bench.data.items import Item
from bench.data.masks import preset
from bench.data.mini.places import write_places
from bench.data.places import Places
from bench.data.prefetch import ReadAhead
from bench.data.prepared import Items, prepare_items

SPANS = [(0, 3), (3, 6), (6, 8)]


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Items:
    folder = tmp_path_factory.mktemp("reading")
    root = write_places(folder, "val", pictures=12, seed=0)
    pictures = Places(root, "test_list.txt")
    return prepare_items(folder / "items", pictures, resolution=64, masks=preset("thick_512@64"), seed=0, limit=8)


class Watched(Items):
    """Record which items are read."""

    def read(self, start: int, stop: int) -> list[Item]:
        self.manifest.setdefault("read", []).append((start, stop))
        return super().read(start, stop)


@pytest.mark.property
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1], [0, 2], [0, 0]])
def test_prefetched_blocks_equal_those_read_directly_in_any_order(items: Items, order: list[int]) -> None:
    watched = Watched({**items.manifest}, items.table, items.folder)
    with ReadAhead(watched, SPANS) as ahead:
        for place in order:
            for found, expected in zip(ahead.read(SPANS[place]), items.read(*SPANS[place]), strict=True):
                assert found.id == expected.id
                assert np.array_equal(found.image, expected.image)
    following = {SPANS[place] for place in order} | {SPANS[place + 1] for place in order if place < 2}
    assert set(watched.manifest["read"]) <= following


@pytest.mark.blackbox
def test_blocks_read_in_order_are_read_once(items: Items) -> None:
    watched = Watched({**items.manifest}, items.table, items.folder)
    with ReadAhead(watched, SPANS) as ahead:
        for span in SPANS:
            ahead.read(span)
    assert watched.manifest["read"] == SPANS


@pytest.mark.blackbox
def test_a_read_error_is_raised_where_the_block_is_requested(items: Items, tmp_path: Path) -> None:
    lines = [{**line, "image": "0" * 64} if place == 4 else line for place, line in enumerate(items.lines())]
    copy = tmp_path / "items"
    copy.mkdir()
    broken = Items({**items.manifest, "items": lines}, items.table, copy)
    with ReadAhead(broken, SPANS) as ahead:
        assert len(ahead.read(SPANS[0])) == 3
        with pytest.raises(Exception, match=f"item {lines[4]['id']} was changed"):
            ahead.read(SPANS[1])
