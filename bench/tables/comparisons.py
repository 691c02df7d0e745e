"""The comparisons between the rows of one run, with their adjusted p-values.

Holm's method ("A simple sequentially rejective multiple test procedure", 1979) adjusts the p-values of one family of
comparisons together. Each metric has four families:

1. each row of the paper's table, compared with the reference row;
2. each row that the paper's table does not have (a control, a row of the error budget, or a further method), compared
   with the reference row;
3. further pairs of rows that the paper's statements on an order compare;
4. further pairs of rows that this project's checks on an order compare.

A pair of rows belongs only to the first family that contains it. Thus each pair has one adjusted p-value for each
metric, and all tables and all verdicts on an order use this p-value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

from bench.metrics.summary import Measurement, Summary
from bench.metrics.uncertainty import LEVEL, Difference, holm
from bench.runtime.not_available import NotAvailable
from bench.tables.claims import HARNESS, Claim, Comparison

__all__ = ["Comparisons", "PairDifference", "TableRows"]

MOST_PAIRED = 24
"""Largest number of rows of which every two are compared."""
Pair = tuple[frozenset[str], str]
"""Two rows, whose order does not matter, and the metric by which they are compared."""


@dataclass(frozen=True)
class TableRows:
    """The keys of a table's rows, grouped by the role that each row has in comparisons."""

    reference: str | None
    """Reference row; None if the table has none or if it was not measured."""
    paper: tuple[str, ...]
    """Measured rows that the paper's table has."""
    further: tuple[str, ...] = ()
    """Measured rows that the paper's table does not have: controls, the error budget and further methods."""
    competing: tuple[str, ...] = ()
    """Measured rows of the main table. The best row of each column is chosen from them."""
    unmeasured: tuple[str, ...] = ()
    """Rows of the paper's table that were not measured."""
    labels: Mapping[str, str] | None = None
    """Label of each row by its key; None to show the keys themselves."""

    def label(self, row: str) -> str:
        return row if self.labels is None else self.labels.get(row, row)


@dataclass(frozen=True)
class PairDifference:
    """The paired difference between two rows of the main table in one metric."""

    row: str
    other: str
    metric: str
    difference: Difference | NotAvailable
    """Value of `row` minus value of `other`, or the reason why it is not known."""
    p_holm: float | None
    """Adjusted p-value of the difference; None if the pair of rows belongs to no family of comparisons."""

    @property
    def differs(self) -> bool:
        """True if the rows differ significantly: by the adjusted p-value, and with enough effective sources."""
        if isinstance(self.difference, NotAvailable) or self.p_holm is None or self.difference.decided_by_few:
            return False
        return self.p_holm < LEVEL


@dataclass(frozen=True)
class Comparisons:
    """The paired differences between rows, with their adjusted p-values."""

    summary: Summary
    rows: TableRows
    claims: Sequence[Claim] = ()
    """Statements whose comparisons get an adjusted p-value as well."""

    def difference(self, comparison: Comparison) -> Difference | NotAvailable:
        """Return the value of the comparison's row `better` minus the value of its row `other`, paired by item.

        If the difference cannot be computed, the result is the reason for this.
        """
        return self.summary.difference(comparison.better, comparison.other, comparison.metric)

    def p_value(self, comparison: Comparison) -> float | None:
        """Return the two-sided p-value of a comparison, adjusted by Holm's method within its family.

        The result is None if the pair of rows belongs to no family, or if the difference of the two rows cannot be
        computed.
        """
        return self._adjusted.get(_pair(comparison))

    def best(self, metric: str, *, higher_is_better: bool) -> str | None:
        """Return the row of the main table that is significantly better than every other row of the main table.

        The row with the best value is compared with every other row that has a value. The result is None if one of
        these differences is not significant at the 95 % level, is unknown, or has too few effective sources. It is also
        None if fewer than two rows have a value. Pairs of rows that belong to no family form one further family here,
        in which their p-values are adjusted together.

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

    def pairs(self, metrics: Sequence[str]) -> list[PairDifference]:
        """Return the difference of each pair of rows of the main table: the later row minus the earlier row.

        A pair that belongs to no family has no p-value, because nobody planned to compare its rows. The result is empty
        if the main table has more than `MOST_PAIRED` measured rows.

        Args:
            metrics: full names of the metrics.
        """
        found: list[PairDifference] = []
        if len(self.rows.competing) > MOST_PAIRED:
            return found
        for metric in metrics:
            for other, row in combinations(self.rows.competing, 2):
                pair = Comparison(row, other, metric)
                found.append(PairDifference(row, other, metric, self.difference(pair), self.p_value(pair)))
        return found

    def compared(self, claim: Claim) -> list[Comparison]:
        """Return the comparisons that a statement makes, on each of its metrics.

        A statement without a value for `against` lists the pairs of rows itself. Otherwise, the `row` of the statement
        is compared with all other measured rows of one table. If `against` is `paper`, this is the paper's table. If
        `against` is `measured`, this is the main table.
        """
        if not claim.against:
            return claim.comparisons
        others = self.rows.paper if claim.against == "paper" else self.rows.competing
        return [
            Comparison(claim.row, other, metric) for metric in claim.metrics for other in others if other != claim.row
        ]

    def table(self) -> dict[str, dict[str, Measurement]]:
        """Return all measurements. The first key is the row, and the second key is the full name of the metric.

        If there is a reference row, the measurements of all other rows also contain the difference from the reference
        row and the adjusted p-value of this difference. If the difference is unknown, both are None.
        """
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
        """Yield the families of comparisons of each metric, in the order that the module's docstring gives.

        A pair of rows may be in several of these families. It belongs to the first one, so the caller must skip it in
        the later ones.
        """
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
