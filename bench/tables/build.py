"""Functions and classes that build a table as typed data, with its measured values and the paper's printed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.config.schema import FIGURES, Row, TableSpec
from bench.errors import BadInputError
from bench.metrics.names import HOLE_ONLY, MetricName
from bench.metrics.summary import Measurement
from bench.tables.comparisons import Comparisons, PairDifference, TableRows
from bench.tables.effects import Effect
from bench.tables.headline import TRUNCATED, Reading
from bench.tables.printed import printed_as, published
from bench.tables.verdicts import Verdict

__all__ = [
    "DIAGNOSES",
    "METRICS",
    "NATIVE",
    "PUBLISHED",
    "Column",
    "Findings",
    "Metric",
    "Styles",
    "Table",
    "TableDesign",
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
    """The style of a metric in tables: its title, its unit and the format of its values."""

    title: str
    decimals: int
    unit: str = ""
    scale: float = 1.0
    """Factor by which a value is multiplied before it is printed, such as 1e5 for the unit 1e-5."""
    higher_is_better: bool = False
    zero_is_best: bool = False
    """Whether 0 is the best value of a metric that can be negative. Such a metric has no better direction."""
    on_features: bool = False
    """Whether the value depends on a feature network. If so, the heading contains the network's name."""
    ratio: bool = False
    """Whether tables also show the value of the reference row divided by the value of each row."""

    def heading(self, features: str = "") -> str:
        """Return the title, the name of the feature network and the unit, as one text.

        The name is left out if the metric does not depend on a feature network. The unit is left out if it is empty.

        Args:
            features: name of the feature network; empty to leave it out.
        """
        network = f" ({features} features)" if features and self.on_features else ""
        return f"{self.title}{network}{f' [{self.unit}]' if self.unit else ''}"


NATIVE, PUBLISHED = "native", "published"
DIAGNOSES = {
    "colour_shift": Metric("Colour shift, known", 2, "CIEDE2000"),
    "colour_field": Metric("Colour shift of places, known", 2, "CIEDE2000"),
    "red_shift": Metric("Red, known", 2, "grey levels", zero_is_best=True),
    "green_shift": Metric("Green, known", 2, "grey levels", zero_is_best=True),
    "blue_shift": Metric("Blue, known", 2, "grey levels", zero_is_best=True),
    "shift": Metric("Shift, known", 3, "pixels"),
    "shift_right": Metric("Shift to the right, known", 3, "pixels", zero_is_best=True),
    "shift_down": Metric("Shift down, known", 3, "pixels", zero_is_best=True),
    "zoom": Metric("Zoom, known", 3, "%", zero_is_best=True),
    "blur": Metric("Blur, known", 3, "pixels", zero_is_best=True),
    "contrast_change": Metric("Contrast, known", 2, "% more", zero_is_best=True),
    "sharpness_change": Metric("Sharpness, known", 2, "% more", zero_is_best=True),
    **{
        f"changed_{levels}": Metric(f"Known pixels off by more than {levels}", 2, "%", 100.0) for levels in (1, 2, 4, 8)
    },
}
"""Style of each metric of the measure `diagnostics`, by the name of the metric. A table shows these metrics below its
other metrics if the measure was used."""
METRICS = {
    "clip_score": Metric("CLIP score", 2, higher_is_better=True, on_features=True),
    "clip_prompt": Metric("CLIP score of the prompt", 2, higher_is_better=True, on_features=True),
    "inception_score": Metric("IS", 2, higher_is_better=True, on_features=True),
    "psnr": Metric("PSNR", 2, "dB", higher_is_better=True),
    "ssim": Metric("SSIM", 4, higher_is_better=True),
    "ssim_known": Metric("SSIM, known", 4, higher_is_better=True),
    "fid": Metric("FID", 2, on_features=True),
    "kid": Metric("KID", 3, on_features=True),
    "fd_dinov2": Metric("FD-DINOv2", 2),
    "cmmd": Metric("CMMD", 4),
    "cmmd_unbiased": Metric("CMMD, unbiased", 4),
    "lpips": Metric("LPIPS", 4, on_features=True),
    "dists": Metric("DISTS", 4),
    "dists_known": Metric("DISTS, known", 4),
    "pre_error": Metric("Pre_error", 2, "1e-5", 1e5, ratio=True),
    "pre_error_released": Metric("Pre_error, saved in half precision", 2, "1e-5", 1e5, ratio=True),
    "pre_error_rounded": Metric("Pre_error, rounded", 2, "1e-5", 1e5),
    "pre_error_float": Metric("Pre_error, float", 2, "1e-5", 1e5),
    "pre_error_ring": Metric("Pre_error, ring", 2, "1e-5", 1e5),
    "pre_error_interior": Metric("Pre_error, interior", 2, "1e-5", 1e5),
    "border_step": Metric("Step across the border", 4),
    "border_excess": Metric("Step across the border beyond the truth's", 2, "grey levels", 255.0),
    **DIAGNOSES,
    "pre_sse01": Metric("sum of squares over known values", 3),
    "pre_sse01_released": Metric("sum of squares over known values, saved in half precision", 3),
}
"""Style of each metric of this project that tables can show, by the name of the metric.

The results also contain other metrics. A configuration can add metrics; see `styles_of`.
"""
ON_REQUEST = ("fd_dinov2", "cmmd", "cmmd_unbiased", "dists", "dists_known", *DIAGNOSES)
"""Metrics of measures that no table uses by default. A table shows those that its run measured."""
Styles = Mapping[str, Metric]


