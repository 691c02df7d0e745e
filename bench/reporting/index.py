"""The index page of several runs. It shows each run's result, main values and verdicts, with a link to the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BadInputError
from bench.reporting.page import kind_of, template, verdict_counts
from bench.reporting.plots import Plots
from bench.results.run_files import read_results
from bench.results.stamps import RESULTS
from bench.tables.build import Column, Table
from bench.tables.claims import HARNESS
from bench.tables.grid import Grid
from bench.tables.render import change_shown
from bench.tables.verdicts import Verdict

__all__ = ["Entry", "Index", "counts_of", "headline", "index_page"]


@dataclass(frozen=True)
class Entry:
    """The texts and numbers that the index page shows of one run."""

    name: str
    ended: str
    """Result of the run in words, such as `done`, or the first line of the error that ended it."""
    failed: bool
    about: str = ""
    """Description of the experiment."""
    link: str | None = None
    """Address of the run's report, relative to the index; None if there is no report."""
    headline: tuple[str, ...] = ()
    counts: Sequence[tuple[str, int, str]] = ()
    """Number of the run's claims with each verdict, as `bench.reporting.page.verdict_counts` returns it."""
    seconds: float | None = None


@dataclass(frozen=True)
class Index:
    title: str
    summary: str
    entries: Sequence[Entry]
    profile: str = ""
    first_line: str = ""
    """Text that says how the numbers of the runs were made, or with which numbers they can be compared.

    It is empty if it differs between runs.
    """
    grids: Sequence[Grid] = ()
    grid_title: str = ""
    figure: Plots | None = None
    """Plots of quality against cost; None if the page shows no plots."""
    claims: Sequence[Verdict] = ()
    command: str = ""


def index_page(index: Index) -> str:
    """Return the index page as HTML. The page has links to the reports of the runs, but loads no other file."""
    return template("index.html").render(index=index, kind_of=kind_of)


def counts_of(run: Path) -> list[tuple[str, int, str]]:
    """Count the verdicts of a run on the paper's claims.

    Checks that this project adds are not counted. Each element of the result contains a verdict, the number of
    claims with this verdict, and the verdict's CSS class. The list is empty if the results of the run cannot be read.

    Args:
        run: folder of the run.
    """
    try:
        claims = read_results(run / RESULTS).get("claims", [])
    except (FileNotFoundError, BadInputError):
        return []
    return verdict_counts(claim["verdict"] for claim in claims if claim.get("by") != HARNESS)


def headline(table: Table) -> tuple[str, ...]:
    """Return one text for each column of a table. The text compares the column's best row with the reference row.

    The best row is chosen from the measured rows that the paper's table also has, except the reference row. If none of
    these rows has a value in a column, the column has no text. If the reference row has no value, the text contains
    only the best row with its value.
    """
    return tuple(words for column in table.columns if (words := _headline(table, column)))


def _headline(table: Table, column: Column) -> str:
    found = {
        row.label: measured
        for row in table.rows
        if row.in_paper and (measured := row.measured.get(column.metric)) is not None and measured.value is not None
    }
    base = found.pop(table.reference, None)
    if not found:
        return ""
    values = {label: one.value or 0.0 for label, one in found.items()}
    if column.format.zero_is_best:
        values = {label: abs(value) for label, value in values.items()}
    best = (max if column.format.higher_is_better else min)(values, key=values.__getitem__)
    shown = f"{column.title}: " if base is None else f"{column.title}: {table.reference} {_shown(base.value, column)}; "
    shown += f"{best} {_shown(found[best].value, column)}"
    difference = found[best].difference
    if difference is None:
        return shown
    verdict = "differs" if found[best].differs else "does not differ significantly"
    return f"{shown}, {verdict}: {change_shown(difference, column.format)}"


def _shown(value: float | None, column: Column) -> str:
    assert value is not None  # rows without a value are left out
    return f"{value * column.format.scale:,.{column.format.decimals}f}"
