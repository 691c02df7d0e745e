"""The result of a scoring: its tables, its checks, and the folder into which it can be saved."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas
from rich.console import Console

from bench.config.schema import Tex
from bench.data.items import Item
from bench.edits.checks import Check
from bench.edits.pairing import Pairs
from bench.edits.table import missing_values
from bench.errors import BadInputError
from bench.metrics.protocol import Protocol
from bench.metrics.summary import Summary
from bench.reporting.choice import ComparedRows, choose, compared, drawn
from bench.reporting.gallery import Gallery, fill
from bench.reporting.page import Page, report_page
from bench.reporting.sheet import Places, Sheet, Thumbnails, thumbnails
from bench.results.environment import environment
from bench.results.influences import INFLUENCES, write_influences
from bench.results.out_folder import check_folder, claim, writable_folder
from bench.results.run_files import MANIFEST
from bench.results.run_folder import REPORT, RUN
from bench.results.stamps import RESULTS
from bench.results.write import Measured, write_records, write_results, write_run, write_table
from bench.runtime.files import write_atomically, write_json
from bench.runtime.text import one_line
from bench.store import content_key
from bench.tables.build import Table
from bench.tables.grid import html_table, print_notes
from bench.tables.main_table import MAIN_TABLE, main_renderings
from bench.tables.render import few_sources_note, further_grids, measured_grid, print_table, renderings

__all__ = ["Provenance", "Scores"]

FIRST_LINE = "pictures that a caller gave; compare these numbers only with numbers of the same pictures and protocols"
OVERWRITE = "overwrite=True, or --overwrite,"
EXPERIMENT = "score"
"""Name that stands in the place of an experiment's name in the files of a scoring."""


@dataclass(frozen=True)
class Provenance:
    """Description of how the numbers of a scoring were computed. The saved files of the scoring contain it."""

    manifest: Mapping[str, Any]
    """Ordered list of the pictures with their hashes, as in a run's `manifest.json`."""
    protocols: Mapping[str, Protocol]
    """Protocol of each metric."""
    weights: Mapping[str, str]
    """SHA-256 of every weight file, by path."""
    started: str
    """Time at which the scoring began, as `bench.runtime.clock.utc_now` returns it."""
    device: str
    threads: int
    seconds: Mapping[str, float]
    """Seconds of each stage."""
    command: str
    """Command line that repeats the scoring. If there is none, a text that says so."""


