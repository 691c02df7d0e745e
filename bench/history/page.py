"""The page of a history: marked changes, a small plot of each line, and all numbers."""

from __future__ import annotations

import math

from bench.gate.decision import Verdict
from bench.history.lines import History, Line, Moment, Value
from bench.history.render import (
    WORDS,
    breaks_grid,
    line_grids,
    marks_grid,
    marks_of,
    moments_grid,
    notes_of,
    shown,
    since,
    skipped_grid,
    summary,
    undecided,
)
from bench.reporting.page import template
from bench.reporting.plots import Area, Axis, Plot, Plots, Point, Series
from bench.tables.grid import Grid

__all__ = ["history_page"]

MARGIN = "margin of the gate around the previous value"
NOTE = (
    "Each plot shows one number in the unit of results.json. A vertical line is its 95 % interval. A ring and the word "
    "“worse” mark a regression, and the word “better” marks an improvement. A line is interrupted where items or "
    "protocols changed."
)


def history_page(history: History) -> str:
    """Return the page as HTML, which loads no other file."""
    experiments = dict.fromkeys(line.experiment for line in history.lines)
    grids = dict(line_grids(history))
    marked = {line.experiment for line, _ in history.marked()}
    return template("history.html").render(
        summary=summary(history),
        compared=any(value.step is not None for line in history.lines for value in line.values),
        first=history.moments[0].source.date,
        last=history.moments[-1].source.date,
        marks=marks_grid(history),
        undecided=undecided(history),
        moments=moments_grid(history),
        breaks=breaks_grid(history),
        skipped=skipped_grid(history),
        notes=notes_of(history),
        experiments=[(name, marks_of(history, name), _plots(history, name), grids[name]) for name in experiments],
        opened=marked or set(list(experiments)[:1]),
        gate_notes=[(moment.number, note) for moment in history.moments for note in moment.notes],
    )


def _plots(history: History, experiment: str) -> Plots:
    """Return a line of plots for each metric of a table, with a plot for each row.

    Costs that never changed have no plot.
    """
    lines = [line for line in history.lines if line.experiment == experiment]
    drawn = [
        line
        for line in lines
        if any(value.value is not None for value in line.values) and (line.moved or not line.is_cost)
    ]
    metrics = dict.fromkeys(line.metric for line in drawn)
    axis = Axis.named("commit, or date", [moment.label for moment in history.moments])
    return Plots(
        tuple(
            tuple(_plot(line, history.moments, axis) for line in drawn if line.metric == metric) for metric in metrics
        ),
        _listed(experiment, lines, history.moments),
        NOTE,
    )


def _plot(line: Line, moments: tuple[Moment, ...], axis: Axis) -> Plot:
    present = [value for value in line.values if value.value is not None]
    limits = _limits(present)
    ends = [end for value in present for end in (value.value, value.low, value.high) if end is not None]
    ends += [end for _, low, high in limits for end in (low, high)]
    direction = "higher is better" if line.higher_is_better else "lower is better"
    title = f"{line.row}: {line.metric}, {direction}"
    return Plot(
        title,
        axis,
        Axis.of(line.metric, ends, log=False),
        (Series(line.row, tuple(_point(value, moments[value.moment - 1]) for value in present), joined=True),),
        Area(MARGIN, limits) if limits else None,
    )


def _limits(values: list[Value]) -> tuple[tuple[float, float, float], ...]:
    """Return the margin around the previous value, for each value of the newest segment that was compared.

    The margin of a number that is never negative ends at 0.
    """
    segment = values[-1].segment
    least = 0.0 if all(value.value is not None and value.value >= 0 for value in values) else -math.inf
    return tuple(
        (value.moment - 1.0, max(value.step.old - value.step.margin, least), value.step.old + value.step.margin)
        for value in values
        if value.segment == segment and value.step is not None
    )


def _point(value: Value, moment: Moment) -> Point:
    assert value.value is not None
    words = [f"#{moment.number} {moment.label}, {moment.source.date:%Y-%m-%d %H:%M}: {shown(value.value)}"]
    if value.low is not None:
        words[0] += f" [{shown(value.low)}, {shown(value.high)}]"
    if value.step is not None:
        step = value.step
        words.append(f"change {step.change:+.3g} since #{step.against}, margin {shown(step.margin)}: {step.verdict}")
    if value.drift is not None and value.cause is not None:
        words.append(f"{WORDS[value.drift]} {since(value)}: {value.cause.change:+.3g}")
    if value.broken:
        words.append(f"not compared with earlier numbers: {value.broken}")
    labels = {Verdict.REGRESSION: "worse", Verdict.IMPROVED: "better", None: ""}
    return Point(
        moment.number - 1.0,
        value.value,
        "; ".join(words),
        labels[value.mark],
        value.low,
        value.high,
        flagged=value.mark is Verdict.REGRESSION,
        part=value.segment,
    )


def _listed(experiment: str, lines: list[Line], moments: tuple[Moment, ...]) -> Grid:
    heads = ["row", "metric", *(f"#{moment.number} {moment.label}" for moment in moments)]
    rows = []
    for line in lines:
        values = {value.moment: value for value in line.values}
        cells = [values.get(moment.number) for moment in moments]
        rows.append([line.row, line.metric, *("–" if cell is None else _cell(cell) for cell in cells)])
    return Grid(heads, rows, left=2, title=f"{experiment}: all values")


def _cell(value: Value) -> str:
    return f"{shown(value.value)}{' ' + WORDS[value.mark] if value.mark is not None else ''}"
