"""Plots of quality against cost, as plain numbers that a page draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.ticker import LogLocator, MaxNLocator

from bench.tables.build import Column, Table

__all__ = ["HEIGHT", "WIDTH", "CostLine", "Costs", "Plot", "Point", "costs_of"]

WIDTH, HEIGHT = 340, 240
"""Width and height of a plot, in the plot's units."""
LEFT, RIGHT, TOP, BOTTOM = 58, 18, 14, 44
MARGIN = 0.08
"""Fraction of a plot's range that stays empty on both sides."""
WIDE = 30
"""Smallest ratio of the largest to the smallest value for which an axis is logarithmic."""
APART = 13
"""Smallest vertical distance between the numbers of points that lie close together."""
AXES = {
    "parameters": ("parameters [millions]", 1e-6),
    "tera_flop": ("TFLOP an image", 1.0),
    "seconds_per_image": ("decoding [ms an image]", 1e3),
}
"""Title of each cost, and the factor by which its values are multiplied."""


@dataclass(frozen=True)
class Point:
    number: int
    """Number of the row in the list of costs."""
    words: str
    """Description of the row and its values."""
    x: float
    y: float
    low: float | None
    """Lower end of the line that shows the standard error; None if there is no standard error."""
    high: float | None
    number_y: float
    """Vertical position of the point's number, at which it overlaps no other number."""


@dataclass(frozen=True)
class Plot:
    """A plot of one metric against one cost; positions are in the plot's units from its upper left corner."""

    metric: str
    cost: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    points: tuple[Point, ...]
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


@dataclass(frozen=True)
class CostLine:
    number: int
    label: str
    cells: tuple[str, ...]
    """Parameters, operations, milliseconds, and decoding's share of the total time."""


@dataclass(frozen=True)
class Costs:
    lines: tuple[CostLine, ...]
    plots: tuple[Plot, ...]
    sampling: str
    """Sentence on the time that sampling an image takes."""


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    log: bool
    start: float
    stop: float

    @classmethod
    def of(cls, values: Sequence[float], start: float, stop: float) -> _Axis:
        least, most = min(values), max(values)
        if least > 0 and most / least > WIDE:
            factor = (most / least) ** MARGIN
            return cls(least / factor, most * factor, True, start, stop)
        margin = MARGIN * (most - least) or abs(most) * MARGIN or 1.0
        low = max(least - margin, 0.0) if least >= 0 and least < 0.25 * most else least - margin
        return cls(low, most + margin, False, start, stop)

    def place(self, value: float) -> float:
        scale = math.log if self.log else float
        low, high = scale(self.low), scale(self.high)
        return round(self.start + (scale(value) - low) / (high - low) * (self.stop - self.start), 2)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        locator = LogLocator(subs=(1.0, 3.0), numticks=6) if self.log else MaxNLocator(4)
        values = [float(value) for value in locator.tick_values(self.low, self.high)]
        return tuple((self.place(value), f"{value:g}") for value in values if self.low <= value <= self.high)


def costs_of(
    table: Table, costs: Mapping[str, Mapping[str, float]], *, sampling: float | None, steps: int | None
) -> Costs | None:
    """Return the list and the plots of all rows whose costs are known; None if there is no such row.

    Args:
        table: measured table.
        costs: costs of each row, as `bench.evaluation.costs.row_costs` returns them.
        sampling: seconds that sampling an image takes; None if this is not known.
        steps: number of sampling steps; None if the generator has no steps.
    """
    rows = [row for row in table.rows if row.key in costs and not row.beside]
    if not rows:
        return None
    numbers = {row.key: number for number, row in enumerate(rows, 1)}
    lines = tuple(CostLine(numbers[row.key], row.label, _cells(costs[row.key], sampling)) for row in rows)
    plots = tuple(
        plot
        for column in table.columns
        for cost in AXES
        if (plot := _plot(table, column, cost, costs, numbers)) is not None
    )
    if sampling is None:
        words = (
            "All latents were in the store, so this run sampled nothing, and decoding's share of the time is unknown."
        )
    else:
        within = "" if steps is None else f" in {steps} steps"
        words = f"Sampling an image took {sampling * 1e3:,.3g} ms{within}; the share is decoding's part of both times."
    return Costs(lines, plots, words)


def _cells(found: Mapping[str, float], sampling: float | None) -> tuple[str, ...]:
    seconds = found.get("seconds_per_image")
    share = None if sampling is None or seconds is None else seconds / (seconds + sampling)
    return (
        f"{found['parameters']:,.0f}" if "parameters" in found else "–",
        f"{found['tera_flop']:.4g}" if "tera_flop" in found else "–",
        "–" if seconds is None else f"{seconds * 1e3:,.3g}",
        "–" if share is None else f"{share:.1%}",
    )


def _plot(
    table: Table, column: Column, cost: str, costs: Mapping[str, Mapping[str, float]], numbers: Mapping[str, int]
) -> Plot | None:
    title, factor = AXES[cost]
    scale, decimals = column.format.scale, column.format.decimals
    found = []
    for row in table.rows:
        measured = row.measured.get(column.metric)
        if row.key in numbers and cost in costs[row.key] and measured is not None and measured.value is not None:
            error = None if measured.stderr is None else measured.stderr * scale
            found.append((row, costs[row.key][cost] * factor, measured.value * scale, error))
    if len(found) < 2:
        return None
    x_axis = _Axis.of([x for _, x, _, _ in found], LEFT, WIDTH - RIGHT)
    ends = [end for _, _, y, error in found for end in ((y,) if error is None else (y - error, y + error))]
    y_axis = _Axis.of(ends, HEIGHT - BOTTOM, TOP)
    points = [
        Point(
            numbers[row.key],
            f"{row.label}: {column.title} {y:,.{decimals}f}, {title} {x:,.4g}",
            x_axis.place(x),
            y_axis.place(y),
            None if error is None else y_axis.place(max(y - error, y_axis.low)),
            None if error is None else y_axis.place(y + error),
            y_axis.place(y),
        )
        for row, x, y, error in found
    ]
    return Plot(column.title, title, x_axis.ticks(), y_axis.ticks(), tuple(_spaced(points)))


def _spaced(points: Sequence[Point]) -> list[Point]:
    """Return the points, with the numbers of close points moved apart: down in the upper half, up in the lower."""
    done: list[Point] = []
    for way in (1, -1):
        half = [point for point in points if (point.y < (HEIGHT - BOTTOM) / 2) == (way > 0)]
        placed: list[Point] = []
        for point in sorted(half, key=lambda point: way * point.y):
            near = [way * other.number_y + APART for other in placed if abs(other.x - point.x) < 2 * APART]
            placed.append(replace(point, number_y=way * max([way * point.y, *near])))
        done += placed
    return sorted(done, key=lambda point: point.number)
