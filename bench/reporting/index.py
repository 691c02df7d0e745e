"""A page with links to the reports of several runs, and with the result, headline numbers and verdicts of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BadInputError
from bench.reporting.page import kind_of, template, verdict_counts
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
    """An entry of the index: one run."""

    name: str
    ended: str
    """Result of the experiment in words, such as `done` or the first line of its error."""
    failed: bool
    about: str = ""
    """Description of the experiment."""
    link: str | None = None
    """Link from the index to the report; None if there is no report."""
    headline: tuple[str, ...] = ()
    counts: Sequence[tuple[str, int, str]] = ()
    """Counts of the run's verdicts, as `bench.reporting.page.verdict_counts` returns them."""
    seconds: float | None = None


@dataclass(frozen=True)
class Index:
    title: str
    summary: str
    entries: Sequence[Entry]
    profile: str = ""
    first_line: str = ""
    """Statement on what the numbers can be compared with; empty if the runs differ in it."""
    grids: Sequence[Grid] = ()
    grid_title: str = ""
    figure: str | None = None
    """Figure as a `data:` address."""
    claims: Sequence[Verdict] = ()
    command: str = ""


def index_page(index: Index) -> str:
    """Return the index page as HTML; it links to reports in folders beside it and loads no other file."""
    return template("index.html").render(index=index, kind_of=kind_of)


def counts_of(run: Path) -> list[tuple[str, int, str]]:
    """Return the counts of a run's verdicts on the paper's claims; empty if its results cannot be read."""
    try:
        claims = read_results(run / RESULTS).get("claims", [])
    except (FileNotFoundError, BadInputError):
        return []
    return verdict_counts(claim["verdict"] for claim in claims if claim.get("by") != HARNESS)


def headline(table: Table) -> tuple[str, ...]:
    """Return a text for each column: the reference row's value, and the best other row of the paper, compared."""
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
    best = (max if column.format.higher_is_better else min)(found, key=lambda label: found[label].value or 0.0)
    shown = f"{column.title}: " if base is None else f"{column.title}: {table.reference} {_shown(base.value, column)}; "
    shown += f"{best} {_shown(found[best].value, column)}"
    difference = found[best].difference
    if difference is None:
        return shown
    verdict = "differs" if found[best].differs else "does not differ significantly"
    return f"{shown}, {verdict}: {change_shown(difference, column.format)}"


def _shown(value: float | None, column: Column) -> str:
    assert value is not None  # rows without one are left out
    return f"{value * column.format.scale:,.{column.format.decimals}f}"
