"""Compute how much of the variance of each headline number comes from a single source, in finished runs.

python benchmarks/source_shares.py RUN... [--most 0.05]

The infinitesimal jackknife's variance of a number is a sum over sources of s², where s is the sum of the influences of
a source's items (bench/metrics/uncertainty.py). The largest term's share of it says whether one source decides the
number; (Σs²)²/Σs⁴ is the number of sources of equal weight that would vary as much. The script prints a table in
Markdown. For every column of the run's table, it gives the row and the difference to the reference row whose share is
the largest.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.results.influences import read_influences

__all__ = ["Concentration", "concentration", "concentrations"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Concentration:
    """The distribution of a number's variance over the sources."""

    share: float
    """Share of the source that causes the largest part of the variance, in [0, 1]."""
    source: str
    """Name of this source."""
    effective: float
    """Number of effective sources, (Σs²)²/Σs⁴, from 1 to the number of sources."""
    items: int
    """Number of items of the source with the most items."""


def concentration(influence: Array, sources: Sequence[str]) -> Concentration | None:
    """Compute how the variance of a number is distributed over sources; None if every influence is 0.

    Args:
        influence: influence of each item on the number.
        sources: source of each item.
    """
    names, group = np.unique(np.asarray(sources), return_inverse=True)
    squares = np.square(np.bincount(group, weights=influence))
    total = float(squares.sum())
    if total == 0:
        return None
    return Concentration(
        share=float(squares.max()) / total,
        source=str(names[squares.argmax()]),
        effective=total**2 / float(np.square(squares).sum()),
        items=int(np.bincount(group).max()),
    )


def concentrations(run: Path) -> Iterator[tuple[str, str, Concentration]]:
    """Return, for each headline number of a run, its column, its row or "row - reference", and its `Concentration`.

    Args:
        run: the folder of a table's run, with `results.json` and `influences.parquet`.

    Raises:
        ValueError: the run did not save its influences.
    """
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    found = read_influences(run)
    if found is None:
        raise ValueError(f"{run}: expected influences.parquet of a run, found none")
    labels = {row["label"]: row["method"] for row in results["rows"]}
    reference = labels[results["reference"]]
    columns = [column["metric"] for column in results["columns"]]
    for (row, metric), influence in found.items():
        if metric not in columns:
            continue
        base = found.get((reference, metric))
        numbers = {row: influence.values}
        if row != reference and base is not None and base.items == influence.items:
            numbers[f"{row} - {reference}"] = influence.values - base.values
        for name, values in numbers.items():
            if (measured := concentration(values, influence.sources)) is not None:
                yield metric, name, measured


def _lines(run: Path, most: float) -> Iterator[str]:
    every = list(concentrations(run))
    for metric in dict.fromkeys(metric for metric, *_ in every):
        for differences in (False, True):
            chosen = [(name, one) for other, name, one in every if other == metric and (" - " in name) == differences]
            if not chosen:
                continue
            name, worst = max(chosen, key=lambda named: named[1].share)
            over = sum(one.share > most for _, one in chosen)
            cells = [run.name, metric, name, worst.source, f"{worst.share:.3f}", f"{worst.effective:.0f}"]
            yield f"| {' | '.join([*cells, f'{over} of {len(chosen)}', str(worst.items)])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="How much of each headline number's variance rests on one source.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument(
        "--most",
        type=float,
        default=0.05,
        help="count the numbers of which one source has more than this share of the variance",
    )
    given = parser.parse_args()
    heads = ["table", "column", "largest share of", "source", "share", "effective sources"]
    print(f"| {' | '.join([*heads, f'numbers above {given.most:g}', 'items of a source'])} |")
    print(f"|{' --- |' * 4}{' ---: |' * 4}")
    for run in given.runs:
        for line in _lines(run, given.most):
            print(line)


if __name__ == "__main__":
    main()
