"""The typed table: the paper's rows and columns, measured values beside the published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.errors import BadInputError
from bench.metrics.summary import HOLE_ONLY, NAME, Measurement
from bench.schema import FIGURES, Row, TableSpec
from bench.tables.comparisons import Comparisons, TableRows
from bench.tables.effects import Effect
from bench.tables.headline import TRUNCATED, Reading
from bench.tables.printed import printed_as, published
from bench.tables.verdicts import Verdict

__all__ = [
    "METRICS",
    "NATIVE",
    "PUBLISHED",
    "Column",
    "Metric",
    "Styles",
    "Table",
    "TableRow",
    "best_rows",
    "bins_of",
    "build_table",
    "check_table",
    "label_of",
    "rows_compared",
    "style_of",
    "styles_of",
]


@dataclass(frozen=True)
class Metric:
    """How a metric is named and printed."""

    title: str
    decimals: int
    unit: str = ""
    scale: float = 1.0
    """Printed value = value × scale."""
    higher_is_better: bool = False
    on_features: bool = False
    """Whether its value belongs to a feature network, which its title then names."""
    ratio: bool = False
    """Whether tables show how many times smaller it is than the reference row's."""

    def heading(self, features: str = "") -> str:
        """Its title with its unit, and the name of its feature network where that is given and it has one."""
        network = f" ({features} features)" if features and self.on_features else ""
        return f"{self.title}{network}{f' [{self.unit}]' if self.unit else ''}"


NATIVE, PUBLISHED = "native", "published"
METRICS = {
    "clip_score": Metric("CLIP score", 2, higher_is_better=True, on_features=True),
    "inception_score": Metric("IS", 2, higher_is_better=True, on_features=True),
    "psnr": Metric("PSNR", 2, "dB", higher_is_better=True),
    "ssim": Metric("SSIM", 4, higher_is_better=True),
    "ssim_known": Metric("SSIM, known", 4, higher_is_better=True),
    "fid": Metric("FID", 2, on_features=True),
    "kid": Metric("KID", 3, on_features=True),
    "lpips": Metric("LPIPS", 4, on_features=True),
    "pre_error": Metric("Pre_error", 2, "1e-5", 1e5, ratio=True),
    "pre_error_released": Metric("Pre_error, saved in half precision", 2, "1e-5", 1e5, ratio=True),
    "pre_error_rounded": Metric("Pre_error, rounded", 2, "1e-5", 1e5),
    "pre_error_float": Metric("Pre_error, float", 2, "1e-5", 1e5),
    "pre_error_ring": Metric("Pre_error, ring", 2, "1e-5", 1e5),
    "pre_error_interior": Metric("Pre_error, interior", 2, "1e-5", 1e5),
    "border_step": Metric("Step across the border", 4),
    "border_excess": Metric("Step across the border beyond the truth's", 2, "grey levels", 255.0),
    "pre_sse01": Metric("sum of squares over known values", 3),
    "pre_sse01_released": Metric("sum of squares over known values, saved in half precision", 3),
}
"""Metrics that a table shows; the results hold others besides."""
Styles = Mapping[str, Metric]


def styles_of(measures: Mapping[str, Any]) -> dict[str, Metric]:
    """How metrics are printed, those included that measures bring with them.

    Args:
        measures: `features.measures` as plain data.

    Raises:
        BadInputError: one has the name of another metric, or no name that a metric may have.
    """
    styles = dict(METRICS)
    for name, measure in measures.items():
        for metric, style in measure["metrics"].items():
            key = f"features.measures.{name}.metrics"
            if metric in styles:
                raise BadInputError(f"{key}: expected names of their own, found {metric}, which is another metric's")
            if (parts := NAME.fullmatch(metric)) is None or parts["metric"] != metric:
                raise BadInputError(f"{key}: expected a name without a variant or a bin, found {metric}")
            styles[metric] = Metric(**style)
    return styles


def style_of(metric: str, styles: Styles = METRICS) -> Metric | None:
    """How a metric is printed, also one of the hole alone or of a bin of mask area; None for one that is not."""
    parts = NAME.fullmatch(metric)
    if parts is None or parts["metric"] not in styles:
        return None
    style = styles[parts["metric"]]
    extra = f", {parts['variant'].strip('_').replace('_', ' ')}" if parts["variant"] else ""
    if parts["low"] is not None:
        extra += f", {parts['low']}–{parts['high']} % masked"
    return replace(style, title=f"{style.title}{extra}")


