"""The report's gallery: items on which a row differs most from the reference row, chosen by a rule, with all pictures.

For each row, and each metric that has a value for every item, the items are sorted by their paired difference from the
reference row. The first, the middle and the last item are shown. No item is chosen by hand.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.data.items import Item
from bench.reporting.pixels import error_outside, masked
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
"""Function that returns the items at given indices of the manifest, and each row's images N×S×S×3 of them."""

RANKS = ("best", "worst", "median")
"""Ranks of the differences from the reference row, in the order in which they are added to the page."""
FALLBACK = ("lpips",)
"""Metrics that choose the items of a table whose columns have values only for whole sets."""
ROOM = 9_500_000
"""Largest size in bytes of all pictures of the page."""
MOST_ITEMS = 60
LEAST_ITEMS = 6
"""Smallest number of items that must fit; the pictures are made smaller if necessary."""
SIDES = (256, 192, 128, 96, 64, 48, 32)
"""Sides of a picture in pixels, from which the first is chosen at which enough items fit."""
LOSSLESS = 128
"""Largest side in pixels of images that are saved without loss; larger ones are scaled down and compressed."""
QUALITY = 82
PROBED = 6
"""Number of rows whose pictures are encoded to estimate the size of an item."""
MARKUP = 700
"""Upper estimate of the bytes of markup for one picture."""
AT_ONCE = 256_000_000
"""Largest size in bytes of uncompressed images that are made together."""


@dataclass(frozen=True)
class Compared:
    """A metric that has a value for every item."""

    name: str
    title: str
    """Title with its unit."""
    higher_is_better: bool
    scale: float
    """Factor from a value to the printed value."""
    decimals: int

    def shown(self, value: float, sign: str = "") -> str:
        """Return a value as it is printed; `sign` may be `+`, for differences."""
        return f"{value * self.scale:{sign},.{self.decimals}f}".replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Pick:
    """A reason why an item is shown: its rank for one row and metric."""

    row: str
    metric: str
    rank: str
    """Rank from `RANKS`, or `drawn`."""
    place: int
    """Index of the item in the manifest."""
    difference: float
    """Row's value minus that of the reference row."""


@dataclass(frozen=True)
class Picture:
    """A picture of the page."""

    label: str
    uri: str
    """Picture as a `data:` address, so that the page loads no other file."""


@dataclass(frozen=True)
class Made:
    """A row's image of an item."""

    row: str
    label: str
    image: Picture
    error: Picture | None
    """Picture of the error outside the mask; None if no pixels are known."""
    values: Mapping[str, str]
    """Printed values by metric."""


@dataclass(frozen=True)
class Shown:
    """An item of the gallery."""

    id: str
    source: str
    caption: str
    hole: float
    """Share of the image that lies in the hole, in [0, 1]; 1 if no pixels are known."""
    given: tuple[Picture, ...]
    exemplar: Picture | None
    """Picture of the object that is to be painted into the hole."""
    made: tuple[Made, ...]
    picks: tuple[Pick, ...]


@dataclass(frozen=True)
class Gallery:
    """The part of the page that shows items of a table."""

    items: tuple[Shown, ...] = ()
    metrics: tuple[Compared, ...] = ()
    labels: Mapping[str, str] | None = None
    """Labels of the rows by their names."""
    reference: str = ""
    """Name of the row with which the others are compared; empty if the items are sorted by each row's own value."""
    wanted: int = 0
    """Number of items that the rule chooses; the page may have room for fewer."""
    of: int = 0
    """Number of items from which the rule chooses."""
    side: int = 0
    """Side of the pictures in pixels."""
    resolution: int = 0
    """Side in pixels of the images that the pictures show."""
    pixelated: bool = False
    """Whether the pictures are small enough to be drawn pixel by pixel."""


def compared(columns: Sequence[str], values: Mapping[str, Mapping[str, Any]]) -> list[Compared]:
    """Return the metrics that choose items: the table's columns with a value for every item, or else `lpips`.

    Args:
        columns: names of the table's columns.
        values: values of the items, by row and metric.
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
        if (style := style_of(name)) is not None
    ]


def drawn_places(count: int, seed: int) -> list[int]:
    """Return the indices of items drawn by the seed, which are shown if no other rule chooses items."""
    return [int(place) for place in numpy_generator(seed, "figure").permutation(count)[:LEAST_ITEMS]]


def drawn(count: int, seed: int) -> list[Pick]:
    """Return items drawn by the run's seed, for a table without a metric that could choose them."""
    return [Pick("", "", "drawn", place, 0.0) for place in drawn_places(count, seed)]


@dataclass(frozen=True)
class ComparedRows:
    """The rows that a gallery compares item by item."""

    values: Mapping[str, Mapping[str, npt.NDArray[Any]]]
    """Values of the items by row and metric."""
    metrics: Sequence[Compared]
    """Metrics by which the rows are compared."""
    labels: Mapping[str, str]
    """Labels of the rows."""
    reference: str
    """Row with which the others are compared; if it has no values, items are sorted by each row's own values."""


def choose(rows: ComparedRows) -> list[Pick]:
    """Return the best, the worst and the median item of each row by each metric, starting with the first metric.

    The best item is the one on which the row is better than the reference row by most. Equal differences are sorted in
    the manifest's order, and items without a finite difference are left out. With an even number of items, the median
    is the better one of the middle two.
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
    """Fill the gallery with the chosen items in the order of the picks, until the page has no more room.

    Args:
        picks: chosen items, as `choose` returns them.
        images: function that returns some items and each row's images of them.
        rows: rows that are compared.
        of: number of items from which the picks were chosen.
        room: largest size of the gallery in bytes.
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
    """The texts and values that the gallery shows with the pictures of an item."""

    picks: Sequence[Pick]
    rows: ComparedRows

    def shown(self, place: int, item: Item, made: Mapping[str, Pixels], side: int) -> Shown:
        known = bool((item.mask == 0).any())
        given = (
            [("input", item.image), ("masked", masked(item))] if known else [("the caption's own picture", item.image)]
        )
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
    """Return the largest side at which `least` items like this one fit, estimated from the pictures of some rows."""
    some = dict(list(made.items())[:PROBED])
    sides: list[int] = list(dict.fromkeys(min(side, item.image.shape[0]) for side in SIDES))
    for side in sides:
        if least * _size(words.shown(place, item, some, side)) * len(made) / len(some) <= room:
            return side
    return sides[-1]


def _encoded(pixels: Pixels, side: int) -> str:
    """Return a picture as WebP: without loss if it is small, and otherwise scaled down to the side and compressed."""
    image, buffer = Image.fromarray(np.ascontiguousarray(pixels)), BytesIO()
    lossless = max(image.size) <= min(side, LOSSLESS)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    image.save(buffer, "WEBP", lossless=lossless, quality=QUALITY, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _size(item: Shown) -> int:
    """Return the estimated number of bytes of an item in the page."""
    made = (picture for one in item.made for picture in (one.image, one.error))
    pictures = [picture for picture in (*item.given, item.exemplar, *made) if picture is not None]
    words = len(item.id) + len(item.source) + len(item.caption)
    return sum(len(picture.uri) + MARKUP for picture in pictures) + 6 * words + MARKUP * len(item.picks)
