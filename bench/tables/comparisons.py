"""The comparisons of one run; each pair of rows has one adjusted p-value for each metric, wherever it is shown.

Holm's method ("A simple sequentially rejective multiple test procedure", 1979) adjusts the p-values of one family. Each
metric has four families: the paper's rows against the reference row; all other rows (controls, the error budget,
methods that the paper does not have) against it; the further pairs that the paper's statements compare; and the further
pairs that the harness's own checks compare. A pair belongs to the first family that contains it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bench.metrics.summary import Measurement, Summary
from bench.metrics.uncertainty import LEVEL, Difference, holm
from bench.runtime.not_available import NotAvailable
from bench.tables.claims import HARNESS, Claim, Comparison

__all__ = ["Comparisons", "TableRows"]

Pair = tuple[frozenset[str], str]
"""Two rows without an order, and the metric."""


@dataclass(frozen=True)
class TableRows:
    """The measured rows of a table, grouped by their role in comparisons."""

    reference: str | None
    """Row with which the others are compared; None if there is none."""
    paper: tuple[str, ...]
    """Measured rows of the paper's table."""
    further: tuple[str, ...] = ()
    """Measured rows that the paper's table does not have: controls, the error budget and further methods."""
    competing: tuple[str, ...] = ()
    """Rows of the main table, which are candidates for the best row of a column."""
    unmeasured: tuple[str, ...] = ()
    """Rows of the paper's table that were not measured."""
    labels: Mapping[str, str] | None = None
    """Labels of the rows in the table; None if their names are shown."""

    def label(self, row: str) -> str:
        return row if self.labels is None else self.labels.get(row, row)


@dataclass(frozen=True)
class Comparisons:
    """The paired differences between rows, with their adjusted p-values."""

    summary: Summary
    rows: TableRows
    claims: Sequence[Claim] = ()
    """Statements whose comparisons are also made."""

    def difference(self, comparison: Comparison) -> Difference | NotAvailable:
        """Return the first row minus the second one, paired by item, or the reason why there is no difference."""
        return self.summary.difference(comparison.better, comparison.other, comparison.metric)

    def p_value(self, comparison: Comparison) -> float | None:
        """Return the two-sided p-value, adjusted by Holm's method in its family; None for a pair without a family."""
        return self._adjusted.get(_pair(comparison))

    def best(self, metric: str, *, higher_is_better: bool) -> str | None:
        """Return the competing row that is better than each of the others at the 95 % level, or None.

        The result is None if there is no such row, if only one row has a value, if two rows were not measured on the
        same items, or if few sources decide a difference. The pairs that belong to no family form one more family for
        this purpose.

        Args:
            metric: full name of the metric.
            higher_is_better: whether a higher value is better.
        """
        values = {
            row: value
            for row in self.rows.competing
            if (value := self.summary.measurement(row, metric).value) is not None
        }
        if len(values) < 2:
            return None
        best = (max if higher_is_better else min)(values, key=values.__getitem__)
        against = [Comparison(best, row, metric) for row in values if row != best]
        known = {}
        for comparison in against:
            found = self.difference(comparison)
            if isinstance(found, NotAvailable) or found.decided_by_few:
                return None
            known[comparison] = found.p_value
        adjusted = {comparison: p for comparison in against if (p := self.p_value(comparison)) is not None}
        further = [comparison for comparison in against if comparison not in adjusted]
        adjusted |= dict(zip(further, holm([known[comparison] for comparison in further]), strict=True))
        return best if max(adjusted.values()) < LEVEL else None

    def compared(self, claim: Claim) -> list[Comparison]:
        """Return the comparisons that a statement makes: its pairs, or its `row` with each row that `against` names."""
        if not claim.against:
            return claim.comparisons
        others = self.rows.paper if claim.against == "paper" else self.rows.competing
        return [
            Comparison(claim.row, other, metric) for metric in claim.metrics for other in others if other != claim.row
        ]

    def table(self) -> dict[str, dict[str, Measurement]]:
        """Return the measurements by row and metric, each compared with the reference row if there is one."""
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
        """Yield the families in the order in which pairs are assigned to them."""
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