def bins_of(metrics: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Bins of mask area in percent that metrics' names ask for."""
    found = [parts for metric in metrics if (parts := NAME.fullmatch(metric)) and parts["low"] is not None]
    return tuple(dict.fromkeys((int(parts["low"]), int(parts["high"])) for parts in found))


@dataclass(frozen=True)
class Column:
    metric: str
    title: str
    """With the feature network's name and the unit, where it has them."""
    published_title: str
    """Over the paper's printed numbers; empty where the paper's table has none of this metric."""
    format: Metric


@dataclass(frozen=True)
class TableRow:
    key: str
    label: str
    in_paper: bool
    training: str
    """How long it was trained, in words."""
    origin: str
    """How its images came about: `published` where none were measured, `predictions`, `external`, or `native`."""
    measured: Mapping[str, Measurement]
    """Empty for a row of published numbers alone."""
    published: Mapping[str, float]
    cited: bool = False
    """Whether the authors copied its published numbers from elsewhere."""
    beside: bool = False
    """Whether it stands in a table of its own, beside the paper's."""


@dataclass(frozen=True)
class Table:
    number: int
    title: str
    profile: str
    columns: tuple[Column, ...]
    """Those whose rows are compared."""
    rows: tuple[TableRow, ...]
    reference: str
    """Label of the row with which the others are compared; empty where there is none."""
    notes: tuple[str, ...]
    """What a reader must know, in the order of its weight."""
    beside: tuple[str, ...] = ()
    """Metrics shown beside the paper's columns."""
    claims: tuple[Verdict, ...] = ()
    effects: Mapping[str, Sequence[Effect]] = field(default_factory=dict)
    """What branch, size and training do to each metric."""
    best: Mapping[str, str] = field(default_factory=dict)
    """By metric, the key of the row that is better than every other, as `best_rows` has it."""
    styles: Styles = field(default_factory=lambda: METRICS)
    """How metrics are printed."""
    readings: tuple[Column, ...] = ()
    """Columns that stand behind those, without a comparison of their own."""
    published_units: Mapping[str, str] = field(default_factory=dict)
    """By metric, in words, what the paper's printed numbers are, where that is not plain."""

    @property
    def shown(self) -> tuple[Column, ...]:
        """Every column of the main table."""
        return self.columns + self.readings


def check_table(spec: TableSpec, rows: Mapping[str, Row], styles: Styles = METRICS) -> None:
    """See before any work that a table can be built.

    Raises:
        BadInputError: there is no row, a column is no metric of tables, or the paper has no row of a published label.
    """
    if not any(row.method is not None for row in rows.values()):
        raise BadInputError("row: expected a list of at least one row to measure, found none")
    for metric in (*spec.columns, *spec.readings, *spec.beside):
        if style_of(metric, styles) is None:
            raise BadInputError(f"table.columns: expected some of {', '.join(styles)}, found {metric}")
    for name, figure in spec.figures.items():
        if figure.kind not in FIGURES:
            raise BadInputError(f"table.figures.{name}.kind: expected one of {', '.join(FIGURES)}, found {figure.kind}")
    printed = published(spec.number)
    for key, row in rows.items():
        label = row.published.get(spec.number)
        if label is not None and label not in printed:
            known = ", ".join(printed) or f"none, as the paper's Table {spec.number} is not known"
            raise BadInputError(f"rows.{key}.published.{spec.number}: expected one of {known}, found {label}")


def rows_compared(spec: TableSpec, rows: Mapping[str, Row]) -> TableRows:
    """The rows of a table by the part that they play in comparisons."""
    measured = [key for key, row in rows.items() if row.method is not None]
    paper = [key for key, row in rows.items() if spec.number in row.published]
    return TableRows(
        reference=spec.reference if spec.reference in measured else None,
        paper=tuple(key for key in paper if key in measured),
        further=tuple(key for key in measured if key not in paper),
        competing=tuple(key for key in measured if not rows[key].beside),
        unmeasured=tuple(key for key in paper if key not in measured),
        labels={key: label_of(row, spec) for key, row in rows.items()},
    )


def label_of(row: Row, spec: TableSpec) -> str:
    """How a row is called in a table: as the paper calls it there, or by its own label."""
    return row.published.get(spec.number, row.label)


def build_table(
    spec: TableSpec,
    rows: Mapping[str, Row],
    measured: Mapping[str, Mapping[str, Measurement]],
    *,
    profile: str,
    features: str,
    training: Mapping[str, str],
    notes: Sequence[str],
    origins: Mapping[str, str] | None = None,
    claims: Sequence[Verdict] = (),
    effects: Mapping[str, Sequence[Effect]] | None = None,
    best: Mapping[str, str] | None = None,
    styles: Styles = METRICS,
    reading: Reading = TRUNCATED,
) -> Table:
    """Put measurements and the paper's numbers into the paper's rows and columns.

    Args:
        spec: number, title and columns, as `check_table` accepts them.
        rows: the rows in order.
        measured: by row and metric.
        profile: the run's profile, and what the run changes of it.
        features: the feature network's name.
        training: how long each row was trained, in words.
        notes: for below the table.
        origins: how each measured row's images came about; empty for this project's own code.
        claims: verdicts on what the paper says of its table.
        effects: by metric, what branch, size and training do to it.
        best: by metric, the row that is better than every other.
        styles: how metrics are printed; those that are not ours stand beside the paper's.
        reading: of the error over known pixels: the printed numbers stand beside its sum.
    """
    printed = {
        label: {reading.named(metric): value for metric, value in values.items()}
        for label, values in published(spec.number).items()
    }
    there = dict.fromkeys(metric for values in published(spec.number).values() for metric in values)
    explained = {reading.named(metric): found for metric in there if (found := printed_as(spec.number, metric))}
    lines = tuple(
        TableRow(
            key,
            label_of(row, spec),
            spec.number in row.published,
            training.get(key, ""),
            ((origins or {}).get(key) or NATIVE) if key in measured else PUBLISHED,
            measured.get(key, {}),
            printed[row.published[spec.number]] if spec.number in row.published else {},
            row.cited,
            row.beside,
        )
        for key, row in rows.items()
    )
    titles = {reading.named(metric): "" for metric in there}
    titles |= {metric: f"{found.title} ({found.words()})" for metric, found in explained.items()}
    columns, readings = (
        tuple(_column(metric, features, titles, styles) for metric in metrics)
        for metrics in (spec.columns, spec.readings)
    )
    reference = label_of(rows[spec.reference], spec) if spec.reference and spec.reference in measured else ""
    return Table(
        spec.number,
        spec.title,
        profile,
        columns,
        lines,
        reference,
        tuple(notes),
        tuple(dict.fromkeys([*spec.beside, *(name for name in styles if name not in (*METRICS, *spec.columns))])),
        tuple(claims),
        effects or {},
        best or {},
        styles,
        readings,
        {metric: found.words() for metric, found in explained.items()},
    )


def best_rows(spec: TableSpec, comparisons: Comparisons, styles: Styles = METRICS) -> dict[str, str]:
    """By metric of the table, with and without known pixels, the measured row that is better than every other.

    All measured rows of the table proper compete, whoever made their images: one run measures them on the same items
    under one protocol. Published numbers do not, nor rows that stand beside.
    """
    found = {}
    for metric in (name for column in spec.columns for name in (column, f"{column}_{HOLE_ONLY}")):
        style = style_of(metric, styles)  # of a bin there is no number of the hole alone
        best = style and comparisons.best(metric, higher_is_better=style.higher_is_better)
        if best:
            found[metric] = best
    return found


def _column(metric: str, features: str, printed: Mapping[str, str], styles: Styles) -> Column:
    """A metric's column.

    Args:
        metric: full name.
        features: the feature network's name.
        printed: for each metric that the paper's table has, the title of the printed numbers, or an empty string where
            that is the metric's own.
        styles: how metrics are printed.
    """
    style = style_of(metric, styles)
    assert style is not None  # `check_table` saw it
    return Column(metric, style.heading(features), (printed[metric] or style.title) if metric in printed else "", style)
