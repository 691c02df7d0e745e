"""The report's gallery: the items where a row parts most from the reference, chosen by rule, with all their pictures.

The rule: for each row and each metric that items have by themselves, the items are put in the order of the paired
difference to the reference row, and the first, the middle one and the last are shown. Nobody picks.
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
from bench.seeding import numpy_generator
from bench.tables.build import style_of

__all__ = [
    "RANKS",
    "Compared",
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
"""Items by their places, and each row's images N×S×S×3 of them."""

RANKS = ("best", "worst", "median")
"""Of the differences to the reference row, in the order in which they are given room."""
FALLBACK = ("lpips",)
"""Metrics of items to go by in a table whose columns are all of whole sets."""
ROOM = 9_500_000
"""Bytes of the page that the pictures may take."""
MOST_ITEMS = 60
LEAST_ITEMS = 6
"""As many are to fit: pictures are made smaller for it."""
SIDES = (256, 192, 128, 96, 64, 48, 32)
"""Largest side of a picture, from which the first is taken that leaves room."""
LOSSLESS = 128
"""Images of this side and below are kept bit for bit; larger ones are scaled down and lose by compression."""
QUALITY = 82
PROBED = 6
"""Rows whose pictures tell how much room an item takes."""
MARKUP = 700
"""Bytes of the page around one picture, at most."""
AT_ONCE = 256_000_000
"""Bytes of uncompressed images that are made together, at most."""


@dataclass(frozen=True)
class Compared:
    """A metric that every item has by itself."""

    name: str
    title: str
    """With its unit."""
    higher_is_better: bool
    scale: float
    """Printed value = value × scale."""
    decimals: int

    def shown(self, value: float, sign: str = "") -> str:
        """A value as it is printed; `sign` may be `+`, for differences."""
        return f"{value * self.scale:{sign},.{self.decimals}f}".replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Pick:
    """Why an item is shown."""

    row: str
    metric: str
    rank: str
    """One of `RANKS`."""
    place: int
    """Of the item, in the manifest."""
    difference: float
    """The row's value minus the reference row's."""


@dataclass(frozen=True)
class Picture:
    """One image of the page."""

    label: str
    uri: str
    """`data:`, so that nothing is loaded from anywhere."""


@dataclass(frozen=True)
class Made:
    """What a row made of an item."""

    row: str
    label: str
    image: Picture
    error: Picture | None
    """Outside the mask; None where nothing is known."""
    values: Mapping[str, str]
    """By metric."""


@dataclass(frozen=True)
class Shown:
    """One item of the gallery."""

    id: str
    source: str
    caption: str
    hole: float
    """Share of the image, in [0, 1]; 1 where nothing is known."""
    given: tuple[Picture, ...]
    exemplar: Picture | None
    """What is to be painted into the hole."""
    made: tuple[Made, ...]
    picks: tuple[Pick, ...]


@dataclass(frozen=True)
class Gallery:
    """What the page shows of a table's items."""

    items: tuple[Shown, ...] = ()
    metrics: tuple[Compared, ...] = ()
    labels: Mapping[str, str] | None = None
    """Of the rows, by their names."""
    reference: str = ""
    """Name of the row that the others are compared with; empty where each is taken by its own value."""
    wanted: int = 0
    """Items that the rule chooses, of which some may have found no room."""
    of: int = 0
    """Items that it chooses from."""
    side: int = 0
    """Of the pictures, in pixels."""
    resolution: int = 0
    """Of the images that they show."""
    pixelated: bool = False
    """Whether they are small enough to be drawn pixel by pixel."""


def compared(columns: Sequence[str], values: Mapping[str, Mapping[str, Any]]) -> list[Compared]:
    """The metrics to choose items by: the table's columns that items have by themselves, else `lpips`.

    Args:
        columns: of the table.
        values: by row and metric, what items have by themselves.
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
    """Places of the items that are shown where no other rule says which."""
    return [int(place) for place in numpy_generator(seed, "figure").permutation(count)[:LEAST_ITEMS]]


def drawn(count: int, seed: int) -> list[Pick]:
    """Items where no metric tells them apart, drawn by the run's seed."""
    return [Pick("", "", "drawn", place, 0.0) for place in drawn_places(count, seed)]


