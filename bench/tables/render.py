"""Output of a `bench.tables.build.Table` as Markdown, CSV, LaTeX and HTML, and on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pandas
from rich.console import Console
from rich.text import Text

from bench.metrics.names import HOLE_ONLY
from bench.metrics.protocol import Protocol
from bench.metrics.summary import UNBOUNDED, Measurement
from bench.metrics.uncertainty import FEWEST_EFFECTIVE, Difference
from bench.runtime.not_available import NotAvailable
from bench.runtime.text import csv_text, one_line
from bench.tables.build import METRICS, NATIVE, ON_REQUEST, PUBLISHED, Column, Metric, Styles, Table, TableRow, style_of
from bench.tables.claims import HARNESS
from bench.tables.designs import DesignDifference
from bench.tables.grid import DIFFERS, Grid, html_page, markdown, print_grid, print_notes
from bench.tables.latex import latex
from bench.tables.verdicts import Verdict, p_shown

__all__ = [
    "CITED",
    "DIFFERS",
    "FEW",
    "OURS",
    "change_shown",
    "few_sources_note",
    "frame",
    "further_grids",
    "measured_grid",
    "measured_shown",
    "number_as_json",
    "number_shown",
    "paper_title",
    "print_table",
    "published_shown",
    "ratio_shown",
    "renderings",
    "row_label",
    "to_csv",
    "to_html",
    "to_latex",
    "to_markdown",
    "verdict_grid",
    "verdict_grids",
    "verdicts_counted",
]

OURS, CITED, FEW = "†", "‡", "§"
TERMINAL_DETAILS = ("kid", "pre_error_ring", "pre_error_interior")
"""Metrics of this project that the table `Beside the table` shows on the terminal. In the files, this table shows all.