def styles_of(measures: Mapping[str, Any]) -> dict[str, Metric]:
    """Return the styles of all metrics that a run's tables can show. The keys are the names of the metrics.

    These are the metrics of `METRICS` and the metrics that the configuration of a measure defines.

    Args:
        measures: value of `metrics.measures`, as plain data.

    Raises:
        BadInputError: a metric of the configuration has an invalid name, or a name that is already in use.
    """
    styles = dict(METRICS)
    for name, measure in measures.items():
        for metric, style in measure["metrics"].items():
            key = f"metrics.measures.{name}.metrics"
            if metric in styles:
                raise BadInputError(f"{key}: expected a name that no other metric has, found {metric}")
            if not (metric and metric.isprintable()) or MetricName.parse(metric).metric != metric:
                raise BadInputError(
                    f"{key}: expected a printable name without an ending such as _hole_only or _40_50, which stand for "
                    f"variants and mask areas, found {metric or 'an empty name'}"
                )
            styles[metric] = Metric(**style)
    return styles


def style_of(metric: str, styles: Styles = METRICS) -> Metric | None:
    """Return the style of a metric; None if the metric is unknown.

    Args:
        metric: full name of the metric. If it ends with a variant or a bin of mask area, the title of the returned
            style ends with a description of this variant or bin.
        styles: styles by the name of the metric without such an ending.
    """
    name = MetricName.parse(metric)
    if name.metric not in styles:
        return None
    style = styles[name.metric]
    extra = f", {name.variant.replace('_', ' ')}" if name.variant else ""
    if name.bin is not None:
        extra += f", {name.bin[0]}–{name.bin[1]} % masked"
    return replace(style, title=f"{style.title}{extra}")


