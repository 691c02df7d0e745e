"""Headlines: for each column of a table, one line that compares the best row with the reference row.

A headline claims no more than its interval shows. The words "better", "worse" and "significantly different" need both
a p-value below 0.05 after Holm's adjustment and an interval that does not contain the value that means no change.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.metrics.summary import Measurement
from bench.metrics.uncertainty import Difference
from bench.runtime.not_available import NotAvailable
from bench.tables.build import Column, Table
from bench.tables.render import FEW, change_shown, measured_shown, ratio_shown

__all__ = ["ALIKE", "BETTER", "DIFFERENT", "HEADLINES_EXPLAINED", "NO_VERDICT", "WORSE", "Headline", "headlines"]

BETTER, WORSE = "better", "worse"
DIFFERENT = "significantly different"
"""Word for a metric that has no better direction."""
ALIKE = "not significantly different"
NO_VERDICT = "no verdict"
"""Word for a difference that a few sources decide, so that its interval is too short."""
HEADLINES_EXPLAINED = (
    "Each line compares the best row of a column with the table's reference row. ÷ 84 means that the reference row's "
    "value is 84 times the row's value. Other numbers are the row's value minus the reference row's value. The "
    "brackets contain the unadjusted 95 % interval. A word such as “better” rests on p-values that are adjusted by "
    f"Holm's method. {FEW} marks a number that a few sources decide, and no verdict rests on it."
)


@dataclass(frozen=True)
class Headline:
    """The comparison of one row with the reference row by one metric, as texts."""

    metric: str
    """Title of the metric without its unit."""
    row: str
    """Label of the row."""
    change: str
    """Ratio or difference with its 95 % interval, or the row's value if there is nothing to compare it with."""
    word: str = ""
    """Verdict: one of the words of this module; empty if the row is not compared."""
    reference: str = ""
    """Label of the reference row; empty if the row is not compared."""

    def __str__(self) -> str:
        """Return the headline as one line, such as `Pre_error ÷ 84 [74, 96], better: Ours compared with Theirs`."""
        if not self.word:
            return f"{self.metric} {self.change}: {self.row}"
        return f"{self.metric} {self.change}, {self.word}: {self.row} compared with {self.reference}"


def headlines(table: Table) -> tuple[Headline, ...]:
    """Return one headline for each column of a table in which a row was measured.

    The row is the one with the best value. It is chosen from the measured rows that the paper's table also has, except
    the reference row. If none of these rows has a value in a column, the column has no headline. A metric that is shown
    with ratios is compared by the ratio, and every other metric by the difference.
    """
    return tuple(found for column in table.columns if (found := _headline(table, column)) is not None)


def _headline(table: Table, column: Column) -> Headline | None:
    found = {
        row.label: measured
        for row in table.rows
        if row.in_paper and (measured := row.measured.get(column.metric)) is not None and measured.value is not None
    }
    found.pop(table.reference, None)
    if not found:
        return None
    values = {label: one.value or 0.0 for label, one in found.items()}
    if column.format.zero_is_best:
        values = {label: abs(value) for label, value in values.items()}
    best = (max if column.format.higher_is_better else min)(values, key=values.__getitem__)
    measured, title = found[best], column.format.title
    if measured.difference is None:
        return Headline(title, best, _with_unit(measured_shown(measured, column.format), column))
    ratio = _bounded_ratio(measured) if column.format.ratio else None
    if ratio is None:
        change = _with_unit(change_shown(measured.difference, column.format), column)
        word = _word(measured, measured.difference, measured.difference.ci95, 0.0, column)
    else:
        change = ratio_shown(measured)
        assert ratio.ci95 is not None  # `_bounded_ratio` has checked it
        few = ratio.interval_too_short
        word = NO_VERDICT if few else _word(measured, measured.difference, ratio.ci95, 1.0, column)
    return Headline(title, best, change, word, table.reference)


def _with_unit(text: str, column: Column) -> str:
    return f"{text} {column.format.unit}".strip()


def _bounded_ratio(measured: Measurement) -> Measurement | None:
    """Return the ratio of a measurement; None if it does not exist, is 0, or has no bounded interval."""
    ratio = measured.ratio
    if ratio is None or isinstance(ratio, NotAvailable) or not ratio.value or ratio.ci95 is None:
        return None
    return ratio


def _word(
    measured: Measurement, difference: Difference, interval: tuple[float, float], none: float, column: Column
) -> str:
    """Return the verdict on a row.

    Args:
        measured: measurement of the row.
        difference: difference between the row and the reference row.
        interval: interval that the headline shows.
        none: value that means no change, 0 for a difference and 1 for a ratio.
        column: column of the table.
    """
    if difference.decided_by_few:
        return NO_VERDICT
    if not measured.differs or interval[0] <= none <= interval[1]:
        return ALIKE
    if column.format.zero_is_best:
        return DIFFERENT
    return BETTER if (difference.value > 0) == column.format.higher_is_better else WORSE
