"""One typed table as Markdown, CSV, LaTeX, HTML and on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas
from rich.console import Console

from bench.metrics.protocol import Protocol
from bench.metrics.summary import HOLE_ONLY, Measurement
from bench.metrics.uncertainty import Difference
from bench.tables.build import METRICS, NATIVE, PUBLISHED, Column, Metric, Styles, Table, TableRow, style_of
from bench.tables.grid import DIFFERS, Grid, html_page, markdown, print_grid, print_notes
from bench.tables.latex import latex
from bench.tables.verdicts import LEVEL, Verdict, p_shown

__all__ = [
    "CITED",
    "DIFFERS",
    "OURS",
    "frame",
    "further_grids",
    "number_as_json",
    "print_table",
    "renderings",
    "to_csv",
    "to_html",
    "to_latex",
    "to_markdown",
    "verdict_grid",
]

OURS, CITED = "†", "‡"
TERMINAL_DETAILS = ("kid", "pre_error_ring", "pre_error_interior")
"""Of what stands beside the paper's columns, what the terminal shows."""


def _value(measurement: Measurement | None, style: Metric) -> str:
    if measurement is None or measurement.value is None:
        return "–"
    value = f"{measurement.value * style.scale:,.{style.decimals}f}"
    if measurement.stderr is None:
        return value
    return f"{value} ± {measurement.stderr * style.scale:,.{style.decimals}f}"


def _marked(measurement: Measurement | None, style: Metric) -> str:
    differs = measurement is not None and measurement.p_holm is not None and measurement.p_holm < LEVEL
    return f"{_value(measurement, style)} {DIFFERS if differs else ''}".strip()


def _ratio(measurement: Measurement | None) -> str:
    if measurement is None or measurement.ratio is None:
        return "–"
    return measurement.ratio if isinstance(measurement.ratio, str) else f"÷ {measurement.ratio:.3g}"


def _label(row: TableRow) -> str:
    mark = CITED if row.cited else "" if row.in_paper else OURS
    origin = "" if row.origin in (NATIVE, PUBLISHED) else f"({row.origin})"
    return " ".join(part for part in (row.label, origin, mark) if part)


def _grid_of(table: Table, rows: Sequence[TableRow], columns: Sequence[tuple[str, str]], title: str = "") -> Grid:
    """Measured values with standard errors, marked where they differ from the reference row's, bold where they are the
    best; and the error's ratio to the reference's.
    """
    heads, lines = ["Method"], [[_label(row)] for row in rows]
    best = set()
    for metric, head in columns:
        style = style_of(metric, table.styles)
        assert style is not None  # `check_table` saw it
        best |= {(place, len(heads)) for place, row in enumerate(rows) if table.best.get(metric) == row.key}
        heads.append(head)
        for row, line in zip(rows, lines, strict=True):
            line.append(_marked(row.measured.get(metric), style))
        if style.ratio:
            heads.append(f"to {table.reference}" if table.reference else "ratio")
            for row, line in zip(rows, lines, strict=True):
                line.append(_ratio(row.measured.get(metric)))
    return Grid(heads, lines, title=title, best=frozenset(best))


def _paper_rows(table: Table) -> list[TableRow]:
    return [row for row in table.rows if not row.beside]


def _measured(table: Table) -> Grid:
    """The paper's columns, and the other readings of them that the paper's printed numbers belong to."""
    return _grid_of(table, _paper_rows(table), [(column.metric, column.title) for column in table.shown])


def _analyses(table: Table) -> Grid:
    """The same columns for rows that stand apart."""
    rows = [row for row in table.rows if row.beside]
    grid = _grid_of(table, rows, [(column.metric, column.title) for column in table.columns])
    return Grid(["Autoencoder or sampler?", *grid.heads[1:]], grid.lines, title="what autoencoder and sampler do")


def _hole_only(table: Table) -> Grid:
    """The paper's columns with the truth in place of known pixels, as far as they were measured so."""
    rows = [row for row in _paper_rows(table) if row.measured]
    names = [f"{column.metric}_{HOLE_ONLY}" for column in table.columns]
    there = [name for name in names if any(name in row.measured for row in rows)]
    if not there:
        return Grid([], [])
    return _grid_of(
        table, rows, [(name, _title(table, name)) for name in there], title="with the truth in place of known pixels"
    )


def _title(table: Table, metric: str) -> str:
    style = style_of(metric, table.styles)
    assert style is not None
    return style.heading()


def _paper(table: Table) -> Grid:
    """The published values in the same order, one line for each row, of the columns that the paper's table has."""
    columns = [column for column in table.shown if column.published_title]
    heads = [f"paper: {column.published_title}" for column in columns]
    return Grid(heads, [[_published(row, column) for column in columns] for row in _paper_rows(table)])


def _main(table: Table) -> Grid:
    """Measured values, and the published ones apart."""
    measured, paper = _measured(table), _paper(table)
    lines = [left + right for left, right in zip(measured.lines, paper.lines, strict=True)]
    return replace(measured, heads=measured.heads + paper.heads, lines=lines)


def _published(row: TableRow, column: Column) -> str:
    value = row.published.get(column.metric)
    return "–" if value is None else f"{value:g}"


def _details(table: Table, names: Sequence[str] | None = None) -> Grid:
    """What stands beside the paper's columns: training, and metrics in other readings."""
    shown = [name for name in table.beside if names is None or name in names or name not in METRICS]
    heads = ["Beside the table", "training steps", *(_title(table, name) for name in shown)]
    lines = [
        [row.label, row.training or "–", *(_detail(table, row, name) for name in shown)]
        for row in table.rows
        if row.measured
    ]
    return Grid(heads, lines, title="beside the table")


