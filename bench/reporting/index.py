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
from bench.tables.claims import HARNESS
from bench.tables.grid import Grid
from bench.tables.headlines import ALIKE, BETTER, DIFFERENT, HEADLINES_EXPLAINED, NO_VERDICT, WORSE, Headline
from bench.tables.verdicts import Verdict

__all__ = ["Entry", "Index", "Judged", "counts_of", "index_page"]

KINDS = {BETTER: "good", WORSE: "bad", DIFFERENT: "none", ALIKE: "none", NO_VERDICT: "open"}
"""CSS class of each word of a headline."""


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
    headline: tuple[Headline | str, ...] = ()
    """Lines of text: comparisons of the best rows with the reference row, or plain sentences."""
    counts: Sequence[tuple[str, int, str]] = ()
    """Number of the run's claims with each verdict, as `bench.reporting.page.verdict_counts` returns it."""
    seconds: float | None = None


@dataclass(frozen=True)
class Judged:
    """The gate's outcome as an index page shows it."""

    verdict: str
    """Verdict on the whole run, such as `regression`."""
    kind: str
    """CSS class that gives the verdict its colour: `good`, `bad` or `open`."""
    summary: str
    """Line with the verdict and the number of comparisons of each kind."""
    sides: str
    """Text that names the new and the old numbers."""
    failed: Sequence[tuple[str, Grid]]
    """For each experiment, the numbers that are worse or undecided."""
    reasons: Sequence[str]
    """Reasons why numbers could not be compared."""
    passed: Sequence[tuple[str, Grid]]
    """For each experiment, all other numbers, which the page folds."""
    notes: Sequence[str]
    files: Sequence[str] = ()
    """Names of files beside the page that contain the whole outcome."""


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
    judged: Judged | None = None
    """Outcome of the gate; None if nothing was compared."""

    @property
    def compares(self) -> bool:
        """True if any headline compares a row with a reference row, so that the page explains how to read it."""
        return any(isinstance(one, Headline) and one.word for entry in self.entries for one in entry.headline)


def index_page(index: Index) -> str:
    """Return the index page as HTML. The page has links to the reports of the runs, but loads no other file."""
    return template("index.html").render(
        index=index, kind_of=kind_of, word_kinds=KINDS, headlines_explained=HEADLINES_EXPLAINED
    )


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
