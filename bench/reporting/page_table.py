"""The main table of a report's page: its headings, rows and cells as texts, and the sentence that explains them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.metrics.summary import EXACT, Measurement
from bench.reporting.gallery import Gallery
from bench.runtime.not_available import NotAvailable
from bench.tables.build import NATIVE, PUBLISHED, Column, Metric, Table, TableRow
from bench.tables.comparisons import PairDifference
from bench.tables.render import CITED, DIFFERS, FEW, OURS, change_shown, number_shown, ratio_shown
from bench.tables.verdicts import p_shown

__all__ = ["KeyPart", "PageTable", "PairCell", "TableCell", "TableHead", "TableLine", "page_table"]

NOTHING = "–"
"""Text of a cell without a number."""


@dataclass(frozen=True)
class TableHead:
    """The heading of one column after the first."""

    key: str
    """Name of the column in the page's address: the metric, and `METRIC/ratio` for a ratio to the reference row."""
    title: str
    metric: str = ""
    """Full name of the metric; empty for a ratio."""
    direction: str = ""
    """`↓` if a smaller value is better, `↑` if a larger one is, and empty if neither is."""


@dataclass(frozen=True)
class TableCell:
    """The texts that the page shows for one number: value, standard error, marks, interval and details."""

    value: str = NOTHING
    order: float | None = None
    """Number by which the column is sorted; None if nothing was measured."""
    best: bool = False
    error: str = ""
    marks: str = ""
    interval: str = ""
    detail: tuple[str, ...] = ()
    """Sentences that the page shows when the reader points at the cell."""

    @property
    def order_shown(self) -> str:
        """The number by which the column is sorted, as JavaScript reads it; empty without a number."""
        if self.order is None or math.isnan(self.order):
            return ""
        return repr(float(self.order)).replace("inf", "Infinity")


@dataclass(frozen=True)
class TableLine:
    """One row of the table."""

    key: str
    label: str
    marks: tuple[str, ...]
    """Footnote sign and origin of the row, if it has them."""
    reference: bool
    """Whether the other rows are compared with this one."""
    cells: tuple[TableCell, ...]


@dataclass(frozen=True)
class KeyPart:
    """A part of the sentence that explains the table."""

    mark: str
    words: str


@dataclass(frozen=True)
class PairCell:
    """The difference between two rows in one metric, as texts."""

    row: str
    """Key of the row of which the other row's value is subtracted."""
    other: str
    metric: str
    """Full name of the metric."""
    difference: str
    p_value: str
    finding: str