Metrics that a configuration adds are always shown.
"""


def number_shown(value: float, decimals: int, sign: str = "") -> str:
    """Return a number as a page shows it: with commas between thousands, and with a minus sign instead of a hyphen.

    Args:
        value: the number, in the unit in which it is shown. A number that is rounded to 0 has no minus sign.
        decimals: number of decimals.
        sign: `+` to print a plus sign before positive numbers; an empty string for no plus sign.
    """
    return f"{value:{sign}z,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def measured_shown(measurement: Measurement | None, style: Metric) -> str:
    """Return the value and its standard error as text, in the unit of the metric; a dash if there is no value.

    An unknown standard error is left out. The mark § follows if the 95 % interval is too short.
    """
    if measurement is None or measurement.value is None:
        return "–"
    value = f"{measurement.value * style.scale:z,.{style.decimals}f}"
    if measurement.stderr is None:
        return value
    few = f" {FEW}" if measurement.interval_too_short else ""
    return f"{value} ± {measurement.stderr * style.scale:,.{style.decimals}f}{few}"


def _marked(measurement: Measurement | None, style: Metric) -> str:
    differs = measurement is not None and measurement.differs
    return f"{measured_shown(measurement, style)} {DIFFERS if differs else ''}".strip()


def ratio_shown(measurement: Measurement | None) -> str:
    """Return the ratio of a measurement as text: the reference row's value divided by this row's value.

    The text also contains the 95 % interval, or says that the interval has no bound or is unknown. If there is no
    ratio, the text is the reason for this, or a dash.
    """
    ratio = None if measurement is None else measurement.ratio
    if isinstance(ratio, NotAvailable):
        return ratio.reason
    if ratio is None or not ratio.value:  # a ratio is 0 if the reference row's value is 0, and then says nothing
        return "–"
    if ratio.ci95 is None:
        return f"÷ {ratio.value:.3g} [{'no bound' if ratio.stderr_reason == UNBOUNDED else 'unknown'}]"
    few = f" {FEW}" if ratio.interval_too_short else ""
    return f"÷ {ratio.value:.3g} [{ratio.ci95[0]:.3g}, {ratio.ci95[1]:.3g}]{few}"


def row_label(table: Table, row: TableRow) -> str:
    """Return the label of a row with the origin of its images and with its footnote sign, if it has them."""
    mark = CITED if row.cited else OURS if table.is_foreign(row) else ""
    origin = "" if row.origin in (NATIVE, PUBLISHED) else f"({row.origin})"
    return " ".join(part for part in (row.label, origin, mark) if part)


def _grid_of(table: Table, rows: Sequence[TableRow], columns: Sequence[tuple[str, str]], title: str = "") -> Grid:
    """Return a grid of measured values with their standard errors.

    If `ratio` is true in the style of a metric, a further column shows the value of the reference row divided by the
    value of each row. A table that is not from the paper has this column only if the table has a reference row. Values
    that differ significantly from the reference row's value are marked. If a row is the best one by a metric, its value
    is bold.

    Args:
        table: table with the measured values.
        rows: rows that are shown.
        columns: metric and heading of each column.
        title: title of the grid.
    """
    heads, lines = ["Method"], [[row_label(table, row)] for row in rows]
    best = set()
    for metric, head in columns:
        style = style_of(metric, table.styles)
        assert style is not None  # `check_table` has checked it
        best |= {(place, len(heads)) for place, row in enumerate(rows) if table.best.get(metric) == row.key}
        heads.append(head)
        for row, line in zip(rows, lines, strict=True):
            line.append(_marked(row.measured.get(metric), style))
        if style.ratio and (table.reference or table.number is not None):
            heads.append(f"to {table.reference}" if table.reference else "ratio")
            for row, line in zip(rows, lines, strict=True):
                line.append(ratio_shown(row.measured.get(metric)))
    return Grid(heads, lines, title=title, best=frozenset(best))


def _paper_rows(table: Table) -> list[TableRow]:
    return [row for row in table.rows if not row.beside]


def measured_grid(table: Table) -> Grid:
    """Return the grid of the main table: all its columns, for the rows that are not in a separate table."""
    return _grid_of(table, _paper_rows(table), [(column.metric, column.title) for column in table.shown])


def _analyses(table: Table) -> Grid:
    """Return the grid of the rows that are shown in a separate table."""
    rows = [row for row in table.rows if row.beside]
    grid = _grid_of(table, rows, [(column.metric, column.title) for column in table.columns])
    return Grid(grid.heads, grid.lines, title="error of the autoencoder and error of the sampler")


def _hole_only(table: Table) -> Grid:
    """Return the grid of the metrics that were measured with the variant `hole_only`.

    For this variant, all known pixels of an image are replaced by the true pixels before the image is measured. The
    grid has a column for each metric of the main table that was measured with this variant. If there is no such metric,
    the grid is empty.
    """
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


def _printed(table: Table) -> Grid:
    """Return the grid of the paper's printed numbers.

    It is separate from the measured values, because the printed numbers come from other models and other images.
    """
    columns = [column for column in table.shown if column.published_title]
    lines = [
        [row_label(table, row), *(published_shown(row, column) for column in columns)]
        for row in _paper_rows(table)
        if row.published
    ]
    heads = ["As the paper prints it", *(column.published_title for column in columns)]
    return Grid(heads, lines, title="the numbers that the paper prints")


def published_shown(row: TableRow, column: Column) -> str:
    """Return the number that the paper prints in a row and a column as text; a dash if it prints none."""
    value = row.published.get(column.metric)
    return "–" if value is None else f"{value:g}"


def _details(table: Table, names: Sequence[str] | None = None) -> Grid:
    """Return the grid that shows each measured row's further metrics.

    A further column shows how many steps each row's decoder was trained. This column is left out if the table is not
    one of the paper's and no row has a known number of steps.

    Args:
        table: table with the measured values.
        names: metrics of this project that are shown; None for all. Metrics on request and metrics that a configuration
            adds are always shown.
    """
    kept = set(METRICS) - set(ON_REQUEST)
    shown = [name for name in table.beside if names is None or name in names or name not in kept]
    rows = [row for row in table.rows if row.measured]
    trained = table.number is not None or any(row.training for row in rows)
    heads = ["Beside the table", *(["training steps"] if trained else []), *(_title(table, name) for name in shown)]
    lines = [
        [row.label, *([row.training or "–"] if trained else []), *(_detail(table, row, name) for name in shown)]
        for row in rows
    ]
    return Grid(heads, lines if shown or trained else [], title="beside the table: further metrics of each row")


def _detail(table: Table, row: TableRow, metric: str) -> str:
    style = style_of(metric, table.styles)
    assert style is not None  # `check_table` has checked it
    return measured_shown(row.measured.get(metric), style)


def _differences(table: Table) -> Grid:
    """Return the grid of the rows' paired differences to the reference row.

    Each difference has an unadjusted 95 % interval and a p-value adjusted by Holm's method.
    """
    heads = [f"Difference to {table.reference}", *(column.title for column in table.columns)]
    lines = []
    for row in _paper_rows(table):
        cells = []
        for column in table.columns:
            measurement = row.measured.get(column.metric)
            if measurement is None or measurement.difference is None or measurement.p_holm is None:
                cells.append("–")
                continue
            cells.append(f"{change_shown(measurement.difference, column.format)}, {p_shown(measurement.p_holm)}")
        if any(cell != "–" for cell in cells):
            lines.append([row.label, *cells])
    return Grid(
        heads,
        lines,
        title=(
            f"paired differences to {table.reference} with their unadjusted 95 % intervals, and p-values adjusted by "
            "Holm's method"
        ),
    )


def _effects(table: Table) -> Grid:
    """Return the grid of the effects of a decoder's branch, size and training.

    Each effect has a line for the measured networks. If the effect is also known for the designs, it has a second line,
    computed from all training seeds. An effect whose rows were not measured is left out.
    """
    columns = [column for column in table.columns if column.metric in table.effects]
    names = [effect.name for effect in table.effects[columns[0].metric]] if columns else []
    lines = []
    for place, name in enumerate(names):
        effects = [(table.effects[column.metric][place], column.format) for column in columns]
        if any(isinstance(effect.measured, NotAvailable) for effect, _ in effects):
            continue
        lines.append(
            [name, "the measured networks", *(change_shown(effect.measured, style) for effect, style in effects)]
        )
        if not all(isinstance(effect.designs, NotAvailable) for effect, _ in effects):
            lines.append(
                [name, "all training seeds", *(change_shown(effect.designs, style) for effect, style in effects)]
            )
    heads = ["Effect", "Computed from", *(column.title for column in columns)]
    return Grid(heads, lines, left=2, title="effects as paired differences with their unadjusted 95 % intervals")


def change_shown(found: Difference | DesignDifference | NotAvailable, style: Metric) -> str:
    """Return a difference and its unadjusted 95 % interval as text; a dash if the difference is unknown.

    Args:
        found: difference, or the reason why it is unknown.
        style: style of the metric, with the format of its values.
    """
    if isinstance(found, NotAvailable):
        return "–"
    low, high = (bound * style.scale for bound in found.ci95)
    few = f" {FEW}" if found.decided_by_few else ""
    decimals = style.decimals
    return f"{found.value * style.scale:+,.{decimals}f} [{low:,.{decimals}f}, {high:,.{decimals}f}]{few}"


def few_sources_note(table: Table) -> Iterator[str]:
    """Yield the note that explains the mark § of numbers with few effective sources, if any number has this mark."""
    measured = [found for row in table.rows for found in row.measured.values()]
    marked = any(found.interval_too_short for found in measured)
    marked |= any(isinstance(found.ratio, Measurement) and found.ratio.interval_too_short for found in measured)
    marked |= any(found.difference is not None and found.difference.decided_by_few for found in measured)
    for effect in (effect for effects in table.effects.values() for effect in effects):
        marked |= any(
            not isinstance(one, NotAvailable) and one.decided_by_few for one in (effect.measured, effect.designs)
        )
    if marked:
        yield (
            f"{FEW} marks a number whose variance comes from fewer than {FEWEST_EFFECTIVE:g} effective sources: its "
            "interval is too short, and no verdict rests on it."
        )


def verdict_grid(verdicts: Sequence[Verdict], heading: str = "Claim") -> Grid:
    """Return a grid with a line for each statement: its text, its verdicts and their evidence.

    Args:
        verdicts: statements with their verdicts.
        heading: heading of the first column, and title of the grid.
    """
    heads = [heading, "what it says", "scope", "verdict on these networks", "verdict on the design", "evidence"]
    lines = [
        [
            found.id,
            found.text,
            found.scope,
            found.verdict,
            found.design or "–",
            f"{found.evidence} | design: {found.design_evidence}" if found.design else found.evidence,
        ]
        for found in verdicts
    ]
    return Grid(heads, lines, left=len(heads), title=heading.lower())


def verdict_grids(verdicts: Sequence[Verdict]) -> list[Grid]:
    """Return a grid of the paper's claims and a grid of the checks that this project adds; empty grids are left out."""
    own = [found for found in verdicts if found.by == HARNESS]
    paper = [found for found in verdicts if found.by != HARNESS]
    grids = (verdict_grid(paper), verdict_grid(own, "Check by the harness, no claim of the paper"))
    return [grid for grid in grids if grid.lines]