def choose(
    values: Mapping[str, Mapping[str, npt.NDArray[Any]]], metrics: Sequence[Compared], reference: str
) -> list[Pick]:
    """The best, the worst and the median item of each row by each metric, the first metric's first.

    Best is where the row gains most on the reference row. Equal differences are taken in the manifest's order, items
    without a finite one are left out, and with an even number of items the median is the better of the middle two.

    Args:
        values: by row and metric, one for each item.
        metrics: the ones to go by.
        reference: the row that the others are compared with; where it has no values, each row is taken by its own.
    """
    picks = []
    for metric in metrics:
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


def fill(
    picks: Sequence[Pick],
    images: Images,
    values: Mapping[str, Mapping[str, npt.NDArray[Any]]],
    metrics: Sequence[Compared],
    labels: Mapping[str, str],
    *,
    reference: str,
    of: int,
    room: int = ROOM,
) -> Gallery:
    """As many of the chosen items with their pictures as the page has room for, in the order of the picks.

    Args:
        picks: as `choose` gives them.
        images: makes the pictures of some items.
        values: by row and metric, one for each item.
        metrics: the ones to show.
        labels: by row.
        reference: the row that the others are compared with.
        of: items that were chosen from.
        room: bytes that all of it may take.
    """
    places = list(dict.fromkeys(pick.place for pick in picks))
    empty = Gallery((), tuple(metrics), labels, reference, len(places), of)
    if not places:
        return empty
    words = _Words(picks, values, metrics, labels)
    chosen, made = images(places[:1])
    first = _of_one(made, 0)
    resolution = chosen[0].image.shape[0]
    side = _side(words, chosen[0], first, places[0], least=min(LEAST_ITEMS, len(places)), room=room)
    found = [words.shown(places[0], chosen[0], first, side)]
    used = largest = _size(found[0])
    at_once = max(1, AT_ONCE // sum(pixels.nbytes for pixels in first.values()))
    rest = places[1:MOST_ITEMS]
    while rest and used < room:
        # No more are made than will fit, as far as the largest so far tells.
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
    """What is said of items beside their pictures."""

    picks: Sequence[Pick]
    values: Mapping[str, Mapping[str, npt.NDArray[Any]]]
    metrics: Sequence[Compared]
    labels: Mapping[str, str]

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
                    self.labels[row],
                    Picture(self.labels[row], _encoded(pixels, side)),
                    Picture("error", _encoded(error_outside(item, pixels), side)) if known else None,
                    {
                        metric.name: metric.shown(self.values[row][metric.name][place])
                        for metric in self.metrics
                        if metric.name in self.values[row]
                    },
                )
                for row, pixels in made.items()
            ),
            tuple(pick for pick in self.picks if pick.place == place),
        )


def _side(words: _Words, item: Item, made: Mapping[str, Pixels], place: int, *, least: int, room: int) -> int:
    """The largest side at which so many items like this one have room, as far as some of its rows tell."""
    some = dict(list(made.items())[:PROBED])
    sides: list[int] = list(dict.fromkeys(min(side, item.image.shape[0]) for side in SIDES))
    for side in sides:
        if least * _size(words.shown(place, item, some, side)) * len(made) / len(some) <= room:
            return side
    return sides[-1]


def _encoded(pixels: Pixels, side: int) -> str:
    """A picture as WebP: bit for bit where it is small, else scaled down to the side and compressed."""
    image, buffer = Image.fromarray(np.ascontiguousarray(pixels)), BytesIO()
    lossless = max(image.size) <= min(side, LOSSLESS)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    image.save(buffer, "WEBP", lossless=lossless, quality=QUALITY, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _size(item: Shown) -> int:
    """Bytes that an item takes in the page."""
    made = (picture for one in item.made for picture in (one.image, one.error))
    pictures = [picture for picture in (*item.given, item.exemplar, *made) if picture is not None]
    words = len(item.id) + len(item.source) + len(item.caption)
    return sum(len(picture.uri) + MARKUP for picture in pictures) + 6 * words + MARKUP * len(item.picks)
