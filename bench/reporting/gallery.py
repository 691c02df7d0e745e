"""The gallery of a report, which shows pictures of a few items. A rule chooses these items, and no person does.

Only metrics with a value for every item are used. For each pair of such a metric and a row, the rule sorts the items by
the difference in this metric between the row and the reference row. It chooses the first, the middle and the last item.
If no metric has a value for every item, the items are drawn at random with a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.data.items import Item
from bench.reporting.pixels import data_url, error_outside, masked
from bench.runtime.seeding import numpy_generator
from bench.tables.build import style_of

__all__ = [
    "RANKS",
    "Compared",
    "ComparedRows",
    "Gallery",
    "Made",
    "Pick",
    "Picture",
    "Shown",
    "choose",
    "compared",
    "drawn",
    "drawn_places",
    "fill",
]

Pixels = npt.NDArray[np.uint8]
Images = Callable[[Sequence[int]], tuple[list[Item], Mapping[str, Pixels]]]
"""Function that takes indices of the manifest. It returns the items there, and the images N×S×S×3 of each row."""

RANKS = ("best", "worst", "median")
"""Ranks that an item can have by its difference from the reference row, in the order in which they fill the page."""
FALLBACK = ("lpips",)
"""Metrics that choose the items if no column of the table has a value for every item."""
ROOM = 9_500_000
"""Largest size in bytes of all pictures of the page together."""
MOST_ITEMS = 60
LEAST_ITEMS = 6
"""Smallest number of items for which the page must have room. The pictures are made smaller if necessary.

It is also the number of items that a seed draws.
"""
SIDES = (256, 192, 128, 96, 64, 48, 32)
"""Possible sides of a picture in pixels. The first side at which enough items fit on the page is chosen."""
LOSSLESS = 128
"""Largest side in pixels of pictures that are saved without loss. Larger pictures are saved with loss."""
QUALITY = 82
PROBED = 6
"""Number of rows whose pictures are encoded for the estimate of how many bytes one item needs."""
MARKUP = 700
"""Upper estimate of the bytes of HTML that one picture needs in addition to its content."""
AT_ONCE = 256_000_000
"""Largest size in bytes of the uncompressed images that are in memory at the same time."""


@dataclass(frozen=True)
class Compared:
    """The name, direction and number format of a metric that sorts the items. Every item has a value of this metric."""

    name: str
    title: str
    """Title of the metric, with the unit."""
    higher_is_better: bool
    scale: float
    """Factor by which a value is multiplied before it is printed."""
    decimals: int

    def shown(self, value: float, sign: str = "") -> str:
        """Return the text that the page prints for a value.

        Args:
            value: value of the metric, or a difference of two values.
            sign: `+` to print a plus sign before positive values; an empty string for no plus sign.
        """
        return f"{value * self.scale:{sign},.{self.decimals}f}".replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Pick:
    """The reason why an item is shown: the rank of the item for one row and one metric."""

    row: str
    metric: str
    rank: str
    """Rank among `RANKS`, or `drawn` for an item that was drawn at random."""
    place: int
    """Index of the item in the manifest."""
    difference: float
    """Value of the row minus value of the reference row, for this item; without a reference row, the row's value."""


@dataclass(frozen=True)
class Picture:
    """A picture that the page shows, with its label."""

    label: str
    uri: str
    """Content of the picture as a `data:` address, so that the page loads no other file."""


@dataclass(frozen=True)
class Made:
    """The pictures and texts with which the page shows the image that one row made of one item."""

    row: str
    label: str
    image: Picture
    error: Picture | None
    """Picture of the error over the known pixels; None if the item has no known pixels."""
    values: Mapping[str, str]
    """Value of the image as it is printed, by metric."""


@dataclass(frozen=True)
class Shown:
    """An item as the gallery shows it: its pictures and texts, and the reasons why it was chosen."""

    id: str
    source: str
    caption: str
    hole: float
    """Fraction of the image's area that is hole, in [0, 1]; 1 if no pixels are known."""
    given: tuple[Picture, ...]
    exemplar: Picture | None
    """Picture of the object that is to be painted into the hole; None if the task uses no exemplar."""
    made: tuple[Made, ...]
    picks: tuple[Pick, ...]


@dataclass(frozen=True)
class Gallery:
    """The content of a report's gallery."""

    items: tuple[Shown, ...] = ()
    metrics: tuple[Compared, ...] = ()
    labels: Mapping[str, str] | None = None
    """Label of each row by its key; None if the gallery is empty."""
    reference: str = ""
    """Key of the reference row; empty if there is none. The items are then sorted by each row's own values."""
    wanted: int = 0
    """Number of items that the rule chose. The page may have room for fewer items."""
    of: int = 0
    """Number of items from which the rule could choose."""
    side: int = 0
    """Largest side of the pictures, in pixels."""
    resolution: int = 0
    """Side in pixels of the original images."""
    pixelated: bool = False
    """Whether the pictures are so small that the page enlarges them without smoothing."""


