"""The table of repeated edits: every metric of every row in every turn, and the half-life of the known region."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas
from rich.console import Console

from bench.metrics.half_life import HalfLife
from bench.metrics.summary import Measurement
from bench.metrics.turns import at_turn
from bench.metrics.uncertainty import FEWEST_EFFECTIVE
from bench.runtime.not_available import NotAvailable
from bench.runtime.text import csv_text
from bench.tables.build import Metric, Table, TableDesign, TableRow, style_of
from bench.tables.grid import DIFFERS, Grid, html_page, markdown, print_grid, print_notes
from bench.tables.latex import latex
from bench.tables.render import FEW, change_shown, measured_shown

__all__ = [
    "HALF_LIFE",
    "TurnsTable",
    "design_of_turns",
    "frame",
    "half_lives_as_json",
    "print_turns",
    "renderings",
    "turns_grids",
]

HALF_LIFE = (
    "Half-life of the known region: the number of further turns after turn 1 until the mean squared error over known "
    "pixels is twice that of turn 1, which lowers its PSNR by 3.01 dB. Between turns, the logarithm of the error is "
    "interpolated linearly. The 95 % interval comes from 2000 bootstrap samples of the sources. Only items with known "
    "pixels in every turn count. The interval is too short if there are few sources; § marks fewer than "
    f"{FEWEST_EFFECTIVE:g}."
)
"""Note that defines the half-life."""


@dataclass(frozen=True)
class TurnsTable:
    """The measured numbers of all turns."""

    whole: Table
    """Table in which each metric of each turn is a column; `bench.metrics.turns.at_turn` gives the names."""
    turns: int
    columns: tuple[str, ...]
    """Headline metrics, by their names in turn 1."""
    beside: tuple[str, ...]
    """Further metrics, which are shown below the headline metrics, by their names in turn 1."""
    half_lives: Mapping[str, HalfLife | NotAvailable]
    """Half-life of each row's known region, by the key of the row."""
    features: str
    """Name of the feature network."""

    def style(self, metric: str) -> Metric:
        """Return the style of a metric, given its name in turn 1."""
        style = style_of(metric, self.whole.styles)
        assert style is not None  # `check_table` has checked it
        return style

    @property
    def rows(self) -> list[TableRow]:
        """The measured rows."""
        return [row for row in self.whole.rows if row.measured]


def design_of_turns(design: TableDesign, turns: int) -> TableDesign:
    """Return the design of a table that has a column for each metric in each turn.

    Args:
        design: design of the table of one turn.
        turns: number of turns.
    """
    spec, styles = design.spec, dict(design.styles)
    for metric in (*spec.columns, *spec.beside):
        style = style_of(metric, design.styles)
        assert style is not None  # `check_table` has checked it
        for turn in range(2, turns + 1):
            styles[at_turn(metric, turn)] = replace(style, title=f"{style.title}, turn {turn}", ratio=False)
    columns, beside = (
        [at_turn(metric, turn) for metric in metrics for turn in range(1, turns + 1)]
        for metrics in (spec.columns, spec.beside)
    )
    return replace(design, spec=replace(spec, columns=columns, beside=beside), styles=styles)


def renderings(table: TurnsTable) -> dict[str, str]:
    """Return the content of the table's file in each format. The keys are the suffixes md, csv, tex, html and json."""
    caption, grids, notes = _caption(table), list(turns_grids(table)), table.whole.notes
    lines = json.loads(frame(table).to_json(orient="records", double_precision=15))
    whole = {"title": caption, "lines": lines, "half_lives": half_lives_as_json(table), "notes": list(notes)}
    return {
        "md": markdown(caption, grids, notes),
        "csv": csv_text(frame(table)),
        "tex": latex(caption, grids, notes),
        "html": html_page(caption, grids, notes),
        "json": json.dumps(whole, indent=1, ensure_ascii=False) + "\n",
    }


def _caption(table: TurnsTable) -> str:
    return f"{table.whole.title}, profile {table.whole.profile}"


def frame(table: TurnsTable) -> pandas.DataFrame:
    """Return the table as a data frame with one line for each row, metric and turn.

    The columns whose names begin with `difference` describe the value minus that of the reference row in the same turn,
    paired by item. `p_holm` is the p-value of this difference, adjusted by Holm's method within the metric and turn.
    """
    lines: list[dict[str, object]] = []
    for row in table.rows:
        for metric in (*table.columns, *table.beside):
            for turn in range(1, table.turns + 1):
                found = row.measured.get(at_turn(metric, turn))
                if found is not None:
                    lines.append({"row": row.key, "metric": metric, "turn": turn, **_numbers(found)})
    return pandas.DataFrame(lines)


