"""Output of the table of a sensitivity study as Markdown, CSV, LaTeX and HTML, and on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas
from rich.console import Console

from bench.metrics.protocol import Protocol
from bench.metrics.summary import Measurement
from bench.metrics.uncertainty import Difference
from bench.runtime.not_available import NotAvailable
from bench.runtime.text import csv_text
from bench.tables.build import Metric, style_of
from bench.tables.grid import Grid, html_page, markdown, print_grid, print_notes
from bench.tables.latex import latex
from bench.tables.render import number_as_json
from bench.tables.sensitivity import Line, SensitivityTable, View

__all__ = ["frame", "print_table", "renderings", "rows_as_json", "sensitivity_grids"]

MOST_DECIMALS = 8
UNTOUCHED = "–"


def renderings(table: SensitivityTable) -> dict[str, str]:
    """Return the content of the table's file in each format. The keys are the suffixes md, csv, tex and html."""
    grids = list(sensitivity_grids(table))
    return {
        "md": markdown(_caption(table), grids, table.notes),
        "csv": csv_text(frame(table)),
        "tex": latex(_caption(table), grids, table.notes),
        "html": html_page(_caption(table), grids, table.notes),
    }


def frame(table: SensitivityTable) -> pandas.DataFrame:
    """Return the table as a data frame.

    A choice is a change in how the images are measured. The data frame has one line for each combination of a row, a
    choice, and a metric that this choice affects. The numbers that were measured without a choice have lines as well.
    """
    lines = []
    for line in table.lines:
        for metric, found in line.measured.items():
            low, high = found.ci95 or (None, None)
            moved, apart = found.difference, line.to_reference.get(metric)
            lines.append(
                {
                    "row": line.row,
                    "choice": line.choice,
                    "against": line.against,
                    "metric": metric,
                    "measured_as": line.names[metric],
                    "value": found.value,
                    "stderr": found.stderr,
                    "ci95_low": low,
                    "ci95_high": high,
                    "n": found.n,
                    "reason": found.reason or line.unknown.get(metric),
                    **_columns("difference", moved),
                    **_columns("to_reference", apart if isinstance(apart, Difference) else None),
                }
            )
    return pandas.DataFrame(lines)


def _columns(name: str, found: Difference | None) -> dict[str, float | None]:
    if found is None:
        return dict.fromkeys((name, f"{name}_stderr", f"{name}_ci95_low", f"{name}_ci95_high"))
    low, high = found.ci95
    return {name: found.value, f"{name}_stderr": found.stderr, f"{name}_ci95_low": low, f"{name}_ci95_high": high}


def rows_as_json(table: SensitivityTable, protocols: Mapping[View, Mapping[str, Protocol]]) -> list[dict[str, Any]]:
    """Return the rows of the table as plain data for `results.json`.

    A choice is a change in how the images are measured. Each row occurs once without a choice, and once for each
    choice. With a choice, the row contains only the metrics that this choice affects.

    Args:
        table: table of the sensitivity study.
        protocols: protocol of each metric. The first key is the view, and the second key is the full name of the
            metric.
    """
    return [
        {
            "label": line.label,
            "method": line.row,
            "choice": line.choice or None,
            "how": line.how,
            "against": line.against or None,
            "metrics": {
                metric: {
                    **number_as_json(metric, found, protocols[line.view].get(line.names[metric]), table.styles),
                    "measured_as": line.names[metric],
                    **({"reason": found.reason} if found.reason else {}),
                    **({"difference": _as_json(found.difference)} if found.difference else {}),
                    **({"no_difference": line.unknown[metric]} if metric in line.unknown else {}),
                    **({"difference_to_reference": _as_json(apart)} if isinstance(apart, Difference) else {}),
                }
                for metric, found in line.measured.items()
                for apart in (line.to_reference.get(metric),)
            },
        }
        for line in table.lines
    ]


def _as_json(found: Difference) -> dict[str, Any]:
    return {"value": found.value, "stderr": found.stderr, "ci95": found.ci95}


def print_table(table: SensitivityTable, console: Console, *, verbose: bool = True) -> None:
    """Print one grid for each row, with a line for each choice and a line without a choice.

    A choice is a change in how the images are measured.

    Args:
        table: table of the sensitivity study.
        console: console on which the table is printed.
        verbose: whether the differences from the reference row, the metrics of the separate table, and the notes are
            printed as well.
    """
    print_grid(Grid([], []), _caption(table), console)
    for row in dict.fromkeys(line.row for line in table.lines):
        lines = [line for line in table.lines if line.row == row]
        heads = ["How", *(_head(metric, table) for metric in table.columns)]
        cells = [[line.how, *(_cell(line, metric, table, "\n") for metric in table.columns)] for line in lines]
        print_grid(Grid(heads, cells), lines[0].label, console)
    if not verbose:
        return
    for grid in (_apart(table), _whole(table, table.beside, "Beside the table")):
        if grid.lines:
            print_grid(grid, "", console)
    print_notes(table.notes, console)


