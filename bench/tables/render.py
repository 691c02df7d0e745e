"""One typed table as Markdown, CSV, LaTeX, HTML and on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas
from rich.console import Console

from bench.metrics.protocol import Protocol
from bench.metrics.summary import HOLE_ONLY, UNBOUNDED, Measurement
from bench.metrics.uncertainty import FEWEST_EFFECTIVE, Difference
from bench.tables.build import METRICS, NATIVE, PUBLISHED, Column, Metric, Styles, Table, TableRow, style_of
from bench.tables.claims import HARNESS
from bench.tables.designs import DesignDifference
from bench.tables.grid import DIFFERS, Grid, html_page, markdown, print_grid, print_notes
from bench.tables.latex import latex
from bench.tables.verdicts import Verdict, p_shown

__all__ = [
    "CITED",
    "DIFFERS",
    "OURS",
    "change_shown",
    "few_sources_note",
    "frame",
    "further_grids",
    "number_as_json",
    "print_table",
    "ratio_shown",
    "renderings",
    "to_csv",
    "to_html",
    "to_latex",
    "to_markdown",
    "verdict_grid",
    "verdict_grids",
]

OURS, CITED, FEW = "†", "‡", "§"
TERMINAL_DETAILS = ("kid", "pre_error_ring", "pre_error_interior")
"""Of what stands beside the paper's columns, what the terminal shows."""


def _value(measurement: Measurement | None, style: Metric) -> str:
    if measurement is None or measurement.value is None:
        return "–"
    value = f"{measurement.value * style.scale:,.{style.decimals}f}"
    if measurement.stderr is None:
        return value
    few = f" {FEW}" if measurement.interval_too_short else ""
    return f"{value} ± {measurement.stderr * style.scale:,.{style.decimals}f}{few}"


def _marked(measurement: Measurement | None, style: Metric) -> str:
    differs = measurement is not None and measurement.differs
    return f"{_value(measurement, style)} {DIFFERS if differs else ''}".strip()


def ratio_shown(measurement: Measurement | None) -> str:
    """The reference row's value divided by this one, with its 95 % interval."""
    ratio = None if measurement is None else measurement.ratio
    if ratio is None or isinstance(ratio, str):
        return ratio or "–"
    if ratio.value is None:
        return "–"
    if ratio.ci95 is None:
        return f"÷ {ratio.value:.3g} [{'no bound' if ratio.stderr_reason == UNBOUNDED else 'unknown'}]"
    few = f" {FEW}" if ratio.interval_too_short else ""
    return f"÷ {ratio.value:.3g} [{ratio.ci95[0]:.3g}, {ratio.ci95[1]:.3g}]{few}"


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
                line.append(ratio_shown(row.measured.get(metric)))
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


def _printed(table: Table) -> Grid:
    """What the paper prints, in a table of its own: its numbers come from other models and other images."""
    columns = [column for column in table.shown if column.published_title]
    lines = [
        [_label(row), *(_published(row, column) for column in columns)] for row in _paper_rows(table) if row.published
    ]
    heads = ["As the paper prints it", *(column.published_title for column in columns)]
    return Grid(heads, lines, title="the numbers that the paper prints")


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
    """Paired differences to the reference row: value, unadjusted 95 % interval, and the p-value by Holm's method."""
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
        title="paired differences with their unadjusted 95 % intervals, and p-values adjusted by Holm's method",
    )


def _effects(table: Table) -> Grid:
    """Branch, size and training as factors, for the measured networks and for their designs over training seeds."""
    columns = [column for column in table.columns if column.metric in table.effects]
    names = [effect.name for effect in table.effects[columns[0].metric]] if columns else []
    lines = []
    for place, name in enumerate(names):
        effects = [(table.effects[column.metric][place], column.format) for column in columns]
        if any(isinstance(effect.measured, str) for effect, _ in effects):
            continue
        lines.append([name, "these networks", *(change_shown(effect.measured, style) for effect, style in effects)])
        if not all(isinstance(effect.designs, str) for effect, _ in effects):
            lines.append(
                [name, "over training seeds", *(change_shown(effect.designs, style) for effect, style in effects)]
            )
    heads = ["Effect", "of", *(column.title for column in columns)]
    return Grid(heads, lines, left=2, title="effects as paired differences with their unadjusted 95 % intervals")


def change_shown(found: Difference | DesignDifference | str, style: Metric) -> str:
    """A difference with its unadjusted 95 % interval."""
    if isinstance(found, str):
        return "–"
    low, high = (bound * style.scale for bound in found.ci95)
    few = f" {FEW}" if found.decided_by_few else ""
    decimals = style.decimals
    return f"{found.value * style.scale:+,.{decimals}f} [{low:,.{decimals}f}, {high:,.{decimals}f}]{few}"


def few_sources_note(table: Table) -> Iterator[str]:
    """What the mark of numbers that few sources decide means, where any number of the table has it."""
    measured = [found for row in table.rows for found in row.measured.values()]
    marked = any(found.interval_too_short for found in measured)
    marked |= any(isinstance(found.ratio, Measurement) and found.ratio.interval_too_short for found in measured)
    marked |= any(found.difference is not None and found.difference.decided_by_few for found in measured)
    for effect in (effect for effects in table.effects.values() for effect in effects):
        marked |= any(not isinstance(one, str) and one.decided_by_few for one in (effect.measured, effect.designs))
    if marked:
        yield (
            f"{FEW} marks a number whose variance comes from fewer than {FEWEST_EFFECTIVE:g} effective sources: its "
            "interval is too short, and no verdict rests on it."
        )


def verdict_grid(verdicts: Sequence[Verdict], heading: str = "Claim") -> Grid:
    """What is said of some statements, a line for each: of the measured networks, and of their designs."""
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
    """The paper's claims, and apart from them the harness's own checks; as far as there are any."""
    own = [found for found in verdicts if found.by == HARNESS]
    paper = [found for found in verdicts if found.by != HARNESS]
    grids = (verdict_grid(paper), verdict_grid(own, "Check by the harness, no claim of the paper"))
    return [grid for grid in grids if grid.lines]


def further_grids(table: Table) -> list[Grid]:
    """What stands below the measured table, as far as there is anything: the paper's numbers, differences, effects and
    other readings.
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
    return [_measured(table), *further_grids(table), *verdict_grids(table.claims)]


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
        "effective_sources": found.effective_sources,
        "interval_too_short": found.interval_too_short,
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
    print_grid(_measured(table), _caption(table), console)
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
