"""Functions that write the report of a run as one HTML file, which loads no other file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from bench.config.overrides import command
from bench.config.schema import REHEARSAL
from bench.metrics.protocol import Protocol
from bench.reporting.cost_plot import Costs
from bench.reporting.downloads import download_groups, files_of_run
from bench.reporting.gallery import Gallery
from bench.reporting.meanings import Meanings
from bench.reporting.page_table import PageTable, page_table
from bench.reporting.pixels import ERROR_GAIN
from bench.reporting.plots import Plots
from bench.results.run_folder import REPORT
from bench.runtime.files import write_atomically
from bench.runtime.text import printable
from bench.tables.build import METRICS, Table
from bench.tables.claims import HARNESS
from bench.tables.grid import Grid
from bench.tables.verdicts import FAILS, HOLDS, INCONCLUSIVE, NOT_JUDGED, NOT_TESTED, PAPER, Verdict

__all__ = [
    "LIMIT",
    "Page",
    "PageFigure",
    "duration_shown",
    "first_line",
    "kind_of",
    "report_page",
    "template",
    "verdict_counts",
    "write_report",
]

SCRIPTS = ("page.js", "view.js", "tips.js", "table.js", "gallery.js", "sheet.js", "opened.js")
"""Files whose content is the script of every page. They share one scope."""
STYLES = ("page.css", "table.css", "gallery.css", "sheet.css", "plots.css")
"""Files whose content is the style sheet of every page."""
LIMIT = 15_000_000
"""Size of a page in bytes above which the page shows fewer items of its gallery."""
LISTED = 20
"""Largest number of names in each list of the page: dropped items, items that could not be read, and left-out files.

The manifest lists all of them.
"""
KINDS = {HOLDS: "good", FAILS: "bad", INCONCLUSIVE: "open", NOT_TESTED: "none"}
"""CSS class that gives each verdict its colour."""


@dataclass(frozen=True)
class PageFigure:
    """Plots that the page shows below its tables."""

    title: str
    plots: Plots


@dataclass(frozen=True)
class Page:
    """The content of a report, from which `report_page` makes the HTML."""

    title: str
    profile: str
    """Subtitle of the page: the profile, such as `profile mini`, or the sizes of the decoders."""
    first_line: str
    """Text that says how the numbers of the page were made, or with which other numbers they can be compared."""
    facts: Mapping[str, Any]
    """Content of `run.json`."""
    table: Table | None = None
    """Main table with measured and printed numbers; None for an experiment without such a table."""
    grids: Sequence[Grid] = ()
    """Further tables. The first heading of each grid serves as its title."""
    claims: Sequence[Verdict] = ()
    notes: Sequence[str] = ()
    protocols: Mapping[str, Protocol] | None = None
    """Protocol of each metric, by the name of the metric; None if the page shows no protocols."""
    gallery: Gallery | None = None
    costs: Costs | None = None
    figure: PageFigure | None = None
    checks: Sequence[str] = ()
    """Findings about the pictures that a reader must know before the numbers, one sentence each."""
    files: Sequence[str] = ()
    """Paths of the run's files that the page offers for download, relative to the page."""


def report_page(page: Page) -> str:
    """Return the page as HTML.

    If the HTML is larger than `LIMIT` bytes, it is written again with a gallery that has less content, as
    `Gallery.smaller` says. This is repeated until the HTML is small enough or the gallery is empty.
    """
    while True:
        text = _rendered(page)
        smaller = page.gallery.smaller() if page.gallery else None
        if len(text.encode()) <= LIMIT or smaller is None:
            return text
        page = replace(page, gallery=smaller)


def _rendered(page: Page) -> str:
    facts, table = page.facts, None if page.table is None else page_table(page.table, page.gallery)
    meanings = _meanings(page, table)
    return template("report.html").render(
        page=page,
        facts=facts,
        command=facts.get("command") or command(facts["overrides"]),
        counts=verdict_counts(claim.verdict for claim in page.claims if claim.by != HARNESS),
        claims=[claim for claim in page.claims if claim.by != HARNESS],
        checks=[claim for claim in page.claims if claim.by == HARNESS],
        kind_of=kind_of,
        table=table,
        meanings=meanings,
        signs=meanings.signs_in(page.grids),
        overview=_overview(page),
        downloads=download_groups(page.files),
        stages=_stages(facts.get("seconds") or {}),
        protocols=_stamps(page.protocols or {}),
        listed=LISTED,
        gain=ERROR_GAIN,
    )