def further_grids(table: Table) -> list[Grid]:
    """Return the grids below the main table.

    They contain the numbers that the paper prints, the measured differences and effects, and further metrics and rows.
    Grids without lines are left out.
    """
    grids = (
        _printed(table),
        _differences(table),
        _effects(table),
        _hole_only(table),
        _analyses(table),
        _details(table),
    )
    return [grid for grid in grids if grid.lines]


def _grids(table: Table) -> list[Grid]:
    return [measured_grid(table), *further_grids(table), *verdict_grids(table.claims)]


def renderings(table: Table) -> dict[str, str]:
    """Return the content of the table's file in each format. The keys are the suffixes md, csv, tex and html."""
    return {"md": to_markdown(table), "csv": to_csv(table), "tex": to_latex(table), "html": to_html(table)}


def to_markdown(table: Table) -> str:
    """Return the main table, the grids below it, the verdicts and the notes as one section in GitHub's Markdown."""
    return markdown(table.caption, _grids(table), table.notes)


def to_html(table: Table) -> str:
    """Return the main table, the grids below it, the verdicts and the notes as one HTML page without scripts."""
    return html_page(table.caption, _grids(table), table.notes)


def to_latex(table: Table) -> str:
    """Return the main table, the grids below it and the notes as a complete LaTeX file.

    The verdicts are left out, because their evidence consists of long sentences.
    """
    grids = [grid for grid in _grids(table) if grid.left < len(grid.heads)]
    return latex(paper_title(table), grids, table.notes)


