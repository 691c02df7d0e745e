"""The sheet of a report: all items of a run with their values, and thumbnails of as many items as the page can hold.

The thumbnails are packed. A sprite is one WebP file with thumbnails of up to `BLOCK` items in a grid, and there is one
sprite for each block of items and each kind of picture, such as the masked picture or the image of a row.

Three rules keep the sheet small. The texts and values of the items need at most `MOST_LINES` bytes: if they need more,
the page leaves out values of the last metrics, and then the last items. At most `MOST_DECODED` images of rows are made
for the thumbnails, because each must be decoded again, and at most `MOST_READ` items are read. An item that is read,
but whose images of rows are not made, has thumbnails of its input pictures only. The thumbnails need at most `ROOM`
bytes: their side is the largest one in `SIDES` at which all of them are estimated to fit. If they do not fit even at
the smallest side, fewer items have thumbnails. The items with the largest differences to the reference row have
thumbnails before other items.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, islice
from typing import Any

import numpy as np
from jinja2.utils import htmlsafe_json_dumps
from PIL import Image

from bench.data.items import Item
from bench.reporting.choice import Compared, ComparedRows, Pick, extremes
from bench.reporting.pixels import AT_ONCE, Images, Pixels, data_url, given
from bench.runtime.text import printable

__all__ = ["Lines", "Places", "Sheet", "Strip", "Thumbnails", "lines_of", "pictured_places", "thumbnails"]

ROOM = 4_000_000
"""Largest size in bytes of all sprites together, as they are encoded in the page."""
MOST_LINES = 2_500_000
"""Estimated size in bytes of the texts and values of all items, as they are encoded in the page."""
MOST_DECODED = 1_536
"""Largest number of images of rows that are made for thumbnails."""
MOST_READ = 1_024
"""Largest number of items that have thumbnails."""
SIDES = (96, 80, 64, 48, 32)
"""Possible sides of a thumbnail in pixels. They are multiples of 16, so that neighbours share no block of the codec."""
COLUMNS = 16
"""Number of thumbnails in a line of a sprite."""
BLOCK = 128
"""Largest number of items in a sprite."""
PROBED = 16
"""Number of items whose thumbnails are encoded to estimate the size of all thumbnails."""
QUALITY = 60
OF_ROW = "row:"
"""Beginning of the names of pictures that are images of rows."""
GROUND = 128
"""Grey level of a sprite outside of the thumbnails."""
PER_LINE = 24
"""Estimated bytes of an item in addition to its id, its source and its values."""
PER_VALUE = 16 / 3
"""Bytes of a value: a number of 4 bytes in base64."""


@dataclass(frozen=True)
class Lines:
    """The texts and values of the items, in the order of the manifest."""

    ids: tuple[str, ...]
    sources: tuple[str, ...]
    areas: tuple[float, ...]
    """Fraction of each item's image that is hole, in [0, 1]."""
    values: Mapping[str, Mapping[str, str]]
    """Values of the items by row and metric: numbers of the type float32, little-endian, in base64."""
    of: int
    """Number of items of the run. There may be room for fewer items."""
    left_out: tuple[str, ...] = ()
    """Titles of metrics for whose values there is no room."""


@dataclass(frozen=True)
class Strip:
    """The thumbnails of one kind of picture, for all items that have thumbnails."""

    key: str
    """Name of the picture: `input`, `masked` or `exemplar`, or `row:` and the key of a row."""
    label: str
    sprites: tuple[str, ...]
    """One sprite for each block of items, as a `data:` address."""
    shapes: tuple[tuple[int, int], ...] | None
    """Width and height of each thumbnail in pixels, (0, 0) for a picture that the item does not have.

    None if each thumbnail fills its square. A smaller thumbnail lies in the upper left corner of its square.
    """


@dataclass(frozen=True)
class Thumbnails:
    """The thumbnails of some items."""

    side: int
    """Side in pixels of the square that a thumbnail has in a sprite."""
    places: tuple[int, ...]
    """Indices in the manifest of the items that have thumbnails, in the order of the thumbnails."""
    captions: tuple[str, ...]
    """Caption of each of these items; empty for an item without a caption."""
    strips: tuple[Strip, ...]
    with_rows: int
    """Number of items that have thumbnails of the rows' images. These items are the first ones."""
    columns: int = COLUMNS
    block: int = BLOCK


