"""Writer and reader of `influences.parquet`: the influence of each item on each headline number of a run.

With the influences of two runs, the numbers of the runs can be compared item by item.

The file has one line for each pair of an item and a row, with the columns `item`, `row` and `source`. For each headline
metric, the file has the column `influence.METRIC`. If the metric's statistic has a second-order part, the file also has
the column `change.METRIC`. The values of these columns are float32, and `bench.metrics.uncertainty` defines them.

A value is null if the number does not depend on the item, for example because the item is outside the metric's bin. If
a row has no number for a metric, all values of this row and this metric are null.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas
import pyarrow

from bench.errors import BadInputError
from bench.runtime.files import write_atomically
from bench.runtime.not_available import NotAvailable

if TYPE_CHECKING:
    from bench.metrics.summary import Summary

__all__ = ["INFLUENCES", "Influence", "read_influences", "write_influences"]

INFLUENCES = "influences.parquet"
KEYS = ["item", "row", "source"]
"""Columns that describe a line. `item` and `row` together identify it."""
OF, CHANGE = "influence.", "change."
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Influence:
    """The influences of N items on one number, which is one metric of one row."""

    items: tuple[str, ...]
    """Ids of the N items from which the number is computed, in the order of the manifest."""
    sources: tuple[str, ...]
    values: Array
    change: Array | None
    """Second-order part of each item, as in `bench.metrics.uncertainty.Estimate`; None if there is none."""


def write_influences(out: Path, ids: Sequence[str], summary: Summary, metrics: Sequence[str]) -> None:
    """Write `influences.parquet` for every row.

    Args:
        out: folder of the run.
        ids: identifier of each item of the run.
        summary: estimates of the run.
        metrics: full names of the headline metrics. A metric gets no column if no row has influences on it.
    """
    shared = {"item": list(ids), "source": list(summary.scored.sources)}
    frames = []
    for row in summary.metrics:
        columns: dict[str, Any] = {}
        for metric in metrics:
            columns |= _columns(summary, row, metric, len(ids))
        frames.append(pandas.DataFrame({**shared, "row": row, **columns}))
    whole = pandas.concat(frames, ignore_index=True)
    whole = whole[[*KEYS, *(name for name in whole if name not in KEYS)]].dropna(axis="columns", how="all")
    write_atomically(out / INFLUENCES, whole.to_parquet(index=False))


def _columns(summary: Summary, row: str, metric: str, count: int) -> dict[str, npt.NDArray[np.float32]]:
    influence, change = (np.full(count, np.nan, np.float32) for _ in range(2))
    found = summary.found(row, metric)
    if not isinstance(found, NotAvailable):
        estimate, there = found
        influence[there] = estimate.influence
        if estimate.change is not None:
            change[there] = estimate.change
    return {f"{OF}{metric}": influence, f"{CHANGE}{metric}": change}


def read_influences(run: Path) -> Mapping[tuple[str, str], Influence] | None:
    """Read the influences that a run saved.

    Args:
        run: folder of the run.

    Returns:
        Influences on each number, by the pair of the row's name and the metric's full name. None if the run has no
        `influences.parquet`.

    Raises:
        BadInputError: the file is damaged, or it does not contain influences.
    """
    path = run / INFLUENCES
    if not path.is_file():
        if os.path.lexists(path):
            raise BadInputError(f"{path}: expected a file that a run has written, found a folder or a broken link")
        return None
    try:
        frame = pandas.read_parquet(path)
        _check(frame)
        by_row = {str(row): lines for row, lines in frame.groupby("row", sort=False)}
        metrics = [name.removeprefix(OF) for name in frame if str(name).startswith(OF)]
        return {
            (row, metric): found
            for row, lines in by_row.items()
            for metric in metrics
            if (found := _influence(lines, metric)) is not None
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, pyarrow.ArrowException) as error:
        words = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise BadInputError(f"{path}: expected influences of a run's items, found an error: {words}") from None


def _check(frame: pandas.DataFrame) -> None:
    """Check that a table has the form that `write_influences` writes.

    Raises:
        ValueError: a column has the wrong type, a value is infinite, or two lines have the same item and row.
    """
    for name in KEYS:
        if not frame[name].map(lambda value: isinstance(value, str)).all():
            raise ValueError(f"column {name}: a value is not text")
    if frame.duplicated(["item", "row"]).any():
        raise ValueError("the file has two entries for the same item and the same row of the table")
    for name in frame.columns.difference(KEYS):
        if frame[name].dtype != np.float32:
            raise ValueError(f"column {name}: the values are {frame[name].dtype}, not float32")
        if np.isinf(frame[name]).any():
            raise ValueError(f"column {name}: a value is infinite")


def _influence(lines: pandas.DataFrame, metric: str) -> Influence | None:
    there = lines[lines[f"{OF}{metric}"].notna()]
    if there.empty:
        return None
    change = there.get(f"{CHANGE}{metric}")
    return Influence(
        tuple(there["item"]),
        tuple(there["source"]),
        there[f"{OF}{metric}"].to_numpy(np.float64),
        None if change is None or change.isna().any() else change.to_numpy(np.float64),
    )