def paper_title(table: Table) -> str:
    """Return the title of a table for a paper, whose own tables have other numbers."""
    return (
        table.title
        if table.number is None
        else f"The paper's Table {table.number} on profile {table.profile}: {table.title}"
    )


def frame(table: Table) -> pandas.DataFrame:
    """Return the table as a data frame with one line for each row.

    Each metric has columns for the value, its standard error, its 95 % interval and the number of items. If values are
    missing, a further column contains the reasons. Columns whose names end with `_published` contain the numbers that
    the paper prints.
    """
    lines = []
    for row in table.rows:
        line: dict[str, object] = {
            "row": row.key,
            "label": one_line(row.label),
            "in_paper": row.in_paper,
            "cited": row.cited,
        }
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
                line[f"{metric}_reason"] = one_line(found.reason)
        line |= {f"{metric}_published": value for metric, value in row.published.items()}
        lines.append(line)
    return pandas.DataFrame(lines)


def number_as_json(
    metric: str, found: Measurement, protocol: Protocol | None, styles: Styles = METRICS
) -> dict[str, Any]:
    """Return the keys and values that describe one number in `results.json`.

    Args:
        metric: full name of the metric.
        found: measurement.
        protocol: protocol of the metric; None for a metric without a protocol.
        styles: style of each metric, by name.
    """
    style = style_of(metric, styles)
    return {
        "value": found.value,
        "stderr": found.stderr,
        "ci95": found.ci95,
        "n": found.n,
        "sources": found.sources,
        "effective_sources": found.effective_sources,
        "interval_too_short": found.interval_too_short,
        "unit": "",
        "higher_is_better": None if style is None or style.zero_is_best else style.higher_is_better,
        "protocol": None if protocol is None else protocol.hash,
    }


def to_csv(table: Table) -> str:
    """Return the data frame that `frame` makes, as comma-separated values."""
    return csv_text(frame(table))


def print_table(table: Table, console: Console, *, verbose: bool = True) -> None:
    """Print the main table and, for a table of the paper, how many of the paper's claims have each verdict.

    Args:
        table: table to print.
        console: console on which the table is printed.
        verbose: whether the grids below the main table, the single verdicts and all notes are printed as well.
    """
    print_grid(measured_grid(table), table.caption, console)
    if verbose:
        _print_further(table, console)
    else:
        differs = f" {DIFFERS} differs from {table.reference} at the 95 % level." if table.reference else ""
        foreign = f" {OURS} is not in the paper." if any(table.is_foreign(row) for row in table.rows) else ""
        console.print(Text(one_line(f"± is one standard error.{differs}{foreign}")))
        print_notes(list(few_sources_note(table)), console)
    if table.number is not None:
        console.print(Text(verdicts_counted(table.claims)))


def verdicts_counted(verdicts: Sequence[Verdict]) -> str:
    """Return one line of text that says how many of the paper's claims have each verdict."""
    counts = Counter(found.verdict for found in verdicts if found.by != HARNESS)
    parts = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    return f"Claims of the paper, judged on these networks: {parts or 'none'}."


def _print_further(table: Table, console: Console) -> None:
    shown = (
        _printed(table),
        _differences(table),
        _effects(table),
        _hole_only(table),
        _analyses(table),
        _details(table, TERMINAL_DETAILS),
    )
    for grid in shown:
        if grid.lines:
            print_grid(grid, "", console)
    for verdicts in verdict_grids(table.claims):
        without = Grid(verdicts.heads[:-1], [line[:-1] for line in verdicts.lines], left=len(verdicts.heads) - 1)
        print_grid(without, "The evidence is in the written tables", console)
    print_notes(table.notes, console)
