"""The result that a run returns, and helpers that write its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas

if TYPE_CHECKING:
    from bench.metrics.summary import Summary

__all__ = ["REPORT", "RUN", "SCHEMA_VERSION", "Results", "portable"]

SCHEMA_VERSION = 1
RUN = "run.json"
REPORT = "report.html"


@dataclass(frozen=True)
class Results:
    """The outcome of an experiment."""

    path: Path
    """Folder of the run's files."""
    status: int
    """Exit status: 0 done, 1 failed, 2 bad input, 3 worse than the baseline, 4 comparison inconclusive, 130
    interrupted."""
    message: str = ""
    """Reason of a status other than 0."""
    table: pandas.DataFrame | None = None
    """Table with one line for each row."""
    records: pandas.DataFrame | None = None
    """Records with one line for each item and row."""
    summary: tuple[int, Summary] | None = None
    """Number of the table, and its estimates for comparisons with other tables."""
    headline: tuple[str, ...] = ()
    """Most important numbers in words, for an index of several runs."""


def portable(node: Any, assets: str) -> Any:
    """Return plain data in which paths of the package's assets are the same on every machine.

    Args:
        node: plain data, whose keys and values may be paths below the assets.
        assets: folder of `paths.assets`.
    """
    if isinstance(node, dict):
        return {portable(key, assets): portable(value, assets) for key, value in node.items()}
    if isinstance(node, list):
        return [portable(value, assets) for value in node]
    return node.replace(assets, "${paths.assets}") if isinstance(node, str) else node
