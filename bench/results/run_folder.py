"""The result that a run returns, the names of two files of a run, and the function `portable` for paths in saved data.

`portable` replaces the path of the assets folder, so that equal runs on different machines save equal data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas

if TYPE_CHECKING:
    from bench.metrics.summary import Summary
    from bench.tables.headlines import Headline

__all__ = ["REPORT", "RUN", "SCHEMA_VERSION", "Forecast", "Results", "portable"]

SCHEMA_VERSION = 1
RUN = "run.json"
REPORT = "report.html"


@dataclass(frozen=True)
class Forecast:
    """The time, memory and disk space that a run is expected to need."""

    seconds: float
    memory: int
    """Peak memory in bytes."""
    disk: float
    """Bytes that the run adds to the store."""


@dataclass(frozen=True)
class Results:
    """The result of running one experiment."""

    path: Path
    """Folder that contains the run's files."""
    status: int
    """Exit status: 0 done, 1 failed, 2 bad input, 3 worse than the baseline, 4 comparison inconclusive, 130
    interrupted."""
    message: str = ""
    """Reason for a status other than 0; empty if there is nothing to report."""
    table: pandas.DataFrame | None = None
    """The table that the run made, with one line for each row; None if it made none."""
    records: pandas.DataFrame | None = None
    """The records, with one line for each item and row; None if there are none."""
    summary: tuple[int, Summary] | None = None
    """Pair of the table's number in the paper and the run's estimates, which statements on several tables need; None if
    there are none."""
    headline: tuple[Headline | str, ...] = ()
    """Lines that a page with several runs shows: comparisons of the best rows with the reference row, or sentences."""
    forecast: Forecast | None = None
    """Time, memory and disk space that the run is expected to need, for the stage `check`; None if not estimated."""


def portable(node: Any, assets: str) -> Any:
    """Return a copy of plain data in which `${paths.assets}` replaces the path of the assets folder in every text.

    Equal runs on different machines therefore have equal data.

    Args:
        node: plain data. Both keys and values may contain the path.
        assets: path of the assets folder on this machine, which is the setting `paths.assets`.
    """
    if isinstance(node, dict):
        return {portable(key, assets): portable(value, assets) for key, value in node.items()}
    if isinstance(node, list):
        return [portable(value, assets) for value in node]
    return node.replace(assets, "${paths.assets}") if isinstance(node, str) else node
