"""One typed table as Markdown, CSV, LaTeX, HTML and on the terminal."""

from __future__ import annotations

import html
from dataclasses import dataclass

import pandas
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from bench.metrics.summary import Measurement
from bench.tables.build import METRICS, Column, Metric, Table, TableRow

__all__ = ["frame", "print_table", "to_csv", "to_html", "to_latex", "to_markdown"]

OURS = "†"
TERMINAL_DETAILS = ("kid", "pre_error_ring", "pre_error_interior")
DETAILS = ("kid", "pre_error_rounded", "pre_error_float", "pre_error_ring", "pre_error_interior", "pre_sse01")


@dataclass(frozen=True)
class _Grid:
    """A table as text: a heading for each column and a line for each row."""

    heads: list[str]
    lines: list[list[str]]


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


def _measured(table: Table) -> _Grid:
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
    return _Grid(heads, lines)


def _paper(table: Table) -> _Grid:
    """The published values in the same order, one line for each row."""
    heads = [f"paper: {column.published_title}" for column in table.columns]
    return _Grid(heads, [[_published(row, column) for column in table.columns] for row in table.rows])


def _main(table: Table) -> _Grid:
    """Measured values, and the published ones apart."""
    measured, paper = _measured(table), _paper(table)
    lines = [left + right for left, right in zip(measured.lines, paper.lines, strict=True)]
    return _Grid(measured.heads + paper.heads, lines)


def _published(row: TableRow, column: Column) -> str:
    value = row.published.get(column.metric)
    return "–" if value is None else f"{value:g}"


def _details(table: Table, names: tuple[str, ...] = DETAILS) -> _Grid:
    """What stands beside the paper's columns: training, KID, and the known-region error in its other readings."""
    heads = ["Beside the table", "training steps"]
    heads += [_detail_title(METRICS[name]) for name in names]
    lines = [
        [row.label, row.training or "–", *(_value(row.measured.get(name), METRICS[name]) for name in names)]
        for row in table.rows
    ]
    return _Grid(heads, lines)


def _detail_title(style: Metric) -> str:
    return f"{style.title} [{style.unit}]" if style.unit else style.title


def _differences(table: Table) -> _Grid:
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
    return _Grid(heads, lines)


def _grids(table: Table) -> list[_Grid]:
    return [_main(table), *_beside(table)]


def _beside(table: Table) -> list[_Grid]:
    return [grid for grid in (_differences(table), _details(table)) if grid.lines]


def _caption(table: Table) -> str:
    return f"Table {table.number}, profile {table.profile}: {table.title}"


def to_markdown(table: Table) -> str:
    """The table, its differences, other readings and notes as GitHub's Markdown."""
    parts = [f"## {_caption(table)}"]
    for grid in _grids(table):
        rule = "| --- " + "| ---: " * (len(grid.heads) - 1) + "|"
        lines = [_markdown_line(grid.heads), rule, *(_markdown_line(line) for line in grid.lines)]
        parts.append("\n".join(lines))
    parts.append("\n".join(f"- {note}" for note in table.notes))
    return "\n\n".join(parts) + "\n"


def _markdown_line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def to_html(table: Table) -> str:
    """The same as one HTML page without scripts."""
    parts = [f"<h1>{html.escape(_caption(table))}</h1>"]
    for grid in _grids(table):
        heads = "".join(f"<th>{html.escape(head)}</th>" for head in grid.heads)
        lines = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>\n" for line in grid.lines
        )
        parts.append(f"<table>\n<tr>{heads}</tr>\n{lines}</table>")
    parts.append("<ul>" + "".join(f"<li>{html.escape(note)}</li>\n" for note in table.notes) + "</ul>")
    style = (
        "body{font:15px system-ui,sans-serif;margin:2em;color-scheme:light dark}"
        "table{border-collapse:collapse;margin:1em 0}td,th{padding:.3em .7em;text-align:right;"
        "border-bottom:1px solid #8886}td:first-child,th:first-child{text-align:left}"
    )
    title = html.escape(_caption(table))
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{style}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
        "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "÷": r"$\div$", "–": "--",
        "†": r"$^\dagger$", "×": r"$\times$", "<": r"$<$", ">": r"$>$",
    }
)  # fmt: skip


def to_latex(table: Table) -> str:
    """The table, its differences and other readings as one `table*`; the preamble needs `booktabs` and `graphicx`."""
    lines = [r"\begin{table*}", r"\centering", rf"\caption{{{_caption(table).translate(_LATEX)}}}"]
    for grid in _grids(table):
        lines += [r"\resizebox{\textwidth}{!}{%", rf"\begin{{tabular}}{{l{'r' * (len(grid.heads) - 1)}}}", r"\toprule"]
        lines += [" & ".join(head.translate(_LATEX) for head in grid.heads) + r" \\", r"\midrule"]
        lines += [" & ".join(cell.translate(_LATEX) for cell in line) + r" \\" for line in grid.lines]
        lines += [r"\bottomrule", r"\end{tabular}}", r"\par\medskip"]
    lines[-1] = r"\end{table*}"
    notes = [f"% {note}" for note in table.notes]
    return "\n".join(notes + lines) + "\n"


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
    _print_grid(measured, _caption(table), console)
    lines = [[label, *line] for label, line, row in zip(labels, paper.lines, table.rows, strict=True) if row.published]
    if lines:
        heads = ["Method", *(head.removeprefix("paper: ") for head in paper.heads)]
        _print_grid(_Grid(heads, lines), "As the paper prints it", console)
    for grid in (_differences(table), _details(table, TERMINAL_DETAILS)):
        if grid.lines:
            _print_grid(grid, "", console)
    for note in table.notes:
        console.print(Text(f"- {note}"))


def _print_grid(grid: _Grid, title: str, console: Console) -> None:
    shown = RichTable(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for index, head in enumerate(grid.heads):
        shown.add_column(Text(head), justify="left" if index == 0 else "right", overflow="fold")
    for line in grid.lines:
        shown.add_row(*(Text(cell) for cell in line))
    console.print(shown)