def compared(columns: Sequence[str], values: Mapping[str, Mapping[str, Any]]) -> list[Compared]:
    """Return the metrics by which items are chosen.

    These are all metrics in `columns` that also occur in `values`. If there are no such metrics, the list contains only
    `lpips`. If the run did not measure `lpips` either, the list is empty.

    Args:
        columns: names of the metrics that are columns of the table.
        values: arrays by row and by name of the metric. An array has one value for each item.
    """
    there = {name for arrays in values.values() for name in arrays}
    names = [name for name in columns if name in there] or [name for name in FALLBACK if name in there]
    return [
        Compared(
            name,
            style.heading(),
            style.higher_is_better,
            style.scale,
            style.decimals,
        )
        for name in names
        if (style := style_of(name)) is not None and not style.zero_is_best
    ]


def drawn_places(count: int, seed: int) -> list[int]:
    """Return the indices of `LEAST_ITEMS` different items that are drawn at random.

    If there are fewer items, the indices of all items are returned.

    Args:
        count: number of items from which the indices are drawn.
        seed: seed of the run; the same seed gives the same indices.
    """
    return [int(place) for place in numpy_generator(seed, "figure").permutation(count)[:LEAST_ITEMS]]


def drawn(count: int, seed: int) -> list[Pick]:
    """Return picks of items that are drawn at random.

    A gallery needs them if no metric has a value for every item.

    Args:
        count: number of items of the run.
        seed: seed of the run.
    """
    return [Pick("", "", "drawn", place, 0.0) for place in drawn_places(count, seed)]


@dataclass(frozen=True)
class ComparedRows:
    """The rows that a gallery compares item by item, with the rows' values."""

    values: Mapping[str, Mapping[str, npt.NDArray[Any]]]
    """Arrays with one value for each item, by row and metric."""
    metrics: Sequence[Compared]
    """Metrics by which the rows are compared."""
    labels: Mapping[str, str]
    """Label of each row by its key."""
    reference: str
    """Key of the reference row. If this row has no values, the items are sorted by each row's own values."""


