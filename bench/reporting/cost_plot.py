"""Functions that prepare a list of each row's costs, and plots of the rows' quality against their costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.metrics.summary import Measurement
from bench.reporting.plots import Axis, Plot, Plots, Point, Series
from bench.tables.build import Metric, Table
from bench.tables.leaderboard import Cost
from bench.tables.render import measured_shown

__all__ = ["COSTS", "CostLine", "CostedRow", "Costs", "Quality", "cost_plots", "costs_of"]

COSTS = {
    "parameters": Cost("parameters [millions]", 1e-6),
    "tera_flop": Cost("TFLOP an image", 1.0),
    "seconds_per_image": Cost("decoding [ms an image]", 1e3),
}
"""Costs that the report of a table shows, by the name under which `bench.evaluation.costs.row_costs` measures them."""


@dataclass(frozen=True)
class Quality:
    """A value of a metric as it is printed, that is, in the unit of the metric's heading."""

    value: float
    stderr: float | None
    shown: str
    """Text of the value with its standard error."""

    @classmethod
    def of(cls, found: Measurement | None, style: Metric) -> Quality | None:
        """Return the value of a measurement; None if it has no value.

        Args:
            found: measurement; None if the metric was not measured.
            style: style of the metric.
        """
        if found is None or found.value is None:
            return None
        stderr = None if found.stderr is None else found.stderr * style.scale
        return cls(found.value * style.scale, stderr, measured_shown(found, style))


@dataclass(frozen=True)
class CostedRow:
    """A row as plots of quality against cost show it."""

    number: str
    """Short text beside the row's points, by which the row is found in a list."""
    name: str
    costs: Mapping[str, float]
    """Costs in the units in which they are measured."""
    qualities: Mapping[str, Quality]
    group: str = ""
    """Name of the rows' group, which the legend shows. The points of a group have a colour and a shape of their own."""


@dataclass(frozen=True)
class CostLine:
    number: str
    """Number of the row, which the plots print beside the row's point."""
    label: str
    cells: tuple[str, ...]
    """Texts of the number of parameters, the operations, the decoding time in milliseconds, and its share of the time.

    The share is the decoding time divided by the sum of the decoding time and the sampling time. The value of each
    metric in `Costs.metrics` follows, with its standard error.
    """


@dataclass(frozen=True)
class Costs:
    lines: tuple[CostLine, ...]
    metrics: tuple[str, ...]
    """Titles of the metrics that the plots show."""
    plots: Plots
    sampling: str
    """Sentence that says how long the sampling of one image took, or that this run sampled nothing."""


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
    shown = [
        CostedRow(
            str(number),
            row.label,
            costs[row.key],
            {
                column.metric: quality
                for column in table.columns
                if (quality := Quality.of(row.measured.get(column.metric), column.format)) is not None
            },
        )
        for number, row in enumerate(rows, 1)
    ]
    plots = cost_plots(shown, {column.metric: column.title for column in table.columns}, COSTS)
    drawn = {line[0].title for line in plots}
    metrics = [column for column in table.columns if column.title in drawn]
    lines = tuple(
        CostLine(
            row.number,
            row.name,
            (
                *_cells(row.costs, sampling),
                *(row.qualities[column.metric].shown if column.metric in row.qualities else "–" for column in metrics),
            ),
        )
        for row in shown
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
    return Costs(lines, tuple(column.title for column in metrics), Plots(plots), words)


def _cells(found: Mapping[str, float], sampling: float | None) -> tuple[str, ...]:
    seconds = found.get("seconds_per_image")
    share = None if sampling is None or seconds is None else seconds / (seconds + sampling)
    return (
        f"{found['parameters']:,.0f}" if "parameters" in found else "–",
        f"{found['tera_flop']:.4g}" if "tera_flop" in found else "–",
        "–" if seconds is None else f"{seconds * 1e3:,.3g}",
        "–" if share is None else f"{share:.1%}",
    )


def cost_plots(
    rows: Sequence[CostedRow], metrics: Mapping[str, str], costs: Mapping[str, Cost], *, joined: bool = False
) -> tuple[tuple[Plot, ...], ...]:
    """Return the plots of quality against cost, one line for each metric and in it one plot for each cost.

    All plots of one metric have the same axis of its values, and all plots of one cost have the same axis of the cost.
    The intervals are one standard error to each side. A plot with fewer than two points is left out.

    Args:
        rows: rows to show.
        metrics: heading of each metric, by its name.
        costs: title and scale of each cost, by its name.
        joined: whether a line joins the points of each group, from the lowest to the highest cost.
    """
    lines = []
    across = {
        name: Axis.of(cost.title, [row.costs[name] * cost.scale for row in rows if name in row.costs])
        for name, cost in costs.items()
        if any(name in row.costs for row in rows)
    }
    for metric, heading in metrics.items():
        shown = [row for row in rows if metric in row.qualities]
        ends = [end for row in shown for end in _ends(row.qualities[metric])]
        plots = [
            Plot(
                heading, axis, Axis.of(heading, ends), _series(rows, metric, heading, name, costs[name], joined=joined)
            )
            for name, axis in across.items()
            if sum(name in row.costs for row in shown) > 1
        ]
        if plots:
            lines.append(tuple(plots))
    return tuple(lines)


def _ends(found: Quality) -> tuple[float, float]:
    error = found.stderr or 0.0
    return found.value - error, found.value + error


def _series(
    rows: Sequence[CostedRow], metric: str, heading: str, name: str, cost: Cost, *, joined: bool
) -> tuple[Series, ...]:
    """Return the points of each group in one plot; a group without points in this plot is empty."""
    points: dict[str, list[Point]] = {row.group: [] for row in rows}
    for row in rows:
        if metric in row.qualities and name in row.costs:
            found, x = row.qualities[metric], row.costs[name] * cost.scale
            low, high = (None, None) if found.stderr is None else _ends(found)
            words = f"{row.name}: {heading} {found.shown}, {cost.title} {x:,.4g}"
            points[row.group].append(Point(x, found.value, words, row.number, low, high))
    return tuple(
        Series(group, tuple(sorted(found, key=lambda point: point.x) if joined else found), joined)
        for group, found in points.items()
    )
