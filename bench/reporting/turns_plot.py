"""Plots of repeated edits: each headline metric of each row, turn by turn, with its 95 % interval."""

from __future__ import annotations

from bench.metrics.summary import Measurement
from bench.metrics.turns import at_turn
from bench.reporting.plots import Axis, Plot, Plots, Point, Series
from bench.tables.build import Metric, TableRow
from bench.tables.grid import Grid
from bench.tables.turns import TurnsTable

__all__ = ["turns_plots"]


def turns_plots(table: TurnsTable, *, logarithmic: str) -> Plots:
    """Return one plot for each headline metric of the table, and a list of all values with their 95 % intervals.

    Args:
        table: table of all turns.
        logarithmic: name in turn 1 of the metric whose axis is logarithmic.
    """
    plots = [plot for metric in table.columns if (plot := _plot(table, metric, log=metric == logarithmic))]
    note = (
        "The bars are 95 % intervals. Each row has a number, which stands at the end of its line. Within a turn, the "
        "rows are drawn beside each other, so that rows with similar values can be told apart."
    )
    if plots:
        left_out = [row.label for row in table.rows if not _has_place(table, row, logarithmic)]
        if left_out:
            heading = table.style(logarithmic).heading(table.features)
            labels = ", ".join(left_out)
            note += f" These rows have values of 0, which the logarithmic axis of {heading} cannot show: {labels}."
    return Plots((tuple(plots),) if plots else (), _listed(table), note)


def _found(table: TurnsTable, row: TableRow, metric: str) -> list[tuple[int, Measurement]]:
    """Return each turn in which a row has a value of a metric, with the measurement."""
    turns = range(1, table.turns + 1)
    found = [(turn, row.measured.get(at_turn(metric, turn))) for turn in turns]
    return [(turn, one) for turn, one in found if one is not None and one.value is not None]


def _has_place(table: TurnsTable, row: TableRow, metric: str) -> bool:
    """Return whether all values of a row can be drawn on a logarithmic axis."""
    return all((one.value or 0) > 0 for _, one in _found(table, row, metric))


def _plot(table: TurnsTable, metric: str, *, log: bool) -> Plot | None:
    """Return the plot of one metric; None if no row has a value that can be drawn."""
    style = table.style(metric)
    heading = style.heading(table.features)
    series = tuple(
        Series(row.label, _points(table, row, metric, heading), joined=True, label=str(number))
        for number, row in enumerate(table.rows, 1)
    )
    points = [point for one in series for point in one.points if point.y > 0 or not log]
    if not points:
        return None
    ends = [end for point in points for end in (point.y, point.low, point.high) if end is not None]
    if log:  # the lower end of an interval can be 0 or just above it, and must not stretch the axis
        ends = [max(end, min(point.y for point in points) / 10) for end in ends]
    across = Axis.of("turn", range(1, table.turns + 1), whole=True)
    return Plot(heading, across, Axis.of(heading, ends, log=log), series, spread=True)


def _points(table: TurnsTable, row: TableRow, metric: str, heading: str) -> tuple[Point, ...]:
    style, found = table.style(metric), _found(table, row, metric)
    number = str(table.rows.index(row) + 1)
    points = []
    for turn, one in found:
        assert one.value is not None
        low, high = (None, None) if one.ci95 is None else (end * style.scale for end in one.ci95)
        words = f"{row.label}, turn {turn}: {heading} {_shown(one, style)}"
        points.append(Point(turn, one.value * style.scale, words, number if turn == found[-1][0] else "", low, high))
    return tuple(points)


def _shown(found: Measurement, style: Metric) -> str:
    """Return a value with its 95 % interval as text, in the unit of the metric."""
    ends = () if found.ci95 is None else found.ci95
    value, *bounds = (f"{number * style.scale:z,.{style.decimals}f}" for number in (found.value or 0.0, *ends))
    return f"{value} [{', '.join(bounds)}]" if bounds else value


def _listed(table: TurnsTable) -> Grid:
    lines = []
    for metric in table.columns:
        style = table.style(metric)
        for number, row in enumerate(table.rows, 1):
            found = dict(_found(table, row, metric))
            cells = [_shown(found[turn], style) if turn in found else "–" for turn in range(1, table.turns + 1)]
            lines.append([style.heading(table.features), f"{number} {row.label}", *cells])
    return Grid(["Metric", "Method", *(f"turn {turn}" for turn in range(1, table.turns + 1))], lines, left=2)
