"""Items read ahead: the same blocks in any order, and none that nobody asked for but the next."""

from pathlib import Path

import numpy as np
import pytest

from bench.data.items import Item
from bench.data.manifest import Items, prepare_items
from bench.data.masks import preset
from bench.data.mini.places import write_places
from bench.data.places import Places
from bench.data.reading import ReadAhead

SPANS = [(0, 3), (3, 6), (6, 8)]


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Items:
    folder = tmp_path_factory.mktemp("reading")
    root = write_places(folder, "val", pictures=12, seed=0)
    pictures = Places(root, "test_list.txt")
    return prepare_items(folder / "items", pictures, resolution=64, masks=preset("thick_512@64"), seed=0, limit=8)


class Watched(Items):
    """Items that know what was read of them."""

    def read(self, start: int, stop: int) -> list[Item]:
        self.manifest.setdefault("read", []).append((start, stop))
        return super().read(start, stop)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1], [0, 2], [0, 0]])
def test_blocks_are_what_reading_them_gives_in_any_order(items: Items, order: list[int]) -> None:
    watched = Watched({**items.manifest}, items.table, items.folder)
    with ReadAhead(watched, SPANS) as ahead:
        for place in order:
            for found, expected in zip(ahead.read(SPANS[place]), items.read(*SPANS[place]), strict=True):
                assert found.id == expected.id
                assert np.array_equal(found.image, expected.image)
    following = {SPANS[place] for place in order} | {SPANS[place + 1] for place in order if place < 2}
    assert set(watched.manifest["read"]) <= following


def test_in_order_every_block_is_read_once(items: Items) -> None:
    watched = Watched({**items.manifest}, items.table, items.folder)
    with ReadAhead(watched, SPANS) as ahead:
        for span in SPANS:
            ahead.read(span)
    assert watched.manifest["read"] == SPANS


def test_what_cannot_be_read_is_said_where_it_is_wanted(items: Items, tmp_path: Path) -> None:
    lines = [{**line, "image": "0" * 64} if place == 4 else line for place, line in enumerate(items.lines())]
    copy = tmp_path / "items"
    copy.mkdir()
    broken = Items({**items.manifest, "items": lines}, items.table, copy)
    with ReadAhead(broken, SPANS) as ahead:
        assert len(ahead.read(SPANS[0])) == 3
        with pytest.raises(Exception, match=f"item {lines[4]['id']} is not what the manifest says"):
            ahead.read(SPANS[1])