@dataclass(frozen=True)
class Sheet:
    """All items of a run, as a report lists them."""

    metrics: tuple[Compared, ...]
    """Metrics by which the items can be sorted."""
    labels: Mapping[str, str]
    """Label of each row by its key."""
    reference: str
    """Key of the reference row; empty if there is none."""
    lines: Lines
    thumbnails: Thumbnails | None
    """None if no item has a thumbnail."""

    @classmethod
    def of(
        cls,
        items: Sequence[Mapping[str, Any]],
        rows: ComparedRows,
        picks: Sequence[Pick],
        make: Callable[[Places], Thumbnails | None],
    ) -> Sheet:
        """Return the sheet of a run. Only items that the page lists get thumbnails.

        Args:
            items: items of the manifest, each with `id`, `source` and `mask_area`.
            rows: rows that are compared, with the values of the items.
            picks: chosen items.
            make: function that makes the thumbnails of some items; see `thumbnails`.
        """
        lines = lines_of(items, rows)
        places = pictured_places(rows, picks, len(lines.ids))
        return cls(tuple(rows.metrics), rows.labels, rows.reference, lines, make(places))

    def data(self) -> dict[str, Any]:
        """Return the content of the sheet as plain data, for the script of the page."""
        lines, found = self.lines, self.thumbnails
        sources = list(dict.fromkeys(lines.sources))
        number = {source: index for index, source in enumerate(sources)}
        own = lines.ids == lines.sources
        return {
            "rows": [{"key": key, "label": printable(label)} for key, label in self.labels.items()],
            "reference": self.reference,
            "metrics": [
                {
                    "key": metric.name,
                    "title": printable(metric.title),
                    "higher": metric.higher_is_better,
                    "scale": metric.scale,
                    "decimals": metric.decimals,
                }
                for metric in self.metrics
                if any(metric.name in values for values in lines.values.values())
            ],
            "ids": [printable(name) for name in lines.ids],
            "sources": None if own else [printable(source) for source in sources],
            "source": None if own else [number[source] for source in lines.sources],
            "areas": [round(area, 4) for area in lines.areas],
            "values": lines.values,
            "pictures": None
            if found is None
            else {
                "side": found.side,
                "columns": found.columns,
                "block": found.block,
                "places": found.places,
                "captions": [printable(caption) for caption in found.captions] if any(found.captions) else None,
                "strips": [
                    {
                        "key": strip.key,
                        "label": printable(strip.label),
                        "sprites": strip.sprites,
                        "shapes": strip.shapes,
                    }
                    for strip in found.strips
                ],
            },
        }


def lines_of(items: Sequence[Mapping[str, Any]], rows: ComparedRows, *, room: int = MOST_LINES) -> Lines:
    """Return the texts and values of all items for which the page has room.

    If the values of all metrics need too much room, the values of the last metrics are left out, but never those of the
    first metric. If this is not enough, the last items are left out.

    Args:
        items: items of the manifest, each with `id`, `source` and `mask_area`.
        rows: rows that are compared, with the values of the items.
        room: estimated size in bytes that the lines may have.
    """
    sizes = np.asarray([_written(item["id"]) for item in items], np.float64) + PER_LINE
    if any(item["source"] != item["id"] for item in items):
        firsts: dict[str, int] = {}
        for place, item in enumerate(items):
            firsts.setdefault(item["source"], place)
        for source, place in firsts.items():  # the page has the name of each source only once
            sizes[place] += _written(source)
    metrics = list(rows.metrics)

    def values_of_an_item() -> float:
        names = {metric.name for metric in metrics}
        return PER_VALUE * sum(len(names & values.keys()) for values in rows.values.values())

    left_out = []
    while len(metrics) > 1 and sizes.sum() + len(items) * values_of_an_item() > room:
        left_out.append(metrics.pop().title)
    count = int(np.searchsorted(np.cumsum(sizes + values_of_an_item()), room, side="right"))
    names = [metric.name for metric in metrics]
    return Lines(
        tuple(item["id"] for item in items[:count]),
        tuple(item["source"] for item in items[:count]),
        tuple(float(item["mask_area"]) for item in items[:count]),
        {
            row: {
                name: base64.b64encode(np.asarray(values[name][:count], "<f4").tobytes()).decode()
                for name in names
                if name in values
            }
            for row, values in rows.values.items()
        },
        len(items),
        tuple(reversed(left_out)),
    )


