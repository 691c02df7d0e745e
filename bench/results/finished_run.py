"""Functions that read the folder of one finished run, and refuse an unfinished run or a run that was changed later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.config.schema import REHEARSAL
from bench.errors import BadInputError
from bench.results.run_files import (
    LayerResults,
    TableResults,
    TableRun,
    check_file,
    check_files,
    check_seal,
    is_layers,
    read_results,
)
from bench.results.run_folder import RUN
from bench.results.stamps import RESULTS
from bench.runtime.strict_json import checked, read_json

__all__ = ["FinishedRun", "read_finished_run", "read_run_file"]


@dataclass(frozen=True)
class FinishedRun:
    """The checked files of a finished run with one table."""

    folder: Path
    run: TableRun
    """Content of `run.json`."""
    results: TableResults | LayerResults
    """Content of `results.json`."""
    content: Mapping[str, Any]
    """Content of `run.json` as plain data, including the keys that `TableRun` does not name."""


def read_finished_run(folder: Path) -> FinishedRun:
    """Read the run of one table from its folder, and check its files against the hashes in `run.json`.

    A run without hashes was made by an older version of this program. It is accepted.

    Raises:
        BadInputError: the run is not complete or is a rehearsal; or its files are invalid, were changed after the run,
            or belong to different runs.
    """
    content = read_run_file(folder)
    path = folder / RESULTS
    run = checked(content, TableRun, str(folder / RUN))
    if run["profile"] == REHEARSAL:
        raise BadInputError(f"{folder}: expected a run with trained networks, found a rehearsal with random weights")
    check_file(path, run.get("files", {}))
    check_files(folder, run.get("files", {}))
    try:
        results = read_results(path)
    except FileNotFoundError:
        raise _missing(path) from None
    same_items = is_layers(results) or run["manifest"] == results.get("manifest")
    if run["experiment"] != results["experiment"] or not same_items:
        raise BadInputError(f"{folder}: expected {RUN} and {RESULTS} of one run, found files of two different runs")
    return FinishedRun(folder, run, results, content)


def read_run_file(folder: Path) -> dict[str, Any]:
    """Return the content of `run.json`.

    Raises:
        BadInputError: there is no `run.json`, its status is not `complete`, or its seal does not fit its content.
    """
    path = folder / RUN
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise _missing(path) from None
    if content.get("status") != "complete":
        raise BadInputError(f"{path}: expected the status complete, found {content.get('status') or 'no status'}")
    check_seal(content, str(path))
    return content


def _missing(path: Path) -> BadInputError:
    return BadInputError(f"{path}: expected this file, which every complete run has, found no such file")