@cache
def template(name: str) -> jinja2.Template:
    """Return a template of this package.

    The template escapes all values for HTML, and raises an error if a value that it needs is missing.

    Args:
        name: file name of the template, such as `report.html`.
    """
    loader = jinja2.PackageLoader("bench.reporting", "templates")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=_finished,
    )  # fmt: skip
    script = _inlined(loader, environment, SCRIPTS, '"use strict";\n(() => {{\n{}}})();\n')
    style = _inlined(loader, environment, STYLES)
    environment.globals |= {"script": script, "style": style, "script_hash": _csp_hash(script)}
    environment.filters["json"] = lambda value: json.dumps(value, indent=1, ensure_ascii=False)
    return environment.get_template(name)


def _finished(value: object) -> object:
    """Return the form of a value that a template inserts into the page.

    If the value is a plain string, each character that cannot be printed is replaced. Any other value, such as a
    `Markup` object, is returned unchanged.
    """
    return printable(value) if type(value) is str else value


def _inlined(
    loader: jinja2.BaseLoader, environment: jinja2.Environment, files: Sequence[str], around: str = "{}"
) -> Markup:
    """Return the text of several files of the package, one after the other, for one element of the page.

    Args:
        loader: object that reads the files.
        environment: environment to which the loader belongs.
        files: names of the files.
        around: text with a pair of braces, which the content of the files replaces.
    """
    return Markup(around.format("".join(loader.get_source(environment, file)[0] for file in files)))


def _csp_hash(script: str) -> str:
    """Return the hash of a script as text for the page's content security policy, so that only this script can run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def first_line(profile: str) -> str:
    """Return a text that says which data and models a profile uses.

    For every profile except `paper`, the text also warns that the numbers cannot be compared with other numbers.

    Args:
        profile: name of the profile.
    """
    if profile == PAPER:
        return "the paper's data, weights and sizes"
    if profile == REHEARSAL:
        return "a rehearsal with random weights and artificial pictures: these numbers mean nothing"
    return "small models and data made by this project: compare these numbers only with each other"


def kind_of(verdict: str) -> str:
    """Return the CSS class that sets the colour of a verdict.

    A claim that the printed numbers contradict has the same class as a claim that does not hold.
    """
    return "none" if verdict.startswith(NOT_JUDGED) else KINDS.get(verdict, "bad")


def verdict_counts(verdicts: Any) -> list[tuple[str, int, str]]:
    """Return each verdict with its number of occurrences and its CSS class, the most frequent verdict first."""
    return [(verdict, count, kind_of(verdict)) for verdict, count in Counter(verdicts).most_common()]


def _meanings(page: Page, table: PageTable | None) -> Meanings:
    """Return the meanings of everything that the page shows."""
    heads = [head for grid in page.grids for head in grid.heads]
    metrics = [head.metric for head in table.heads if head.metric] if table else []
    gallery = [metric.name for metric in page.gallery.metrics] if page.gallery else []
    costs = ["parameters", "TFLOP"] if page.costs else []
    return Meanings.of([*heads, *costs], [*metrics, *gallery], page.table.styles if page.table else METRICS)


def _overview(page: Page) -> list[tuple[str, str]]:
    """Return the most important facts of the run, each with its name: time, machine, profile and number of items."""
    facts, found = page.facts, []
    if facts.get("started"):
        began = datetime.fromisoformat(facts["started"]).astimezone(UTC)
        found.append(("began", f"{began:%Y-%m-%d %H:%M} UTC"))
    if facts.get("seconds"):
        found.append(("took", duration_shown(sum(facts["seconds"].values()))))
    hardware = facts["hardware"]
    machine = [str(hardware[key]) for key in ("gpu", "cpu", "machine", "system") if hardware.get(key)]
    device = [] if facts["device"] == "meta" else [facts["device"]]  # nothing is computed on PyTorch's device `meta`
    found.append(("machine", ", ".join([*device, *machine])))
    if facts.get("profile"):
        found.append(("profile", facts["profile"]))
    if facts.get("items") is not None:
        found.append(("items", f"{facts['items']:,}"))
    return found


def duration_shown(seconds: float) -> str:
    """Return a duration as text in the largest two units that it fills, such as `1 h 5 min`.

    Args:
        seconds: duration in seconds.
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _stages(seconds: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Return each stage with its time in seconds and its share of the total time, in [0, 1]."""
    whole = sum(seconds.values()) or 1.0
    return [(name, value, value / whole) for name, value in seconds.items()]


def _stamps(protocols: Mapping[str, Protocol]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return three values for each protocol: the names of its metrics as one text, its hash and its settings."""
    names: dict[Protocol, list[str]] = {}
    for metric, protocol in protocols.items():
        names.setdefault(protocol, []).append(metric)
    return [(", ".join(metrics), protocol.hash, protocol.settings) for protocol, metrics in names.items()]


def write_report(out: Path, page: Page) -> None:
    """Write a report as the file `report.html`. The page offers the files that are in the folder for download.

    Args:
        out: folder of the run.
        page: content of the report.
    """
    write_atomically(out / REPORT, report_page(replace(page, files=files_of_run(out))))
