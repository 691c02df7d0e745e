"""The short form of a table, for a paper or for a quick look: one grid with the measured values of some metrics.

The metrics are those in `columns` of the table, or those that the configuration key `tex.columns` names. If there is
room, the numbers that the paper prints stand beside the measured values. `bench.tables.render` makes the full form,
which also has ratios, differences, verdicts and notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.config.schema import Tex
from bench.errors import BadInputError
from bench.metrics.uncertainty import FEWEST_EFFECTIVE
from bench.tables.build import Column, Styles, Table, style_of
from bench.tables.grid import Grid, html_page, markdown
from bench.tables.latex import fits_article, one_tabular
from bench.tables.render import CITED, FEW, OURS, measured_shown, paper_title, published_shown, row_label
from bench.tables.verdicts import PAPER

__all__ = ["MAIN_TABLE", "check_tex", "main_grid", "main_renderings"]

MAIN_TABLE = "table_main"
"""Name of the files with the short form of a table, without the suffix."""


LABEL = re.compile(r"[A-Za-z0-9:._+/-]+")
"""Pattern of the values of `tex.label`."""


def check_tex(tex: Mapping[str, Any], styles: Styles) -> None:
    """Check the settings of the short form before a run does any work.

    Args:
        tex: value of the configuration key `tex`, as plain data.
        styles: style of each metric that the run's tables can show.

    Raises:
        BadInputError: `tex.label` or `tex.caption` has signs that it may not have; or `tex.columns` is an empty list
            or contains a name that is not a metric of the run's tables.
    """
    label, caption = tex["label"], tex["caption"]
    if label is not None and not LABEL.fullmatch(label):
        raise BadInputError(f"tex.label: expected letters, digits and the signs : . _ + / -, found {label!r}")
    if caption is not None and not (caption.strip() and caption.isprintable()):
        raise BadInputError(f"tex.caption: expected a printable text on one line, found {caption!r}")
    columns = tex["columns"]
    unknown = [metric for metric in columns or () if style_of(metric, styles) is None]
    if unknown or columns == []:
        raise BadInputError(
            f"tex.columns: expected names from this list: {', '.join(styles)}; found {', '.join(unknown) or 'no name'}"
        )


def main_renderings(table: Table, tex: Tex) -> dict[str, str]:
    """Return the content of the file of the short form in each format. The keys are the suffixes md, html and tex.

    If `tex` has a caption, it replaces the title of the table. Sentences that explain the signs in the grid follow.

    Args:
        table: table with the measured values.
        tex: settings of the short form.
    """
    grid = main_grid(table, tex)
    notes = list(_notes(grid))
    caption = " ".join([tex.caption or f"{paper_title(table)}.", *notes])
    label = tex.label or (f"tab:{table.number}" if table.number is not None else "tab:asymbench")
    return {
        "md": markdown(tex.caption or table.caption, [grid], notes),
        "html": html_page(tex.caption or table.caption, [grid], notes),
        "tex": one_tabular(grid, caption, label),
    }


def main_grid(table: Table, tex: Tex) -> Grid:
    """Return the grid of the short form.

    Each heading of a metric has an arrow, which points down if smaller values are better, or says that 0 is best. A
    cell has the value and its standard error. The value of a row is bold if this row is significantly better than every
    other measured row of the main table. The numbers that the paper prints have a column beside the metric's column,
    with the heading "printed". If `tex.published` is None, they are shown on the profile `paper`, if the grid then fits
    into a two-column article.

    Args:
        table: table with the measured values.
        tex: settings of the short form.
    """
    beside = _grid(table, tex.columns, published=True)
    if tex.published is None:
        shown = table.profile.partition(",")[0] == PAPER and fits_article(beside)
        return beside if shown else _grid(table, tex.columns, published=False)
    return beside if tex.published else _grid(table, tex.columns, published=False)


def _grid(table: Table, metrics: Sequence[str] | None, *, published: bool) -> Grid:
    """Return the grid of the short form. Rows that are shown in a separate table are left out.

    Args:
        table: table with the measured values.
        metrics: names of the metrics; None for those in `columns` of the table.
        published: True to show the number that the paper prints to the right of each measured number. If False, rows
            without measured numbers are left out.
    """
    rows = [row for row in table.rows if not row.beside and (row.measured or published)]
    heads, lines, best = ["Method"], [[row_label(table, row)] for row in rows], set()
    titles = {column.metric: column.title for column in table.shown}
    for metric in metrics or [column.metric for column in table.columns]:
        style = style_of(metric, table.styles)
        assert style is not None  # `check_tex` has checked it
        best |= {(place, len(heads)) for place, row in enumerate(rows) if table.best.get(metric) == row.key}
        arrow = "(0 is best)" if style.zero_is_best else "↑" if style.higher_is_better else "↓"
        heads.append(f"{titles.get(metric) or style.heading()} {arrow}")
        for row, line in zip(rows, lines, strict=True):
            line.append(measured_shown(row.measured.get(metric), style))
        if published and (column := _printed(table, metric)):
            heads.append("printed")
            for row, line in zip(rows, lines, strict=True):
                line.append(published_shown(row, column))
    return Grid(heads, lines, best=frozenset(best))


def _printed(table: Table, metric: str) -> Column | None:
    """Return the column of a metric if the paper prints numbers in the unit of this metric; None otherwise."""
    found = next((column for column in table.shown if column.metric == metric and column.published_title), None)
    return None if found is None or metric in table.published_units else found


def _notes(grid: Grid) -> Iterator[str]:
    """Yield sentences that explain the signs in the grid of the short form."""
    yield "± is one standard error."
    if grid.best:
        yield "Bold values are significantly better than those of all other rows."
    if "printed" in grid.heads:
        yield "The columns “printed” have the paper's numbers, which come from its models and images."
    if any(line[place] == "–" for line in grid.lines for place, head in enumerate(grid.heads) if head != "printed"):
        yield "A dash stands for a number that was not measured or that cannot be computed."
    shown = [" ".join(line) for line in grid.lines]
    signs = {
        OURS: "is not in the paper's table.",
        CITED: "has numbers that the paper copied from other publications.",
        FEW: f"marks a number that fewer than {FEWEST_EFFECTIVE:g} sources decide, so that its interval is too short.",
    }
    yield from (f"{sign} {words}" for sign, words in signs.items() if any(sign in line for line in shown))