def choose(rows: ComparedRows) -> list[Pick]:
    """Choose the best, the worst and the median item for each pair of a row and a metric.

    The best item is the one on which the row is better than the reference row by the largest difference. If the
    reference row has no values of the metric, the values of the row are used instead of the differences. Items with
    equal differences keep the manifest's order, and items without a finite difference are left out. If the number of
    items is even, the median is the better one of the middle two.

    Returns:
        Picks in the order of the metrics. For each metric, the best items of all rows come first, then the worst items
        of all rows, then the median items of all rows.
    """
    values, reference = rows.values, rows.reference
    picks = []
    for metric in rows.metrics:
        base = values.get(reference, {}).get(metric.name)
        orders = {}
        for row, arrays in values.items():
            if row == reference or metric.name not in arrays:
                continue
            difference = np.asarray(arrays[metric.name], np.float64) - (0.0 if base is None else base)
            gain = difference if metric.higher_is_better else -difference
            order = np.argsort(-gain, kind="stable")
            order = order[np.isfinite(gain[order])]
            if len(order):
                orders[row] = (
                    difference,
                    {"best": order[0], "worst": order[-1], "median": order[(len(order) - 1) // 2]},
                )
        picks += [
            Pick(row, metric.name, rank, int(places[rank]), float(difference[places[rank]]))
            for rank in RANKS
            for row, (difference, places) in orders.items()
        ]
    return picks


def fill(picks: Sequence[Pick], images: Images, rows: ComparedRows, *, of: int, room: int = ROOM) -> Gallery:
    """Return a gallery that shows the chosen items in the order of the picks.

    The gallery shows as many items as fit into `room` bytes, but at most `MOST_ITEMS`.

    Args:
        picks: chosen items, as `choose` or `drawn` returns them.
        images: function that takes indices of the manifest. It returns the items, and the images of each row.
        rows: rows that are compared.
        of: number of items from which the picks were chosen.
        room: largest size of the gallery's pictures in bytes.
    """
    places = list(dict.fromkeys(pick.place for pick in picks))
    empty = Gallery((), tuple(rows.metrics), rows.labels, rows.reference, len(places), of)
    if not places:
        return empty
    words = _Words(picks, rows)
    chosen, made = images(places[:1])
    first = _of_one(made, 0)
    resolution = chosen[0].image.shape[0]
    side = _side(words, chosen[0], first, places[0], least=min(LEAST_ITEMS, len(places)), room=room)
    found = [words.shown(places[0], chosen[0], first, side)]
    used = largest = _size(found[0])
    at_once = max(1, AT_ONCE // sum(pixels.nbytes for pixels in first.values()))
    rest = places[1:MOST_ITEMS]
    while rest and used < room:
        # Make only as many items as fit if each is as large as the largest one so far.
        part = rest[: min(at_once, 1 + (room - used) // largest)]
        rest = rest[len(part) :]
        chosen, made = images(part)
        for number, (place, item) in enumerate(zip(part, chosen, strict=True)):
            found.append(words.shown(place, item, _of_one(made, number), side))
            used += _size(found[-1])
            largest = max(largest, _size(found[-1]))
    while found and used > room:
        used -= _size(found.pop())
    return replace(empty, items=tuple(found), side=side, resolution=resolution, pixelated=side <= LOSSLESS)


def _of_one(made: Mapping[str, Pixels], number: int) -> dict[str, Pixels]:
    return {row: pictures[number] for row, pictures in made.items()}


@dataclass(frozen=True)
class _Words:
    """The picks and the compared rows, from which the pictures and texts of a gallery's item are created."""

    picks: Sequence[Pick]
    rows: ComparedRows

    def shown(self, place: int, item: Item, made: Mapping[str, Pixels], side: int) -> Shown:
        known = bool((item.mask == 0).any())
        given = [("input" if known else "the caption's own picture", item.image)] if item.pictured else []
        given += [("masked", masked(item))] if known else []
        return Shown(
            item.id,
            item.source,
            item.caption,
            item.mask_area,
            tuple(Picture(label, _encoded(pixels, side)) for label, pixels in given),
            None if item.exemplar is None else Picture("to be painted", _encoded(item.exemplar, side)),
            tuple(
                Made(
                    row,
                    self.rows.labels[row],
                    Picture(self.rows.labels[row], _encoded(pixels, side)),
                    Picture("error", _encoded(error_outside(item, pixels), side)) if known else None,
                    {
                        metric.name: metric.shown(self.rows.values[row][metric.name][place])
                        for metric in self.rows.metrics
                        if metric.name in self.rows.values[row]
                    },
                )
                for row, pixels in made.items()
            ),
            tuple(pick for pick in self.picks if pick.place == place),
        )


def _side(words: _Words, item: Item, made: Mapping[str, Pixels], place: int, *, least: int, room: int) -> int:
    """Return the side in pixels at which the gallery shows its pictures.

    This is the largest side in `SIDES` at which `least` items fit into `room` bytes. All items are assumed to need as
    many bytes as `item`, and these bytes are estimated from the pictures of the first `PROBED` rows. If the items do
    not fit at any side, the smallest side is returned. No side is larger than the side of the item's image.

    Args:
        words: picks and rows from which the pictures and texts of an item are created.
        item: item whose bytes are estimated.
        made: image S×S×3 of the item, by row.
        place: index of the item in the manifest.
        least: number of items that must fit.
        room: largest size of the gallery's pictures in bytes.
    """
    some = dict(list(made.items())[:PROBED])
    sides: list[int] = list(dict.fromkeys(min(side, item.image.shape[0]) for side in SIDES))
    for side in sides:
        if least * _size(words.shown(place, item, some, side)) * len(made) / len(some) <= room:
            return side
    return sides[-1]


def _encoded(pixels: Pixels, side: int) -> str:
    """Return a picture in the WebP format as a `data:` address.

    A picture whose longer side is above `side` is first scaled down, so that this side is equal to `side`. The picture
    is saved without loss if its original longer side is at most `side` and at most `LOSSLESS`, and with loss otherwise.

    Args:
        pixels: picture H×W×3.
        side: longest side in pixels that the saved picture may have.
    """
    image, buffer = Image.fromarray(np.ascontiguousarray(pixels)), BytesIO()
    lossless = max(image.size) <= min(side, LOSSLESS)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    image.save(buffer, "WEBP", lossless=lossless, quality=QUALITY, method=2)
    return data_url(buffer.getvalue(), "webp")


def _size(item: Shown) -> int:
    """Return an estimate of the number of bytes that an item of the gallery needs in the page."""
    made = (picture for one in item.made for picture in (one.image, one.error))
    pictures = [picture for picture in (*item.given, item.exemplar, *made) if picture is not None]
    words = len(item.id) + len(item.source) + len(item.caption)
    return sum(len(picture.uri) + MARKUP for picture in pictures) + 6 * words + MARKUP * len(item.picks)
