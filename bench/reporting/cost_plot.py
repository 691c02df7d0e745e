"""Functions that prepare a list of each row's costs, and plots of the rows' quality against their costs.

A plot consists of positions and texts, from which the page of the report draws the plot.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.ticker import LogLocator, MaxNLocator

from bench.tables.build import Column, Table

__all__ = ["HEIGHT", "WIDTH", "CostLine", "Costs", "Plot", "Point", "costs_of"]

WIDTH, HEIGHT = 340, 240
"""Width and height of a plot, in the units in which all positions in the plot are given."""
LEFT, RIGHT, TOP, BOTTOM = 58, 18, 14, 44
MARGIN = 0.08
"""Empty space at each end of an axis, as a fraction of the range of the values."""
WIDE = 30
"""An axis is logarithmic if the largest value divided by the smallest value is above this ratio."""
APART = 13
"""Smallest vertical distance between the printed numbers of neighbouring points, in the plot's units."""
AXES = {
    "parameters": ("parameters [millions]", 1e-6),
    "tera_flop": ("TFLOP an image", 1.0),
    "seconds_per_image": ("decoding [ms an image]", 1e3),
}
"""Title of each cost, and the factor that converts its values to the unit in the title."""


@dataclass(frozen=True)
class Point:
    number: int
    """Number of the row in the list of costs; it is printed beside the point."""
    words: str
    """Text that names the row and gives its values."""
    x: float
    y: float
    low: float | None
    """Vertical position at which the line of the standard error starts, below the point; None without an error."""
    high: float | None
    number_y: float
    """Vertical position of the printed number; see `_spaced`."""


@dataclass(frozen=True)
class Plot:
    """A plot of one metric against one cost. All positions are measured from the upper left corner of the plot."""

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
    """Texts of the number of parameters, the operations, the decoding time in milliseconds, and its share of the time.

    The share is the decoding time divided by the sum of the decoding time and the sampling time.
    """


@dataclass(frozen=True)
class Costs:
    lines: tuple[CostLine, ...]
    plots: tuple[Plot, ...]
    sampling: str
    """Sentence that says how long the sampling of one image took, or that this run sampled nothing."""


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
    """Return a list of costs and the plots, for all rows of the main table whose costs are known.

    A plot with fewer than two points is left out. The result is None if the costs of all rows are unknown.

    Args:
        table: typed table with the measured values.
        costs: costs of each row, as `bench.evaluation.costs.row_costs` returns them.
        sampling: time in seconds for sampling one image; None if it is not known.
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
        words = (
            f"Sampling an image took {sampling * 1e3:,.3g} ms{within}; the share is decoding's "
            "part of the sum of both times."
        )
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
    """Move the printed numbers of close points apart vertically, so that they do not overlap.

    In the upper half of the plot, numbers are moved down, and in the lower half, numbers are moved up. Two numbers of
    different halves can still overlap. The points themselves are not moved.

    Returns:
        New points with the new positions of their numbers, in the order of the numbers.
    """
    done: list[Point] = []
    for way in (1, -1):
        half = [point for point in points if (point.y < (HEIGHT - BOTTOM) / 2) == (way > 0)]
        placed: list[Point] = []
        for point in sorted(half, key=lambda point: way * point.y):
            near = [way * other.number_y + APART for other in placed if abs(other.x - point.x) < 2 * APART]
            placed.append(replace(point, number_y=way * max([way * point.y, *near])))
        done += placed
    return sorted(done, key=lambda point: point.number)