@dataclass(frozen=True)
class PageTable:
    """The main table as the page shows it."""

    heads: tuple[TableHead, ...]
    lines: tuple[TableLine, ...]
    key: tuple[KeyPart, ...]
    pairs: tuple[PairCell, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    """Label of each row that occurs in `pairs`, by the row's key."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """Title of each metric that occurs in `pairs`, by the name of the metric."""

    @property
    def first_pair(self) -> tuple[str, str]:
        """Keys of the two rows that the page compares first: neither is the reference row, if there are two others."""
        pairs = [(pair.other, pair.row) for pair in self.pairs]
        reference = {line.key for line in self.lines if line.reference}
        return next((pair for pair in pairs if not reference & {*pair}), pairs[0])


def page_table(table: Table, gallery: Gallery | None) -> PageTable:
    """Return the main table as the page shows it.

    Args:
        table: table with the measured values.
        gallery: gallery of the page, which names the worst item of each row; None if the page has none.
    """
    rows = [row for row in table.rows if not row.beside]
    worst = _worst(gallery)
    heads: list[TableHead] = []
    columns: list[list[TableCell]] = []
    for column in table.shown:
        heads.append(TableHead(column.metric, column.title, column.metric, _direction(column.format)))
        columns.append([_cell(table, row, column, worst.get((row.key, column.metric), "")) for row in rows])
        if table.reference and column.format.ratio:
            heads.append(TableHead(f"{column.metric}/ratio", f"error to {table.reference}"))
            columns.append([_ratio(row.measured.get(column.metric), table.reference) for row in rows])
    lines = tuple(
        TableLine(
            row.key,
            row.label,
            _marks(table, row),
            row.label == table.reference,
            tuple(column[place] for column in columns),
        )
        for place, row in enumerate(rows)
    )
    labels = {row.key: row.label for row in rows}
    pairs = tuple(
        _pair(pair, labels, column) for column in table.columns for pair in table.pairs if pair.metric == column.metric
    )
    return PageTable(
        tuple(heads),
        lines,
        tuple(_key(table, lines)),
        pairs,
        {key: label for key, label in labels.items() if any(key in (pair.row, pair.other) for pair in pairs)},
        {column.metric: column.title for column in table.columns},
    )


def _direction(style: Metric) -> str:
    return "" if style.zero_is_best else "↑" if style.higher_is_better else "↓"


def _worst(gallery: Gallery | None) -> dict[tuple[str, str], str]:
    """Return the sentence that names the worst item, by the row and the metric.

    If there is a reference row, the worst item is the one with the worst difference to this row.
    """
    if gallery is None:
        return {}
    metrics = {metric.name: metric for metric in gallery.metrics}
    reference = (gallery.labels or {}).get(gallery.reference, "")
    by = f" by the difference to {reference}" if reference else ""
    return {
        (pick.row, pick.metric): f"worst item{by}: {item.id} ({metric.shown(pick.difference, '+' if by else '')})"
        for item in gallery.items
        for pick in item.picks
        if pick.rank == "worst" and (metric := metrics.get(pick.metric)) is not None
    }


def _marks(table: Table, row: TableRow) -> tuple[str, ...]:
    sign = CITED if row.cited else OURS if table.is_foreign(row) else ""
    origin = "" if row.origin in (NATIVE, PUBLISHED) else f"({row.origin})"
    return tuple(part for part in (origin, sign) if part)


def _shown(style: Metric, value: float, sign: str = "") -> str:
    """Return a value in the unit of its metric as text."""
    return number_shown(value * style.scale, style.decimals, sign)


def _cell(table: Table, row: TableRow, column: Column, worst: str) -> TableCell:
    found, style = row.measured.get(column.metric), column.format
    if found is None:
        return TableCell(detail=("not measured here",))
    if found.value is None:
        return TableCell(detail=(found.reason or "",))
    best = table.best.get(column.metric) == row.key
    return TableCell(
        _shown(style, found.value),
        found.value,
        best,
        "" if found.stderr is None else _shown(style, found.stderr),
        f"{DIFFERS if found.differs else ''}{FEW if found.interval_too_short else ''}",
        "" if found.ci95 is None else f"{_shown(style, found.ci95[0])} to {_shown(style, found.ci95[1])}",
        tuple(_details(table, found, style, best=best, worst=worst)),
    )


def _details(table: Table, found: Measurement, style: Metric, *, best: bool, worst: str) -> Iterator[str]:
    """Yield the sentences on a number: its items, its difference to the reference row, its marks and its worst item."""
    sources = f"{found.n} items of {found.sources} sources"
    if found.effective_sources is not None:
        sources += f", {found.effective_sources:.3g} effective sources"
    yield sources
    if found.interval_too_short:
        yield f"{FEW}: few sources decide this number, so its interval is too short"
    if found.difference is not None and found.p_holm is not None:
        low, high = (_shown(style, bound, "+") for bound in found.difference.ci95)
        moved = _shown(style, found.difference.value, "+")
        yield f"minus {table.reference}: {moved} [{low}, {high}] (unadjusted), {p_shown(found.p_holm)} (Holm)"
    if found.differs:
        yield f"{DIFFERS}: differs from {table.reference} at the 95 % level"
    if best:
        yield "bold: better than every other measured row of this column at the 95 % level"
    if worst:
        yield worst


def _ratio(found: Measurement | None, reference: str) -> TableCell:
    ratio = None if found is None else found.ratio
    if isinstance(ratio, NotAvailable):
        if ratio == EXACT:
            return TableCell(ratio.reason, math.inf, detail=("this row's error is exactly 0",))
        return TableCell(ratio.reason)
    if ratio is None or not ratio.value:
        return TableCell()
    few = [f"{FEW}: few sources decide this number, so its interval is too short"] if ratio.interval_too_short else []
    said = f"the error of {reference} is {ratio.value:.3g} times this row's"
    return TableCell(ratio_shown(found), ratio.value, detail=(said, *few))


def _key(table: Table, lines: Sequence[TableLine]) -> Iterator[KeyPart]:
    """Yield the parts of the sentence that explains the signs of the table.

    ± and bold are always explained. If there is a reference row, * is explained as well, and ÷ if a column has ratios.
    Other signs that do not occur are left out.
    """
    marks = "".join(cell.marks for line in lines for cell in line.cells)
    texts = "".join(cell.value for line in lines for cell in line.cells)
    yield KeyPart("±", "is one standard error")
    yield KeyPart(
        "bold", f"marks a row that is significantly better than every other row of its column{_without_best(table)}"
    )
    if table.reference:
        nowhere = "" if DIFFERS in marks else ", and here none does"
        yield KeyPart(DIFFERS, f"marks a row that differs from {table.reference} at the 95 % level{nowhere}")
        if any(column.format.ratio for column in table.shown):
            yield KeyPart("÷", f"2 means that the error of {table.reference} is twice this row's")
    if FEW in marks + texts:
        yield KeyPart(FEW, "marks a number that rests on few sources, so that its interval is too short")
    if any(OURS in line.marks for line in lines):
        yield KeyPart(OURS, "marks a row that the paper does not have")
    if any(CITED in line.marks for line in lines):
        yield KeyPart(CITED, "marks a row that the paper copied from elsewhere")


def _without_best(table: Table) -> str:
    """Return the part of a sentence that names the columns in which no row is better than every other row."""
    titles = [column.title for column in table.shown if _direction(column.format) and column.metric not in table.best]
    if not titles:
        return ""
    return f" (in {' and '.join(titles) if len(titles) < 3 else ', '.join(titles)}, no row is)"


def _pair(pair: PairDifference, labels: Mapping[str, str], column: Column) -> PairCell:
    found = pair.difference
    if isinstance(found, NotAvailable):
        return PairCell(pair.row, pair.other, pair.metric, NOTHING, NOTHING, found.reason)
    return PairCell(
        pair.row,
        pair.other,
        pair.metric,
        change_shown(found, column.format).replace("-", "\N{MINUS SIGN}"),
        NOTHING if pair.p_holm is None else p_shown(pair.p_holm),
        _finding(pair, labels, column.format),
    )


def _finding(pair: PairDifference, labels: Mapping[str, str], style: Metric) -> str:
    """Return in words what a difference shows. Only an adjusted p-value from enough sources can show a difference."""
    found: Any = pair.difference
    low, high = found.ci95
    if found.decided_by_few:
        return "undecided: few sources decide it"
    if pair.p_holm is None and not low <= 0 <= high:
        return "the interval excludes 0, but this pair has no adjusted p-value"
    if not pair.differs:
        return "undecided: the rows may be equal" if low <= 0 <= high else "undecided after the adjustment"
    if style.zero_is_best:
        return "the rows differ"
    better = pair.row if (found.value > 0) == style.higher_is_better else pair.other
    return f"{labels[better]} is better"
