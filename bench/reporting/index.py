"""A page that leads to the reports of several runs: how each ended, its headline numbers and its verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.reporting.page import kind_of, template, verdict_counts
from bench.results import read_if_there
from bench.stamps import RESULTS
from bench.tables.build import Column, Table
from bench.tables.claims import HARNESS
from bench.tables.grid import Grid
from bench.tables.render import change_shown
from bench.tables.verdicts import Verdict

__all__ = ["Entry", "Index", "counts_of", "headline", "index_page"]


@dataclass(frozen=True)
class Entry:
    """One run."""

    name: str
    ended: str
    """In words."""
    failed: bool
    about: str = ""
    """What it is, in words."""
    link: str | None = None
    """Of its report, from the index; None where it left none."""
    headline: tuple[str, ...] = ()
    counts: Sequence[tuple[str, int, str]] = ()
    """Of its verdicts, as `bench.reporting.page.verdict_counts` gives them."""
    seconds: float | None = None


@dataclass(frozen=True)
class Index:
    title: str
    summary: str
    entries: Sequence[Entry]
    profile: str = ""
    first_line: str = ""
    """What its numbers are comparable with; empty where the runs differ in it."""
    grids: Sequence[Grid] = ()
    grid_title: str = ""
    figure: str | None = None
    """As `data:`."""
    claims: Sequence[Verdict] = ()
    command: str = ""


def index_page(index: Index) -> str:
    """The whole file; it links to reports in folders beside it and loads nothing."""
    return template("index.html").render(index=index, kind_of=kind_of)


def counts_of(run: Path) -> list[tuple[str, int, str]]:
    """How often each verdict on a claim of the paper stands in a run's results; nothing where it left none."""
    claims = read_if_there(run / RESULTS).get("claims", [])
    return verdict_counts(claim["verdict"] for claim in claims if claim.get("by") != HARNESS)


def headline(table: Table) -> tuple[str, ...]:
    """For each column the reference row's value, and the best of the paper's other rows with its difference."""
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
