"""How far each item moves each headline number, kept beside a run's records: two runs are paired by it later.

`influences.parquet` has a line for each item and row: `item`, `row`, `source`, and for each column of the run's table
`influence.METRIC` and, where the statistic has a second-order part, `change.METRIC`, as `bench.metrics.uncertainty` has
them, in float32. Null stands for an item that a number does not rest on, such as one outside its bin, and in all lines
of a row whose number is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas
import pyarrow

from bench.errors import BadInputError
from bench.results import write_atomically

if TYPE_CHECKING:
    from bench.data.manifest import Items
    from bench.metrics.summary import Summary

__all__ = ["INFLUENCES", "Influence", "read_influences", "write_influences"]

INFLUENCES = "influences.parquet"
OF, CHANGE = "influence.", "change."
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Influence:
    """Of the N items on one number."""

    items: tuple[str, ...]
    """That it rests on, in the manifest's order."""
    sources: tuple[str, ...]
    values: Array
    change: Array | None
    """As `bench.metrics.uncertainty.Estimate` has it."""


def write_influences(out: Path, items: Items, summary: Summary, metrics: Sequence[str]) -> None:
    """Write the file, of every row and the given metrics."""
    lines = items.lines()
    shared = {"item": [line["id"] for line in lines], "source": [line["source"] for line in lines]}
    frames = []
    for row in summary.metrics:
        columns: dict[str, Any] = {}
        for metric in metrics:
            columns |= _columns(summary, row, metric, len(lines))
        frames.append(pandas.DataFrame({**shared, "row": row, **columns}))
    whole = pandas.concat(frames, ignore_index=True)
    first = ["item", "row", "source"]
    whole = whole[[*first, *(name for name in whole if name not in first)]].dropna(axis="columns", how="all")
    write_atomically(out / INFLUENCES, whole.to_parquet(index=False))


def _columns(summary: Summary, row: str, metric: str, count: int) -> dict[str, npt.NDArray[np.float32]]:
    influence, change = (np.full(count, np.nan, np.float32) for _ in range(2))
    found = summary.found(row, metric)
    if not isinstance(found, str):
        estimate, there = found
        influence[there] = estimate.influence
        if estimate.change is not None:
            change[there] = estimate.change
    return {f"{OF}{metric}": influence, f"{CHANGE}{metric}": change}


def read_influences(run: Path) -> Mapping[tuple[str, str], Influence] | None:
    """Influences by row and metric, of the numbers that are known; None where the run has kept none.

    Raises:
        BadInputError: the file is damaged, or is none of these.
    """
    path = run / INFLUENCES
    if not path.is_file():
        return None
    try:
        frame = pandas.read_parquet(path)
        by_row = {str(row): lines for row, lines in frame.groupby("row", sort=False)}
        metrics = [name.removeprefix(OF) for name in frame if str(name).startswith(OF)]
        return {
            (row, metric): found
            for row, lines in by_row.items()
            for metric in metrics
            if (found := _influence(lines, metric)) is not None
        }
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        words = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise BadInputError(f"{path}: expected influences of a run's items, found {words}") from None


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
