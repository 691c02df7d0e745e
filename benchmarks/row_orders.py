"""Compare the orders into which two metrics bring the rows of a finished run.

python -m benchmarks.row_orders DIR FIRST:SECOND ...

An example is `python -m benchmarks.row_orders DIR fid:fd_efficientnet lpips:perceptual_efficientnet`. The run must have
been made with keep_features=true. The script prints a table in Markdown: Spearman's rank correlation of the rows'
values, the number of pairs of rows that the two metrics order differently, and how many of these pairs differ
significantly by the first metric, by the second, and by both. Each metric's p-values are adjusted by Holm's method.
Below the table, the pairs that differ significantly by both metrics are listed. Both metrics must be errors, of which
smaller values are better.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from scipy.stats import spearmanr

from bench.metrics.summary import Summary
from bench.metrics.uncertainty import LEVEL, Difference, holm
from bench.results.features import read_summary

Pair = tuple[str, str]


@dataclass(frozen=True)
class Compared:
    """Agreement of two metrics on the order of the rows."""

    correlation: float
    """Spearman's rank correlation of the rows' values."""
    pairs: int
    """Number of pairs of rows."""
    swapped: tuple[Pair, ...]
    """Pairs of rows that the metrics order differently."""
    first: frozenset[Pair]
    """Pairs of `swapped` that differ significantly by the first metric."""
    second: frozenset[Pair]
    """Pairs of `swapped` that differ significantly by the second metric."""


def compare(summary: Summary, first: str, second: str) -> Compared:
    """Compare the orders of all rows that have a value of both metrics.

    Args:
        summary: estimates of a run.
        first: full name of a metric.
        second: full name of another metric.
    """
    values = {
        row: (one.value, other.value)
        for row in summary.scored.rows
        for one, other in ((summary.measurement(row, first), summary.measurement(row, second)),)
        if one.value is not None and other.value is not None
    }
    pairs = list(combinations(values, 2))
    swapped = tuple(
        (row, other)
        for row, other in pairs
        if (values[row][0] - values[other][0]) * (values[row][1] - values[other][1]) < 0
    )
    significant = [_significant(summary, pairs, metric).intersection(swapped) for metric in (first, second)]
    correlation = float(spearmanr(*zip(*values.values(), strict=True)).statistic)
    return Compared(correlation, len(pairs), swapped, *significant)


def _significant(summary: Summary, pairs: Sequence[Pair], metric: str) -> frozenset[Pair]:
    """Return the pairs of rows whose values of a metric differ significantly."""
    found = {pair: summary.difference(*pair, metric) for pair in pairs}
    known = {pair: one for pair, one in found.items() if isinstance(one, Difference)}
    adjusted = dict(zip(known, holm([one.p_value for one in known.values()]), strict=True))
    return frozenset(pair for pair, one in known.items() if adjusted[pair] < LEVEL and not one.decided_by_few)


def main() -> None:
    """Read the arguments, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("metrics", nargs="+")
    options = parser.parse_args()
    summary, both = read_summary(options.run), []
    print("| metrics | rank correlation | pairs swapped | significant by the first | by the second | by both |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for text in options.metrics:
        first, _, second = text.partition(":")
        found = compare(summary, first, second)
        contrary = [pair for pair in found.swapped if pair in found.first & found.second]
        both += [f"{text}: {row} and {other}" for row, other in contrary]
        counts = len(found.first), len(found.second), len(contrary)
        shown = " | ".join(map(str, counts))
        print(f"| {text} | {found.correlation:.3f} | {len(found.swapped)} of {found.pairs} | {shown} |")
    print("", *both, sep="\n")


if __name__ == "__main__":
    main()
