"""Items and rows with known colours, holes and values, from which tests make the sheet of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bench.data.items import Item
from bench.reporting.choice import Compared, ComparedRows, choose
from bench.reporting.gallery import Gallery, fill
from bench.reporting.sheet import Places, Sheet, Thumbnails, thumbnails

__all__ = ["EVIL", "LPIPS", "PSNR", "Flat", "filled_gallery"]

EVIL = '</script><script>alert("x")</script>\u202e<!--\'&'
"""Text that ends an element of a page, and that changes the direction of writing."""
LPIPS = Compared("lpips", "LPIPS", False, 1.0, 4)
PSNR = Compared("psnr", f"PSNR {EVIL}", True, 1.0, 2)


class Flat:
    """Provide items and rows whose pictures have one colour each, and record the requests."""

    def __init__(self, count: int, rows: int, *, side: int = 16) -> None:
        self.count, self.side = count, side
        self.rows = [f"row{number}" for number in range(rows)]
        self.asked: list[list[int]] = []

    def colour(self, place: int, row: int) -> tuple[int, int, int]:
        """Return the colour of a row's image; row -1 is the input."""
        return (place * 37 % 200 + 20, (row + 1) * 50 % 200 + 20, place * 11 % 200 + 20)

    def _identifier(self, place: int) -> str:
        return f"item{place} {EVIL}" if place == 0 else f"item{place}"

    def item(self, place: int) -> Item:
        mask = np.zeros((self.side, self.side), np.uint8)
        mask[: 1 + place % (self.side - 2)] = 1
        return Item(
            self._identifier(place), f"source {place % 7}", self._pixels(place, -1), mask, caption=f"cat {place}"
        )

    def _pixels(self, place: int, row: int) -> np.ndarray:
        return np.full((self.side, self.side, 3), self.colour(place, row), np.uint8)

    def __call__(self, places: Sequence[int]) -> tuple[list[Item], Mapping[str, np.ndarray]]:
        self.asked.append(list(places))
        made = {
            row: np.stack([self._pixels(place, number) for place in places]) for number, row in enumerate(self.rows)
        }
        return [self.item(place) for place in places], made

    def read(self, places: Sequence[int]) -> tuple[list[Item], Mapping[str, np.ndarray]]:
        """Return items without images of rows."""
        return [self.item(place) for place in places], {}

    @property
    def manifest(self) -> list[dict[str, object]]:
        items = map(self.item, range(self.count))
        return [{"id": item.id, "source": item.source, "mask_area": item.mask_area} for item in items]

    @property
    def compared(self) -> ComparedRows:
        """The rows, with values of two metrics. The first row is the reference row."""
        draw = np.random.default_rng(5)
        values = {row: {"lpips": draw.random(self.count), "psnr": 20 + draw.random(self.count)} for row in self.rows}
        return ComparedRows(values, [LPIPS, PSNR], {row: row.capitalize() for row in self.rows}, self.rows[0])


def filled_gallery(images: Flat, **rooms: int) -> Gallery:
    """Return the gallery of all items, with a sheet."""
    rows = images.compared
    picks = choose(rows)

    def small(places: Places) -> Thumbnails | None:
        return thumbnails(places, images, images.read, rows.labels, **rooms)

    sheet = Sheet.of(images.manifest, rows, picks, small)
    return replace(fill(picks, images, rows, of=images.count), sheet=sheet)
