"""Rules that choose items for the gallery of a report. No person chooses an item.

Only metrics with a value for every item are used. For each pair of such a metric and a row, the rule sorts the items by
the difference in this metric between the row and the reference row. It chooses the first, the middle and the last item.
If no metric has a value for every item, the items are drawn at random with a seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.runtime.seeding import numpy_generator
from bench.tables.build import style_of
from bench.tables.render import number_shown

__all__ = [
    "LEAST_ITEMS",
    "RANKS",
    "Compared",
    "ComparedRows",
    "Pick",
    "choose",
    "compared",
    "drawn",
    "drawn_places",
    "extremes",
]

RANKS = ("best", "worst", "median")
"""Ranks that an item can have by its difference from the reference row, in the order in which they fill the page."""
FALLBACK = ("lpips",)
"""Metrics that choose the items if no column of the table has a value for every item."""
LEAST_ITEMS = 6
"""Smallest number of items for which the page must have room. The pictures are made smaller if necessary.

It is also the number of items that a seed draws.
"""


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

        Returns:
            The value as text, without the sign of a negative zero; `no value` if the value is not finite.
        """
        if not math.isfinite(value):
            return "no value"
        return number_shown(value * self.scale, self.decimals, sign)


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
    picks = []
    for metric in rows.metrics:
        orders = dict(_orders(rows, metric))
        picks += [
            Pick(row, metric.name, rank, int(place), float(order.differences[place]))
            for rank in RANKS
            for row, order in orders.items()
            for place in [order.ranked[rank]]
        ]
    return picks


def extremes(rows: ComparedRows) -> Iterator[int]:
    """Yield indices of items in the order in which a report needs pictures of them.

    The first are the worst and the best item for each pair of a row and a metric, in the sense of `choose`. Then follow
    the second worst and the second best items, and so on. An index can occur several times. The indices of items
    without a finite difference do not occur.
    """
    places = [order.places for metric in rows.metrics for _, order in _orders(rows, metric)]
    for number in range(max(map(len, places), default=0)):
        for order in places:
            if number < len(order):
                yield int(order[-1 - number])
                yield int(order[number])


@dataclass(frozen=True)
class _Order:
    """The items with a finite difference for one row and one metric, in the order from the best to the worst."""

    differences: npt.NDArray[np.float64]
    """Difference of each item of the run, by its index in the manifest."""
    places: npt.NDArray[np.int64]
    """Indices of at least one item, with the best item first."""

    @property
    def ranked(self) -> dict[str, int]:
        """Index of the item of each rank among `RANKS`."""
        return {"best": self.places[0], "worst": self.places[-1], "median": self.places[(len(self.places) - 1) // 2]}


def _orders(rows: ComparedRows, metric: Compared) -> Iterator[tuple[str, _Order]]:
    """Yield each row that a metric compares, with the order of its items. Equal items keep the manifest's order."""
    base = rows.values.get(rows.reference, {}).get(metric.name)
    for row, arrays in rows.values.items():
        if row == rows.reference or metric.name not in arrays:
            continue
        with np.errstate(invalid="ignore"):  # the difference of two infinite values is not a number
            differences = np.asarray(arrays[metric.name], np.float64) - (0.0 if base is None else base)
        gain = differences if metric.higher_is_better else -differences
        order = np.argsort(-gain, kind="stable")
        order = order[np.isfinite(gain[order])]
        if len(order):
            yield row, _Order(differences, order)
