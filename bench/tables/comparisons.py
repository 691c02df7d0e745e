"""The comparisons of one run: each pair of rows on each metric has one adjusted p-value, wherever it is shown.

Holm's method ("A simple sequentially rejective multiple test procedure", 1979) adjusts the p-values of one family. Each
metric has four families: the paper's rows against the reference row; all other rows (controls, the error's budget,
methods that the paper does not have) against it; the further pairs that the paper's statements compare; and the further
pairs that the harness's own checks compare. A pair belongs to the first of these that has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bench.metrics.summary import Measurement, Summary
from bench.metrics.uncertainty import LEVEL, Difference, holm
from bench.tables.claims import HARNESS, Claim, Comparison

__all__ = ["Comparisons", "TableRows"]

Pair = tuple[frozenset[str], str]
"""Two rows in no order, and the metric."""


@dataclass(frozen=True)
class TableRows:
    """The measured rows of a table by the part that they play in comparisons."""

    reference: str | None
    """The row with which the others are compared; None where there is none."""
    paper: tuple[str, ...]
    """Rows that the paper's table has."""
    further: tuple[str, ...] = ()
    """Rows that it does not have: controls, the error's budget and further methods."""
    competing: tuple[str, ...] = ()
    """Rows of the table proper, which may be the best of a column."""
    unmeasured: tuple[str, ...] = ()
    """Rows that the paper's table has and that were not measured."""
    labels: Mapping[str, str] | None = None
    """What the rows are called in the table; None where their names are shown."""

    def label(self, row: str) -> str:
        return row if self.labels is None else self.labels.get(row, row)


@dataclass(frozen=True)
class Comparisons:
    """Paired differences between rows, with their adjusted p-values."""

    summary: Summary
    rows: TableRows
    claims: Sequence[Claim] = ()
    """Statements whose comparisons are made as well."""

    def difference(self, comparison: Comparison) -> Difference | str:
        """The first row minus the second one, paired by item; or why there is none."""
        return self.summary.difference(comparison.better, comparison.other, comparison.metric)

    def p_value(self, comparison: Comparison) -> float | None:
        """The two-sided p-value, adjusted by Holm's method within its family; None for a pair that no family has."""
        return self._adjusted.get(_pair(comparison))

    def best(self, metric: str, *, higher_is_better: bool) -> str | None:
        """The competing row that is better than each of the others at the 95 % level, or None.

        None is returned where no row is, where only one has a value, where two were not measured on the same items, and
        where few sources decide. A pair that no family has gets its p-value in a family of this row's further pairs.

        Args:
            metric: full name.
            higher_is_better: which way is better.
        """
        values = {
            row: value
            for row in self.rows.competing
            if (value := self.summary.measurement(row, metric).value) is not None
        }
        if len(values) < 2:
            return None
        leader = (max if higher_is_better else min)(values, key=values.__getitem__)
        against = [Comparison(leader, row, metric) for row in values if row != leader]
        known = {}
        for comparison in against:
            found = self.difference(comparison)
            if isinstance(found, str) or found.decided_by_few:
                return None
            known[comparison] = found.p_value
        adjusted = {comparison: p for comparison in against if (p := self.p_value(comparison)) is not None}
        further = [comparison for comparison in against if comparison not in adjusted]
        adjusted |= dict(zip(further, holm([known[comparison] for comparison in further]), strict=True))
        return leader if max(adjusted.values()) < LEVEL else None

    def compared(self, claim: Claim) -> list[Comparison]:
        """The comparisons that a statement makes; one `against` many rows makes one with each of them."""
        if not claim.against:
            return claim.comparisons
        others = self.rows.paper if claim.against == "paper" else self.rows.competing
        return [
            Comparison(claim.row, other, metric) for metric in claim.metrics for other in others if other != claim.row
        ]

    def table(self) -> dict[str, dict[str, Measurement]]:
        """Measurements by row and metric, each compared with the reference row where there is one."""
        table = self.summary.table(self.rows.reference)
        reference = self.rows.reference
        if reference is None:
            return table
        return {
            row: {
                metric: replace(found, p_holm=self.p_value(Comparison(row, reference, metric)))
                if found.difference is not None
                else found
                for metric, found in cells.items()
            }
            for row, cells in table.items()
        }

    @cached_property
    def _adjusted(self) -> dict[Pair, float]:
        adjusted: dict[Pair, float] = {}
        for family in self._families():
            differences = {
                pair: self.difference(comparison) for pair, comparison in family.items() if pair not in adjusted
            }
            known = {pair: found.p_value for pair, found in differences.items() if isinstance(found, Difference)}
            adjusted |= dict(zip(known, holm(list(known.values())), strict=True))
        return adjusted

    def _families(self) -> Iterator[dict[Pair, Comparison]]:
        """The families in the order in which pairs are assigned to them."""
        metrics = list(dict.fromkeys(name for names in self.summary.metrics.values() for name in names))
        ordered = [claim for claim in self.claims if claim.kind == "order"]
        groups = [[claim for claim in ordered if (claim.by == HARNESS) is own] for own in (False, True)]
        for metric in metrics:
            if self.rows.reference is not None:
                for rows in (self.rows.paper, self.rows.further):
                    yield _by_pair(
                        Comparison(row, self.rows.reference, metric) for row in rows if row != self.rows.reference
                    )
            for claims in groups:
                yield _by_pair(
                    comparison for claim in claims for comparison in self.compared(claim) if comparison.metric == metric
                )


def _pair(comparison: Comparison) -> Pair:
    return frozenset((comparison.better, comparison.other)), comparison.metric


def _by_pair(comparisons: Iterator[Comparison]) -> dict[Pair, Comparison]:
    return {_pair(comparison): comparison for comparison in comparisons}