def _written(text: str) -> int:
    """Return the size in bytes of a text in the data of the page, where some characters are escapes of 6 bytes."""
    return len(htmlsafe_json_dumps(printable(text))) - len('""')


@dataclass(frozen=True)
class Places:
    """Indices in the manifest of the items that get thumbnails if there is room, the most important items first."""

    with_rows: list[int]
    """Items that get thumbnails of all pictures."""
    given: list[int]
    """Items that only get thumbnails of the pictures that the task gives, such as the masked picture."""


def pictured_places(rows: ComparedRows, picks: Sequence[Pick], of: int) -> Places:
    """Return the items that get thumbnails if there is room. They are among the items that the page lists.

    The first are the chosen items, then follow those with the largest differences to the reference row, and then the
    first items of the manifest.

    Args:
        rows: rows that are compared.
        picks: chosen items.
        of: number of items that the page lists, which are the first items of the manifest.
    """
    found: dict[int, None] = {}
    for place in chain((pick.place for pick in picks), extremes(rows), range(of)):
        if len(found) == min(of, MOST_READ):
            break
        if place < of:
            found[place] = None
    places, most = list(found), max(1, MOST_DECODED // max(1, len(rows.labels)))
    return Places(places[:most], places[most:])


def thumbnails(
    places: Places, images: Images, read: Images, labels: Mapping[str, str], *, room: int = ROOM
) -> Thumbnails | None:
    """Return the thumbnails of some items, or of the first of them if there is no room for all.

    The images are made block by block, so that only the images of a few items are in memory at the same time.

    Args:
        places: items that get thumbnails.
        images: function that takes indices of the manifest. It returns the items, and the images of each row.
        read: function that takes indices of the manifest. It returns the items without images of rows.
        labels: label of each row by its key.
        room: largest size in bytes of all sprites together with the captions of their items.

    Returns:
        The thumbnails; None if there are no items, or no room for the thumbnails of one item.
    """
    made = chain(_made(_in_blocks(places.with_rows), images), _made(_in_blocks(places.given), read))
    first = list(islice(made, PROBED))
    if not first:
        return None
    side = _side(first, places, room)
    small = (_Small.of(one, side) for one in chain(first, made))
    found: list[_Noted] = []
    sprites = []
    while block := list(islice(small, BLOCK)):
        items, packed = block, _packed(block, side)
        while items and _size(packed) > room:
            items = items[: min(len(items) - 1, int(len(items) * room / _size(packed)))]
            packed = _packed(items, side)
        found += [_Noted.of(one) for one in items]
        sprites.append(packed)
        room = max(0, room - _size(packed) - sum(_written(one.caption) for one in items))
        if len(items) < len(block):
            break
    if not found:
        return None
    kinds = {key: label for one in found for key, (label, _) in one.pictures.items()}
    return Thumbnails(
        side,
        tuple(one.place for one in found),
        tuple(one.caption for one in found),
        tuple(
            Strip(
                key,
                labels[key.removeprefix(OF_ROW)] if key.startswith(OF_ROW) else label,
                tuple(packed.get(key, "") for packed in sprites),
                _shapes(found, key, side),
            )
            for key, label in kinds.items()
        ),
        sum(any(key.startswith(OF_ROW) for key in one.pictures) for one in found),
    )


@dataclass(frozen=True)
class _Made:
    """An item with the images that the rows made of it."""

    place: int
    item: Item
    images: Mapping[str, Pixels]


@dataclass(frozen=True)
class _Small:
    """An item with all its pictures as thumbnails."""

    place: int
    caption: str
    pictures: Mapping[str, tuple[str, Image.Image]]
    """Label and thumbnail of each picture, by the name of the picture as in `Strip`."""

    @classmethod
    def of(cls, made: _Made, side: int) -> _Small:
        pictures = given(made.item) | {f"{OF_ROW}{row}": (row, pixels) for row, pixels in made.images.items()}
        return cls(
            made.place,
            made.item.caption,
            {key: (label, _thumbnail(pixels, side)) for key, (label, pixels) in pictures.items()},
        )


@dataclass(frozen=True)
class _Noted:
    """An item whose thumbnails are in a sprite."""

    place: int
    caption: str
    pictures: Mapping[str, tuple[str, tuple[int, int]]]
    """Label, and width and height in pixels, of each thumbnail, by the name of the picture."""

    @classmethod
    def of(cls, small: _Small) -> _Noted:
        sizes = {key: (label, picture.size) for key, (label, picture) in small.pictures.items()}
        return cls(small.place, small.caption, sizes)


def _in_blocks(places: Sequence[int]) -> list[int]:
    """Return the places in an order in which neighbours of the manifest are read together, within each `BLOCK`."""
    return list(chain.from_iterable(sorted(places[start : start + BLOCK]) for start in range(0, len(places), BLOCK)))


def _made(places: Sequence[int], images: Images) -> Iterator[_Made]:
    """Yield the items at some places that have a picture. Only as many items as `AT_ONCE` allows are made together."""
    at_once, start = 1, 0
    while start < len(places):
        part = places[start : start + at_once]
        items, made = images(part)
        for number, (place, item) in enumerate(zip(part, items, strict=True)):
            one = _Made(place, item, {row: pixels[number] for row, pixels in made.items()})
            if one.images or given(item):
                yield one
        start += len(part)
        used = sum(item.image.nbytes for item in items) + sum(pixels.nbytes for pixels in made.values())
        at_once = max(1, AT_ONCE * len(part) // max(1, used))


def _thumbnail(pixels: Pixels, side: int) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return image


def _side(some: Sequence[_Made], places: Places, room: int) -> int:
    """Return the largest side at which the thumbnails of all places fit, if all items are like these."""
    largest: int = max(max(pixels.shape[:2]) for one in some for pixels in (one.item.image, *one.images.values()))
    sides: list[int] = list(dict.fromkeys(min(side, largest) for side in SIDES))
    for side in sides:
        packed = _packed([_Small.of(one, side) for one in some], side)
        inputs = {key: sprite for key, sprite in packed.items() if not key.startswith(OF_ROW)}
        size = _size(packed) * len(places.with_rows) + _size(inputs) * len(places.given)
        if size / len(some) <= room:
            return side
    return sides[-1]


def _packed(items: Sequence[_Small], side: int) -> dict[str, str]:
    """Return a sprite with the thumbnails of the items for each kind of picture, as a `data:` address."""
    keys = dict.fromkeys(key for one in items for key in one.pictures)
    return {key: _sprite([one.pictures.get(key) for one in items], side) for key in keys}


def _sprite(pictures: Sequence[tuple[str, Image.Image] | None], side: int) -> str:
    lines = -(-len(pictures) // COLUMNS)
    sprite = Image.new("RGB", (side * min(COLUMNS, len(pictures)), side * lines), (GROUND, GROUND, GROUND))
    for number, found in enumerate(pictures):
        if found is not None:
            sprite.paste(found[1], (side * (number % COLUMNS), side * (number // COLUMNS)))
    buffer = BytesIO()
    sprite.save(buffer, "WEBP", quality=QUALITY, method=4)
    return data_url(buffer.getvalue(), "webp")


def _size(packed: Mapping[str, str]) -> int:
    return sum(len(sprite) for sprite in packed.values())


def _shapes(items: Sequence[_Noted], key: str, side: int) -> tuple[tuple[int, int], ...] | None:
    shapes = tuple(one.pictures[key][1] if key in one.pictures else (0, 0) for one in items)
    return None if set(shapes) == {(side, side)} else shapes
