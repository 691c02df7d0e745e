"""One typed table as Markdown, CSV, LaTeX, HTML and on the terminal."""

from __future__ import annotations

import pandas
from rich.console import Console

from bench.metrics.summary import Measurement
from bench.tables.build import METRICS, Column, Metric, Table, TableRow
from bench.tables.grid import Grid, html_page, latex_table, markdown, print_grid, print_notes

__all__ = ["frame", "print_table", "to_csv", "to_html", "to_latex", "to_markdown"]

OURS = "†"
TERMINAL_DETAILS = ("kid", "pre_error_ring", "pre_error_interior")
DETAILS = ("kid", "pre_error_rounded", "pre_error_float", "pre_error_ring", "pre_error_interior", "pre_sse01")


def _value(measurement: Measurement | None, style: Metric) -> str:
    if measurement is None or measurement.value is None:
        return "–"
    value = f"{measurement.value * style.scale:,.{style.decimals}f}"
    if measurement.stderr is None:
        return value
    return f"{value} ± {measurement.stderr * style.scale:,.{style.decimals}f}"


def _ratio(measurement: Measurement | None) -> str:
    if measurement is None or measurement.ratio is None:
        return "–"
    return measurement.ratio if isinstance(measurement.ratio, str) else f"÷ {measurement.ratio:.3g}"


def _measured(table: Table) -> Grid:
    """The paper's columns with standard errors, and the error's ratio to the reference row's."""
    heads, lines = ["Method"], [[row.label if row.in_paper else f"{row.label} {OURS}"] for row in table.rows]
    for column in table.columns:
        heads.append(column.title)
        for row, line in zip(table.rows, lines, strict=True):
            line.append(_value(row.measured.get(column.metric), column.format))
        if column.metric == "pre_error":
            heads.append(f"to {table.reference}" if table.reference else "ratio")
            for row, line in zip(table.rows, lines, strict=True):
                line.append(_ratio(row.measured.get(column.metric)))
    return Grid(heads, lines)


def _paper(table: Table) -> Grid:
    """The published values in the same order, one line for each row."""
    heads = [f"paper: {column.published_title}" for column in table.columns]
    return Grid(heads, [[_published(row, column) for column in table.columns] for row in table.rows])


def _main(table: Table) -> Grid:
    """Measured values, and the published ones apart."""
    measured, paper = _measured(table), _paper(table)
    lines = [left + right for left, right in zip(measured.lines, paper.lines, strict=True)]
    return Grid(measured.heads + paper.heads, lines)


def _published(row: TableRow, column: Column) -> str:
    value = row.published.get(column.metric)
    return "–" if value is None else f"{value:g}"


def _details(table: Table, names: tuple[str, ...] = DETAILS) -> Grid:
    """What stands beside the paper's columns: training, KID, and the known-region error in its other readings."""
    heads = ["Beside the table", "training steps"]
    heads += [_detail_title(METRICS[name]) for name in names]
    lines = [
        [row.label, row.training or "–", *(_value(row.measured.get(name), METRICS[name]) for name in names)]
        for row in table.rows
    ]
    return Grid(heads, lines)


def _detail_title(style: Metric) -> str:
    return f"{style.title} [{style.unit}]" if style.unit else style.title


def _differences(table: Table) -> Grid:
    """Paired differences to the reference row: value, 95 % interval, p after Holm's correction."""
    heads = [f"Difference to {table.reference}", *(column.title for column in table.columns)]
    lines = []
    for row in table.rows:
        cells = []
        for column in table.columns:
            measurement = row.measured.get(column.metric)
            if measurement is None or measurement.difference is None or measurement.p_holm is None:
                cells.append("–")
                continue
            style, found = column.format, measurement.difference
            low, high = (bound * style.scale for bound in found.ci95)
            shown = f"{found.value * style.scale:+,.{style.decimals}f}"
            p_value = "p < 0.001" if measurement.p_holm < 0.001 else f"p = {measurement.p_holm:.3f}"
            cells.append(f"{shown} [{low:,.{style.decimals}f}, {high:,.{style.decimals}f}], {p_value}")
        if any(cell != "–" for cell in cells):
            lines.append([row.label, *cells])
    return Grid(heads, lines)


def _grids(table: Table) -> list[Grid]:
    return [_main(table), *_beside(table)]


def _beside(table: Table) -> list[Grid]:
    return [grid for grid in (_differences(table), _details(table)) if grid.lines]


def _caption(table: Table) -> str:
    return f"Table {table.number}, profile {table.profile}: {table.title}"


def to_markdown(table: Table) -> str:
    """The table, its differences, other readings and notes as GitHub's Markdown."""
    return markdown(_caption(table), _grids(table), table.notes)


def to_html(table: Table) -> str:
    """The same as one HTML page without scripts."""
    return html_page(_caption(table), _grids(table), table.notes)


def to_latex(table: Table) -> str:
    """The same as one `table*`, the notes as comments; see `bench.tables.grid` for the preamble."""
    return latex_table(_caption(table), _grids(table), table.notes)


def frame(table: Table) -> pandas.DataFrame:
    """One line for each row; every measured metric with its standard error, interval, n and reason, and the paper's."""
    lines = []
    for row in table.rows:
        line: dict[str, object] = {"row": row.key, "label": row.label, "in_paper": row.in_paper}
        for metric, found in row.measured.items():
            low, high = found.ci95 or (None, None)
            line |= {
                metric: found.value,
                f"{metric}_stderr": found.stderr,
                f"{metric}_ci95_low": low,
                f"{metric}_ci95_high": high,
                f"{metric}_n": found.n,
            }
            if found.reason:
                line[f"{metric}_reason"] = found.reason
        line |= {f"{metric}_published": value for metric, value in row.published.items()}
        lines.append(line)
    return pandas.DataFrame(lines)


def to_csv(table: Table) -> str:
    """`frame` as comma-separated values."""
    text: str = frame(table).to_csv(index=False)
    return text


def print_table(table: Table, console: Console) -> None:
    """What was measured, the paper's values below it, and the notes."""
    measured, paper = _measured(table), _paper(table)
    labels = [row.label for row in table.rows]
    print_grid(measured, _caption(table), console)
    lines = [[label, *line] for label, line, row in zip(labels, paper.lines, table.rows, strict=True) if row.published]
    if lines:
        heads = ["Method", *(head.removeprefix("paper: ") for head in paper.heads)]
        print_grid(Grid(heads, lines), "As the paper prints it", console)
    for grid in (_differences(table), _details(table, TERMINAL_DETAILS)):
        if grid.lines:
            print_grid(grid, "", console)
    print_notes(table.notes, console)
