"""The typed table: the paper's rows and columns, measured values beside the published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.config import Row, TableSpec
from bench.errors import BadInputError
from bench.metrics.summary import Measurement

__all__ = ["METRICS", "Column", "Metric", "Table", "TableRow", "build_table", "check_table"]

PUBLISHED = Path(__file__).with_name("published.yaml")


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


METRICS = {
    "fid": Metric("FID", 2, on_features=True),
    "kid": Metric("KID", 3, on_features=True),
    "lpips": Metric("LPIPS", 4, on_features=True),
    "pre_error": Metric("Pre_error", 2, "1e-5", 1e5),
    "pre_error_rounded": Metric("Pre_error, rounded", 2, "1e-5", 1e5),
    "pre_error_float": Metric("Pre_error, float", 2, "1e-5", 1e5),
    "pre_error_ring": Metric("Pre_error, ring", 2, "1e-5", 1e5),
    "pre_error_interior": Metric("Pre_error, interior", 2, "1e-5", 1e5),
    "pre_sse01": Metric("sum of squares over known values", 3),
}
"""Metrics that a table shows; the results hold others besides."""


@dataclass(frozen=True)
class Column:
    metric: str
    title: str
    """With the feature network's name and the unit, where it has them."""
    published_title: str
    format: Metric


@dataclass(frozen=True)
class TableRow:
    key: str
    label: str
    in_paper: bool
    training: str
    """How long it was trained, in words."""
    measured: Mapping[str, Measurement]
    published: Mapping[str, float]


@dataclass(frozen=True)
class Table:
    number: int
    title: str
    profile: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    reference: str
    """Label of the row with which the others are compared; empty where there is none."""
    notes: tuple[str, ...]
    """What a reader must know, in the order of its weight."""


def check_table(spec: TableSpec, rows: Mapping[str, Row]) -> None:
    """See before any work that a table can be built.

    Raises:
        BadInputError: there is no row, a column is no metric of tables, or the paper has no row of a published label.
    """
    if not rows:
        raise BadInputError("row: expected a list of at least one row, found none")
    for metric in spec.columns:
        if metric not in METRICS:
            raise BadInputError(f"table.columns: expected some of {', '.join(METRICS)}, found {metric}")
    printed = _published(spec.number)
    for key, row in rows.items():
        if row.published is not None and row.published not in printed:
            known = ", ".join(printed) or f"null, as the paper's Table {spec.number} is not known"
            raise BadInputError(f"rows.{key}.published: expected one of {known}, found {row.published}")


def build_table(
    spec: TableSpec,
    rows: Mapping[str, Row],
    measured: Mapping[str, Mapping[str, Measurement]],
    *,
    profile: str,
    features: str,
    training: Mapping[str, str],
    notes: Sequence[str],
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
    """
    printed = _published(spec.number)
    lines = tuple(
        TableRow(
            key,
            row.label,
            row.published is not None,
            training[key],
            measured[key],
            printed[row.published] if row.published is not None else {},
        )
        for key, row in rows.items()
    )
    columns = tuple(_column(metric, features) for metric in spec.columns)
    reference = next((row.label for row in rows.values() if row.reference), "")
    return Table(spec.number, spec.title, profile, columns, lines, reference, tuple(notes))


def _column(metric: str, features: str) -> Column:
    style = METRICS[metric]
    unit = f" [{style.unit}]" if style.unit else ""
    network = f" ({features} features)" if style.on_features else ""
    printed = f" (as printed, {style.unit})" if style.unit else ""
    return Column(metric, f"{style.title}{network}{unit}", f"{style.title}{printed}", style)


def _published(number: int) -> dict[str, dict[str, float]]:
    tables = yaml.safe_load(PUBLISHED.read_text())
    table = tables.get(f"table{number}", {"columns": [], "rows": {}})
    return {
        label: {name: value for name, value in zip(table["columns"], values, strict=True) if value is not None}
        for label, values in table["rows"].items()
    }
