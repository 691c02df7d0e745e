"""Quality against cost: where each row lies, as plots of plain numbers that a page draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.ticker import LogLocator, MaxNLocator

from bench.tables.build import Column, Table

__all__ = ["HEIGHT", "WIDTH", "CostLine", "Costs", "Plot", "Point", "costs_of"]

WIDTH, HEIGHT = 340, 240
"""Of a plot, in its own units."""
LEFT, RIGHT, TOP, BOTTOM = 58, 18, 14, 44
MARGIN = 0.08
"""Of a plot's range, free on both sides."""
WIDE = 30
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""
APART = 13
"""Least distance of two numbers beside points that lie close together."""
AXES = {
    "parameters": ("parameters [millions]", 1e-6),
    "tera_flop": ("TFLOP an image", 1.0),
    "seconds_per_image": ("decoding [ms an image]", 1e3),
}
"""By cost, its title and the factor on its values."""


@dataclass(frozen=True)
class Point:
    number: int
    """Of the row, in the list of costs."""
    words: str
    """Row and values."""
    x: float
    y: float
    low: float | None
    """End of the standard error's line; None where there is none."""
    high: float | None
    number_y: float
    """Where its number stands, beside others."""


@dataclass(frozen=True)
class Plot:
    """One metric against one cost; places are in the plot's units, from its upper left corner."""

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
    """Parameters, operations, milliseconds, and the share of the whole."""


@dataclass(frozen=True)
class Costs:
    lines: tuple[CostLine, ...]
    plots: tuple[Plot, ...]
    sampling: str
    """What an image costs to sample, in words."""


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
            free = (most / least) ** MARGIN
            return cls(least / free, most * free, True, start, stop)
        free = MARGIN * (most - least) or abs(most) * MARGIN or 1.0
        low = max(least - free, 0.0) if least >= 0 and least < 0.25 * most else least - free
        return cls(low, most + free, False, start, stop)

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
    """The rows whose costs are known; None where no row's are.

    Args:
        table: what was measured.
        costs: by row, as `bench.costs.row_costs` gives them.
        sampling: seconds an image takes to sample; None where that is not known.
        steps: of sampling; None where the generator has none.
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
            "Nothing was sampled in this run, as all latents were in the store: the share of the whole is not known."
        )
    else:
        within = "" if steps is None else f" in {steps} steps"
        words = f"An image took {sampling * 1e3:,.3g} ms to sample{within}; the share is decoding's of both together."
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
    return Plot(column.title, title, x_axis.ticks(), y_axis.ticks(), tuple(_parted(points)))


def _parted(points: Sequence[Point]) -> list[Point]:
    """Numbers of points that lie beside one another moved apart: downwards in the upper half, upwards in the lower."""
    done: list[Point] = []
    for way in (1, -1):
        half = [point for point in points if (point.y < (HEIGHT - BOTTOM) / 2) == (way > 0)]
        placed: list[Point] = []
        for point in sorted(half, key=lambda point: way * point.y):
            near = [way * other.number_y + APART for other in placed if abs(other.x - point.x) < 2 * APART]
            placed.append(replace(point, number_y=way * max([way * point.y, *near])))
        done += placed
    return sorted(done, key=lambda point: point.number)