def bins_of(metrics: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return the bins of mask area that the names of metrics contain, each once.

    Each bin is a lower and an upper bound in percent of the image's area, such as (40, 50) for `fid_40_50`.
    """
    found = (MetricName.parse(metric).bin for metric in metrics)
    return tuple(dict.fromkeys(area for area in found if area is not None))


@dataclass(frozen=True)
class Column:
    metric: str
    title: str
    """Heading of the column. It contains the name of the feature network and the unit, if the metric has them."""
    published_title: str
    """Heading of the paper's printed numbers of this metric; empty if the paper's table does not have the metric."""
    format: Metric


@dataclass(frozen=True)
class TableRow:
    key: str
    label: str
    in_paper: bool
    training: str
    """Length of the decoder's training, in words; empty if it is not known."""
    origin: str
    """Origin of the row's images.

    It is `native` if this project's code made the images, `predictions` if they were read from a folder, and `external`
    if another program made them. It is `published` if the row was not measured.
    """
    measured: Mapping[str, Measurement]
    """Measurements by metric; empty for a row that has only published numbers."""
    published: Mapping[str, float]
    cited: bool = False
    """Whether the authors of the paper copied the printed numbers of this row from another publication."""
    beside: bool = False
    """Whether the row is shown only in a separate table below the main table."""


@dataclass(frozen=True)
class Table:
    number: int | None
    """Number that the table has in the paper; None for a table that the paper does not have."""
    title: str
    profile: str
    columns: tuple[Column, ...]
    """Columns of the main table in which each row is compared with the reference row."""
    rows: tuple[TableRow, ...]
    reference: str
    """Label of the reference row; empty if the table has none."""
    notes: tuple[str, ...]
    """Notes below the table, the most important first."""
    beside: tuple[str, ...] = ()
    """Metrics that are shown only in a separate table below the main table."""
    claims: tuple[Verdict, ...] = ()
    effects: Mapping[str, Sequence[Effect]] = field(default_factory=dict)
    """Effects of the branch, the size and the training of a decoder, by the metric on which they were measured."""
    best: Mapping[str, str] = field(default_factory=dict)
    """For the name of a metric, the key of the row that is significantly better than all others; see `best_rows`."""
    styles: Styles = field(default_factory=lambda: METRICS)
    """Style of each metric, by its name without the ending of a variant or a bin, such as `fid` for `fid_40_50`."""
    readings: tuple[Column, ...] = ()
    """Further columns of the main table, to the right of `columns`; rows are not compared in them."""
    published_units: Mapping[str, str] = field(default_factory=dict)
    """Explanation of the paper's printed numbers, by metric. Metrics that need no explanation are left out."""
    custom: tuple[str, ...] = ()
    """Overrides that change the paper's table."""
    pairs: tuple[PairDifference, ...] = ()
    """Differences between each two measured rows of the main table, by each metric of `columns`."""

    @property
    def caption(self) -> str:
        """Title of the table. For a table of the paper, the table's number and the run's profile precede the title."""
        return self.title if self.number is None else f"Table {self.number}, profile {self.profile}: {self.title}"

    def is_foreign(self, row: TableRow) -> bool:
        """Return True if this is one of the paper's tables, but the row is not in the table that the paper prints."""
        return self.number is not None and not row.in_paper

    @property
    def shown(self) -> tuple[Column, ...]:
        """All columns of the main table: first `columns`, in which rows are compared, and then `readings`."""
        return self.columns + self.readings


def check_table(spec: TableSpec, rows: Mapping[str, Row], styles: Styles = METRICS) -> None:
    """Check that a table can be built. A run calls this first, so that a mistake is found before any work is done.

    Args:
        spec: number, columns and figures of the table.
        rows: rows of the table, by key.
        styles: styles of the metrics that the table may show.

    Raises:
        BadInputError: no row is measured, a column is not a metric that tables can show, a figure is of an unknown
            kind, or a row names a label that the paper's table does not have.
    """
    if not any(row.method is not None for row in rows.values()):
        raise BadInputError("row: expected at least one row that is measured, found no such row")
    for metric in (*spec.columns, *spec.readings, *spec.beside):
        if style_of(metric, styles) is None:
            raise BadInputError(
                f"table.columns, table.readings, table.beside: expected names from this list: {', '.join(styles)}; "
                f"found {metric}"
            )
    for name, figure in spec.figures.items():
        if figure.kind not in FIGURES:
            raise BadInputError(f"table.figures.{name}.kind: expected one of {', '.join(FIGURES)}, found {figure.kind}")
    printed = published(spec.number)
    for key, row in rows.items():
        label = row.published.get(spec.number)
        if label is not None and label not in printed:
            unknown = f"no label, because the paper's numbers for Table {spec.number} are not known"
            known = f"one of {', '.join(printed)}" if printed else unknown
            raise BadInputError(f"rows.{key}.published.{spec.number}: expected {known}, found {label}")


def rows_compared(spec: TableSpec, rows: Mapping[str, Row]) -> TableRows:
    """Return the keys of a table's rows, grouped by the role that each row has in comparisons."""
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
    """Return the label of a row in a table.

    This is the label that the paper prints in this table, or `row.label` if the paper's table does not have the row.
    """
    return row.published.get(spec.number, row.label)


@dataclass(frozen=True)
class TableDesign:
    """The design of a run's table: which rows and columns it has, and how they are printed."""

    spec: TableSpec
    """Number, title and columns of the table; `check_table` has accepted them."""
    rows: Mapping[str, Row]
    """Rows by their keys, in the order of the table."""
    profile: str
    """Name of the run's profile."""
    features: str
    """Name of the feature network."""
    custom: tuple[str, ...] = ()
    """Overrides that change the paper's table."""
    styles: Styles = field(default_factory=lambda: METRICS)
    """Style of each metric, by name.

    A metric that a configuration adds is shown in a separate table, unless it is one of the columns in `spec`.
    """
    reading: Reading = TRUNCATED
    """Names of the metrics that serve as the error over known pixels in this run.

    The paper's printed numbers of this error are shown in the column of `reading.total`.
    """

    @property
    def profile_shown(self) -> str:
        """Name of the profile. If overrides change the paper's table, they follow the name in parentheses."""
        is_changed = self.custom and self.spec.number
        return f"{self.profile}, custom ({', '.join(self.custom)})" if is_changed else self.profile


@dataclass(frozen=True)
class Findings:
    """The conclusions that were drawn from the numbers of a table: verdicts, effects and best rows."""

    claims: Sequence[Verdict] = ()
    """Verdicts on the statements about the table."""
    effects: Mapping[str, Sequence[Effect]] = field(default_factory=dict)
    """Effects of the branch, the size and the training of a decoder, by the metric on which they were measured."""
    best: Mapping[str, str] = field(default_factory=dict)
    """For the name of a metric, the key of the row that is significantly better than all others; see `best_rows`."""
    pairs: Sequence[PairDifference] = ()
    """Differences between each two measured rows of the main table."""


def build_table(
    design: TableDesign,
    measured: Mapping[str, Mapping[str, Measurement]],
    *,
    training: Mapping[str, str],
    origins: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    findings: Findings | None = None,
) -> Table:
    """Build the typed table from the measurements and the paper's printed numbers.

    Args:
        design: rows, columns and styles of the table.
        measured: measurements. The first key is the key of the row, and the second key is the metric.
        training: for the key of a row, the length of its decoder's training, in words. Rows without an entry have no
            decoder, or a training of unknown length.
        origins: for the key of a measured row, the origin of its images; see `TableRow.origin`. Images of rows without
            an origin count as made by this project's code.
        notes: notes below the table, the most important first.
        findings: verdicts, effects and best rows; None for a table that shows none of these.
    """
    spec, rows, styles, reading = design.spec, design.rows, design.styles, design.reading
    found = findings or Findings()
    printed = {
        label: {reading.named(metric): value for metric, value in values.items()}
        for label, values in published(spec.number).items()
    }
    there = dict.fromkeys(metric for values in published(spec.number).values() for metric in values)
    explained = {reading.named(metric): words for metric in there if (words := printed_as(spec.number, metric))}
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
    titles |= {metric: f"{words.title} ({words.words()})" for metric, words in explained.items()}
    columns, readings = (
        tuple(_column(metric, design.features, titles, styles) for metric in metrics)
        for metrics in (spec.columns, spec.readings)
    )
    reference = label_of(rows[spec.reference], spec) if spec.reference and spec.reference in measured else ""
    return Table(
        spec.number or None,
        spec.title,
        design.profile_shown,
        columns,
        lines,
        reference,
        tuple(notes),
        tuple(dict.fromkeys([*spec.beside, *_further(spec, styles, measured)])),
        tuple(found.claims),
        found.effects,
        found.best,
        styles,
        readings,
        {metric: words.words() for metric, words in explained.items()},
        design.custom,
        tuple(found.pairs),
    )


def best_rows(spec: TableSpec, comparisons: Comparisons, styles: Styles = METRICS) -> dict[str, str]:
    """Return the key of the best row for each metric. The keys of the result are the names of the metrics.

    The metrics are those in `spec.columns` and `spec.readings`, and the variant `hole_only` of each. A row is the best
    one if it is significantly better than every other measured row of the main table. A metric without such a row is
    left out, and so is a metric of which neither a higher nor a lower value is better. Rows whose images were made by
    another program are candidates as well, because the run measures all rows on the same items with the same protocol.
    Printed numbers, and rows of a separate table, are not candidates.

    Args:
        spec: specification of the table.
        comparisons: paired differences between the rows, with adjusted p-values.
        styles: style of each metric, by name.
    """
    found, shown = {}, (*spec.columns, *spec.readings)
    for metric in (name for column in shown for name in (column, f"{column}_{HOLE_ONLY}")):
        style = style_of(metric, styles)  # None for a column with a bin, which is not measured with this variant
        if style is None or style.zero_is_best:
            continue
        if best := comparisons.best(metric, higher_is_better=style.higher_is_better):
            found[metric] = best
    return found


def _further(spec: TableSpec, styles: Styles, measured: Mapping[str, Mapping[str, Measurement]]) -> Iterator[str]:
    """Yield metrics to show below a table in addition to those of `spec.beside`.

    These are the measured metrics of `ON_REQUEST`, and the metrics that a configuration defines. Columns are left out.
    """
    there = {metric for found in measured.values() for metric in found}
    for name in styles:
        if name not in spec.columns and (name in there if name in ON_REQUEST else name not in METRICS):
            yield name


def _column(metric: str, features: str, printed: Mapping[str, str], styles: Styles) -> Column:
    """Return the column of a metric.

    Args:
        metric: full name of the metric.
        features: name of the feature network.
        printed: heading of the paper's printed numbers, for each metric that the paper's table has. If the heading is
            empty, the title of the metric is used.
        styles: style of each metric, by name.
    """
    style = style_of(metric, styles)
    assert style is not None  # `check_table` has checked it
    return Column(metric, style.heading(features), (printed[metric] or style.title) if metric in printed else "", style)