def _detail(table: Table, row: TableRow, metric: str) -> str:
    style = style_of(metric, table.styles)
    assert style is not None  # `check_table` saw it
    return _value(row.measured.get(metric), style)


def _differences(table: Table) -> Grid:
    """Paired differences to the reference row: value, 95 % interval, p after Holm's correction."""
    heads = [f"Difference to {table.reference}", *(column.title for column in table.columns)]
    lines = []
    for row in _paper_rows(table):
        cells = []
        for column in table.columns:
            measurement = row.measured.get(column.metric)
            if measurement is None or measurement.difference is None or measurement.p_holm is None:
                cells.append("–")
                continue
            cells.append(f"{_change(measurement.difference, column.format)}, {p_shown(measurement.p_holm)}")
        if any(cell != "–" for cell in cells):
            lines.append([row.label, *cells])
    return Grid(heads, lines, title="paired differences with their 95 % intervals and Holm's p-values")


def _effects(table: Table) -> Grid:
    """Branch and size as two factors, with their interaction; empty where a row of the four was not measured."""
    columns = [column for column in table.columns if column.metric in table.effects]
    names = [name for name, _ in table.effects[columns[0].metric]] if columns else []
    lines = []
    for place, name in enumerate(names):
        found = [table.effects[column.metric][place][1] for column in columns]
        if not any(isinstance(effect, str) for effect in found):
            lines.append(
                [name, *(_change(effect, column.format) for effect, column in zip(found, columns, strict=True))]
            )
    heads = ["Effect", *(column.title for column in columns)]
    return Grid(heads, lines, title="effects as paired differences with their 95 % intervals")


def _change(found: Difference | str, style: Metric) -> str:
    """A difference with its 95 % interval."""
    if isinstance(found, str):
        return "–"
    low, high = (bound * style.scale for bound in found.ci95)
    return f"{found.value * style.scale:+,.{style.decimals}f} [{low:,.{style.decimals}f}, {high:,.{style.decimals}f}]"


def verdict_grid(verdicts: Sequence[Verdict]) -> Grid:
    """What is said of the paper's claims, a line for each."""
    heads = ["Claim", "what it says", "scope", "verdict", "evidence"]
    lines = [[found.id, found.text, found.scope, found.verdict, found.evidence] for found in verdicts]
    return Grid(heads, lines, left=len(heads), title="claims")


def further_grids(table: Table) -> list[Grid]:
    """What stands below the paper's table: differences, effects, other readings; as far as there is anything."""
    grids = (_differences(table), _effects(table), _hole_only(table), _analyses(table), _details(table))
    return [grid for grid in grids if grid.lines]


def _grids(table: Table) -> list[Grid]:
    verdicts = verdict_grid(table.claims)
    return [_main(table), *further_grids(table), *([verdicts] if verdicts.lines else [])]


def _caption(table: Table) -> str:
    return f"Table {table.number}, profile {table.profile}: {table.title}"


def renderings(table: Table) -> dict[str, str]:
    """The table as a file's text, by suffix."""
    return {"md": to_markdown(table), "csv": to_csv(table), "tex": to_latex(table), "html": to_html(table)}


def to_markdown(table: Table) -> str:
    """The table, its differences, other readings and notes as GitHub's Markdown."""
    return markdown(_caption(table), _grids(table), table.notes)


def to_html(table: Table) -> str:
    """The same as one HTML page without scripts."""
    return html_page(_caption(table), _grids(table), table.notes)


def to_latex(table: Table) -> str:
    """The same as a file that LaTeX compiles, without the claims, whose evidence is prose."""
    grids = [grid for grid in _grids(table) if grid.left < len(grid.heads)]
    return latex(f"The paper's Table {table.number} on profile {table.profile}: {table.title}", grids, table.notes)


def frame(table: Table) -> pandas.DataFrame:
    """One line for each row; every measured metric with its standard error, interval, n and reason, and the paper's."""
    lines = []
    for row in table.rows:
        line: dict[str, object] = {"row": row.key, "label": row.label, "in_paper": row.in_paper, "cited": row.cited}
        line["origin"] = row.origin
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


def number_as_json(
    metric: str, found: Measurement, protocol: Protocol | None, styles: Styles = METRICS
) -> dict[str, Any]:
    """What `results.json` says of every number, whatever else it says of some."""
    style = style_of(metric, styles)
    return {
        "value": found.value,
        "stderr": found.stderr,
        "ci95": found.ci95,
        "n": found.n,
        "sources": found.sources,
        "unit": "",
        "higher_is_better": style.higher_is_better if style else None,
        "protocol": None if protocol is None else protocol.hash,
    }


def to_csv(table: Table) -> str:
    """`frame` as comma-separated values."""
    text: str = frame(table).to_csv(index=False)
    return text


def print_table(table: Table, console: Console) -> None:
    """What was measured, the paper's values below it, and the notes."""
    measured, paper = _measured(table), _paper(table)
    rows = _paper_rows(table)
    print_grid(measured, _caption(table), console)
    lines = [[_label(row), *line] for line, row in zip(paper.lines, rows, strict=True) if row.published]
    if lines:
        heads = ["Method", *(head.removeprefix("paper: ") for head in paper.heads)]
        print_grid(Grid(heads, lines), "As the paper prints it", console)
    shown = (
        _differences(table),
        _effects(table),
        _hole_only(table),
        _analyses(table),
        _details(table, TERMINAL_DETAILS),
    )
    for grid in shown:
        if grid.lines:
            print_grid(grid, "", console)
    verdicts = verdict_grid(table.claims)
    if verdicts.lines:
        without = Grid(verdicts.heads[:4], [line[:4] for line in verdicts.lines], left=4)
        print_grid(without, "Claims of the paper; the evidence is in the written tables", console)
    print_notes(table.notes, console)