@dataclass(frozen=True)
class Scores:
    """The scores of one or several editors on the same pictures."""

    table: pandas.DataFrame
    """A line for each metric, a column for each editor. A cell has the value and its standard error as text."""
    numbers: pandas.DataFrame
    """All values as numbers: a line for each metric and editor, and the reason where a value is missing.

    It also has the metrics that `table` leaves out, such as `known_values`.
    """
    records: pandas.DataFrame
    """A line for each picture (`item`) and editor (`row`), and a column for each metric of single pictures."""
    differences: pandas.DataFrame
    """Paired differences between editors, with 95 % intervals and p-values adjusted by Holm's method."""
    checks: tuple[Check, ...]
    """Facts about the pictures that a reader must know before the numbers, such as pasted pixels or a shift."""
    provenance: Provenance
    _typed: Table = field(repr=False)
    _summary: Summary = field(repr=False)
    _pairs: Pairs = field(repr=False)

    def __str__(self) -> str:
        return "\n".join([*(f"! {check}" for check in self.checks), self.table.to_string(), *self._remarks()])

    def _remarks(self) -> list[str]:
        """Return the notes that explain marks and missing values of the table."""
        missing = missing_values({row.key: row.measured for row in self._typed.rows})
        return [*few_sources_note(self._typed), *missing]

    def _repr_html_(self) -> str:
        """Return the checks and the main table as HTML, so that a notebook can show them."""
        found = "".join(f"<li>{html.escape(check.text, quote=False)}</li>" for check in self.checks)
        return (f"<ul>{found}</ul>" if found else "") + html_table(measured_grid(self._typed))

    def show(self, console: Console) -> None:
        """Print the checks, the main table, and the reasons why metrics were not measured.

        Args:
            console: console on which all of this is printed.
        """
        print_notes([check.text for check in self.checks], console)
        print_table(self._typed, console, verbose=False)
        for note in missing_values({row.key: row.measured for row in self._typed.rows}):
            print(f"- {one_line(note)}")  # not wrapped, so that a command in it can be copied

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the results into a folder, as files with the names and formats of a run's files.

        The files are the manifest, the records, the influences, the tables, `results.json`, `report.html` and
        `run.json`. There are no influences if no editor was measured. `python -m bench.compare` and
        `python -m bench.explain` can read this folder.

        Args:
            folder: new or empty folder, or the folder in which an equal scoring was saved before.
            overwrite: True to write also into a folder that contains a different scoring, a run or other files.

        Returns:
            The path of the folder.

        Raises:
            BadInputError: the folder cannot be written; or `overwrite` is False, and the folder contains other files.
        """
        if not isinstance(folder, str | Path):
            raise BadInputError(f"the argument folder: expected the path of a folder, found {folder!r}")
        made, rows = self.provenance, [row.key for row in self._typed.rows]
        manifest = content_key({"items": made.manifest["items"]})
        config = {
            "editors": rows,
            "reference": self._typed.reference,
            "manifest": manifest,
            "protocols": {metric: protocol.hash for metric, protocol in made.protocols.items()},
            "numbers": content_key({"numbers": self.numbers.to_csv(), "records": self.records.to_csv()}),
        }
        content = {"experiment": EXPERIMENT, "config": config}
        check_folder(str(folder), content, overwrite=overwrite, allowing=OVERWRITE)
        facts = self._facts(manifest)
        tables = {"table": renderings(self._typed), MAIN_TABLE: main_renderings(self._typed, Tex())}
        page = report_page(replace(self._page(facts), files=self._files(tables)))  # before anything is replaced
        out = writable_folder(str(folder), "out")
        for name in (RUN, REPORT, INFLUENCES):
            (out / name).unlink(missing_ok=True)
        claim(out, content)
        write_json(out / MANIFEST, dict(made.manifest))
        write_records(out, self.records)
        if self._summary.scored.rows:
            write_influences(out, self._pairs.names, self._summary, [column.metric for column in self._typed.columns])
        for name, texts in tables.items():
            write_table(out, texts, name=name)
        write_results(
            out,
            Measured(EXPERIMENT, self._typed.profile, manifest, made.manifest["subset"], {}),
            self._typed,
            protocols=made.protocols,
            measures=self._summary.scored.measures,
        )
        write_atomically(out / REPORT, page)
        write_run(out, facts)
        return out

    def _files(self, tables: Mapping[str, Mapping[str, str]]) -> list[str]:
        """Return the names of all files that the method `save` writes, except those that no page offers.

        Args:
            tables: content of the table's files, by the name of the file and by its suffix.
        """
        names = [f"{name}.{suffix}" for name, texts in tables.items() for suffix in texts]
        return [*names, "records.parquet", *([INFLUENCES] if self._summary.scored.rows else []), RESULTS, MANIFEST, RUN]

    def _facts(self, manifest: str) -> dict[str, Any]:
        """Return the content of `run.json`, with the keys that the other commands read."""
        made = self.provenance
        return {
            "experiment": EXPERIMENT,
            "profile": self._typed.profile,
            "started": made.started,
            "overrides": [],
            "command": made.command,
            "config": {
                "rows": {row.key: {"method": None} for row in self._typed.rows},
                "controls": [],
                "table": {"columns": [column.metric for column in self._typed.columns]},
                "generator": None,
                "metrics": {"measures": {name: None for name in set(self._summary.scored.measures.values())}},
            },
            "custom": [],
            "lineage": {},
            "manifest": manifest,
            "items": len(made.manifest["items"]),
            "checks": [{"kind": check.kind, "editor": check.editor, "text": check.text} for check in self.checks],
            "device": made.device,
            "threads": made.threads,
            "seed": 0,
            "weights": dict(made.weights),
            "seconds": {name: round(value, 3) for name, value in made.seconds.items()},
            **environment(),
        }

    def _page(self, facts: Mapping[str, Any]) -> Page:
        """Return the content of the report's page."""
        return Page(
            self._typed.title,
            "own pictures",
            FIRST_LINE,
            facts,
            table=self._typed,
            grids=further_grids(self._typed),
            notes=[note for note in self._typed.notes if note not in {check.text for check in self.checks}],
            protocols=self.provenance.protocols,
            gallery=self._gallery(),
            checks=[check.text for check in self.checks],
        )

    def _gallery(self) -> Gallery | None:
        """Return the pictures that the page shows; None if no editor was measured.

        An editor is left out if some of its pictures differ in size from their true pictures.
        """
        scored, pairs = self._summary.scored, self._pairs
        values = {
            editor: {name: np.asarray(array) for name, array in arrays.items() if array.ndim == 1}
            for editor, arrays in scored.rows.items()
        }
        metrics = compared([column.metric for column in self._typed.columns], values)
        rows = ComparedRows(values, metrics, {editor: editor for editor in values}, self._typed.reference)

        def images(places: Sequence[int]) -> tuple[list[Item], dict[str, Any]]:
            return (
                [self._item(place) for place in places],
                {editor: _Pictures([pairs.edited[editor].pixels(place) for place in places]) for editor in values},
            )

        if not values:
            return None
        picks, count = choose(rows) or drawn(len(pairs), 0), len(pairs)

        def read(places: Sequence[int]) -> tuple[list[Item], dict[str, Any]]:
            return [self._item(place) for place in places], {}

        def small(places: Places) -> Thumbnails | None:
            return thumbnails(places, images, read, rows.labels)

        sheet = Sheet.of(self.provenance.manifest["items"], rows, picks, small)
        return replace(fill(picks, images, rows, of=count), sheet=sheet)

    def _item(self, place: int) -> Item:
        pixels = self._pairs.truth.pixels(place)
        hole = np.zeros(pixels.shape[:2], np.uint8)
        if self._pairs.masks is not None:
            hole = self._pairs.masks.read(place).hole.astype(np.uint8)
        return Item(self._pairs.names[place], self._pairs.sources[place], pixels, hole)


class _Pictures(list[npt.NDArray[np.uint8]]):
    """A list of pictures, which may differ in size. The member `nbytes` is the number of bytes of all pictures."""

    @property
    def nbytes(self) -> int:
        return sum(one.nbytes for one in self)