def _numbers(found: Measurement) -> dict[str, object]:
    low, high = found.ci95 or (None, None)
    apart = found.difference
    apart_low, apart_high = (None, None) if apart is None else apart.ci95
    return {
        "value": found.value,
        "stderr": found.stderr,
        "ci95_low": low,
        "ci95_high": high,
        "n": found.n,
        "sources": found.sources,
        "reason": found.reason,
        "difference": None if apart is None else apart.value,
        "difference_stderr": None if apart is None else apart.stderr,
        "difference_ci95_low": apart_low,
        "difference_ci95_high": apart_high,
        "p_holm": found.p_holm,
    }


def half_lives_as_json(table: TurnsTable) -> dict[str, dict[str, Any]]:
    """Return the half-life of each row as plain data. A number is null if it lies beyond the measured turns."""
    found: dict[str, dict[str, Any]] = {}
    for row, one in table.half_lives.items():
        if isinstance(one, NotAvailable):
            found[row] = {"turns": None, "reason": one.reason}
            continue
        turns, low, high = (end if math.isfinite(end) else None for end in (one.turns, one.low, one.high))
        found[row] = {
            "turns": turns,
            "ci95": [low, high],
            "measured": one.measured,
            "n": one.items,
            "sources": one.sources,
            "shown": one.shown(),
        }
    return found


def turns_grids(table: TurnsTable) -> Iterator[Grid]:
    """Yield the grids: each headline metric by turn, the half-lives, the differences, and the further metrics."""
    for metric in table.columns:
        yield _by_turn(table, metric)
    yield half_life_grid(table)
    if table.whole.reference:
        for metric in table.columns:
            yield _differences(table, metric)
    for metric in table.beside:
        yield _by_turn(table, metric)


def half_life_grid(table: TurnsTable) -> Grid:
    """Return the grid of the rows' half-lives."""
    labels = {row.key: row.label for row in table.rows}
    lines = [[labels[row], _shown(one)] for row, one in table.half_lives.items()]
    return Grid(["Half-life of the known region", "further turns"], lines, title="half-life of the known region")


def _shown(found: HalfLife | NotAvailable) -> str:
    if isinstance(found, NotAvailable):
        return f"undefined: {found.reason}"
    return f"{found.shown()} {FEW}" if found.decided_by_few else found.shown()


def _heads(first: str, table: TurnsTable) -> list[str]:
    return [first, *(f"turn {turn}" for turn in range(1, table.turns + 1))]


def _by_turn(table: TurnsTable, metric: str) -> Grid:
    style = table.style(metric)
    lines = [
        [row.label, *(_cell(row, metric, turn, style) for turn in range(1, table.turns + 1))] for row in table.rows
    ]
    heading = style.heading(table.features)
    return Grid(_heads(heading, table), lines, title=f"{heading} by turn")


def _cell(row: TableRow, metric: str, turn: int, style: Metric) -> str:
    found = row.measured.get(at_turn(metric, turn))
    return f"{measured_shown(found, style)} {DIFFERS if found is not None and found.differs else ''}".strip()


def _differences(table: TurnsTable, metric: str) -> Grid:
    """Return the grid of the paired differences to the reference row, with their unadjusted 95 % intervals."""
    style = table.style(metric)
    lines = []
    for row in table.rows:
        found = [row.measured.get(at_turn(metric, turn)) for turn in range(1, table.turns + 1)]
        if row.label != table.whole.reference:
            apart = [None if one is None else one.difference for one in found]
            lines.append([row.label, *("–" if one is None else change_shown(one, style) for one in apart)])
    heading = f"{style.heading(table.features)}, minus {table.whole.reference}"
    return Grid(_heads(heading, table), lines, title=f"{heading}, with unadjusted 95 % intervals")


def print_turns(table: TurnsTable, console: Console, *, verbose: bool) -> None:
    """Print the headline metrics by turn and the half-lives.

    Args:
        table: table of all turns.
        console: console on which the table is printed.
        verbose: whether the differences, the further metrics and the notes are printed as well.
    """
    grids: Sequence[Grid] = list(turns_grids(table))
    print_grid(Grid([], []), _caption(table), console)
    for grid in grids if verbose else grids[: len(table.columns) + 1]:
        print_grid(grid, "", console)
    if verbose:
        print_notes(table.whole.notes, console)