def _caption(table: SensitivityTable) -> str:
    return f"{table.title}, profile {table.profile}"


def sensitivity_grids(table: SensitivityTable) -> Iterator[Grid]:
    """Yield up to three grids: the main table, the differences from the reference row, and the separate table.

    Empty grids are left out.
    """
    grids = _whole(table, table.columns, "Method"), _apart(table), _whole(table, table.beside, "Beside the table")
    yield from (grid for grid in grids if grid.lines and len(grid.heads) > grid.left)


def _whole(table: SensitivityTable, metrics: Sequence[str], title: str) -> Grid:
    """Return a grid with several lines for each row: a line without a choice, and a line for each choice.

    A choice is a change in how the images are measured. Choices that affect none of `metrics` are left out.

    Args:
        table: table of the sensitivity study.
        metrics: metrics of the columns.
        title: heading of the first column.
    """
    lines = [
        [line.label, line.how, *(_cell(line, metric, table, ", ") for metric in metrics)]
        for line in table.lines
        if set(metrics) & set(line.measured)
    ]
    heads = [title, "How", *(_head(metric, table) for metric in metrics)]
    return Grid(heads, lines, left=2, title="" if metrics == table.columns else "beside the table")


def _apart(table: SensitivityTable) -> Grid:
    """Return the grid of each row's differences from the reference row, without a choice and with each choice.

    A choice is a change in how the images are measured. The grid shows whether a choice changes the order of the rows.
    """
    lines = [
        [line.label, line.how, *(_interval(line, metric, table) for metric in table.columns)]
        for line in table.lines
        if line.to_reference and set(table.columns) & set(line.measured)
    ]
    heads = [f"Minus {table.reference}, with 95 % interval", "How", *(_head(metric, table) for metric in table.columns)]
    return Grid(heads, lines, left=2, title="rows minus the reference row")


def _head(metric: str, table: SensitivityTable) -> str:
    return _style(metric, table).heading(table.features)


def _style(metric: str, table: SensitivityTable) -> Metric:
    style = style_of(metric, table.styles)
    assert style is not None  # `check_table` has checked it
    return style


def _cell(line: Line, metric: str, table: SensitivityTable, between: str) -> str:
    found, style = line.measured.get(metric), _style(metric, table)
    if found is None:
        return UNTOUCHED
    if found.value is None:
        return "none"
    if not line.choice:
        return _with_error(found, style)
    value = f"{found.value * style.scale:z,.{style.decimals}f}"
    return f"{value}{between}{_moved(found.difference, style)}"


def _with_error(found: Measurement, style: Metric) -> str:
    assert found.value is not None
    value = f"{found.value * style.scale:z,.{style.decimals}f}"
    return value if found.stderr is None else f"{value} ± {found.stderr * style.scale:,.{style.decimals}f}"


def _moved(found: Difference | None, style: Metric) -> str:
    """Return a difference and its standard error as text.

    The number of decimals is large enough to show two digits of the standard error. The text is "not comparable" if the
    difference is unknown, and "no change" if the difference and its standard error are 0.
    """
    if found is None:
        return "not comparable"
    if found.value == 0 and found.stderr == 0:
        return "no change"
    decimals = _decimals(found.stderr, style)
    return f"{found.value * style.scale:+,.{decimals}f} ± {found.stderr * style.scale:,.{decimals}f}"


def _interval(line: Line, metric: str, table: SensitivityTable) -> str:
    found, style = line.to_reference.get(metric), _style(metric, table)
    if found is None:
        return UNTOUCHED
    if isinstance(found, NotAvailable):
        return "none"
    decimals = _decimals(found.stderr, style)
    low, high = (f"{bound * style.scale:+,.{decimals}f}" for bound in found.ci95)
    return f"{found.value * style.scale:+,.{decimals}f} [{low}, {high}]"


def _decimals(stderr: float, style: Metric) -> int:
    """Return the number of decimals at which two digits of the standard error are visible.

    The number is at least the number of decimals in the style, but at most `MOST_DECIMALS`. If the standard error is 0,
    the result is the number of decimals in the style.

    Args:
        stderr: standard error in the unit of the measured value.
        style: style of the metric.
    """
    if stderr <= 0:
        return style.decimals
    return min(max(style.decimals, 1 - math.floor(math.log10(stderr * style.scale))), MOST_DECIMALS)
