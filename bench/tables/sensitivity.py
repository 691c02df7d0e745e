"""The typed table of a sensitivity: every choice's numbers, and their differences from the table's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from bench.config.schema import Choice
from bench.metrics.names import MetricName
from bench.metrics.scores import Scored
from bench.metrics.summary import Found, Measurement, Summary
from bench.metrics.uncertainty import Chosen, Difference, Estimate, paired_difference
from bench.runtime.not_available import NotAvailable
from bench.tables.build import METRICS, Styles, TableDesign

__all__ = [
    "DEFAULT",
    "Line",
    "SensitivityTable",
    "build_sensitivity",
    "counterpart",
    "difference",
    "needed",
    "restricted",
    "rule_of",
]

DEFAULT = "as the paper's tables"
"""Name of the first line of each row."""


@dataclass(frozen=True)
class Line:
    """One row of the table, measured with one choice."""

    row: str
    label: str
    """Label of the row."""
    choice: str
    """Name of the choice; empty for the table's own protocol."""
    how: str
    """Description of the choice."""
    against: str
    """Choice with which this one is compared; empty for the table's own protocol."""
    names: Mapping[str, str]
    """Metric in each column, without columns that the choice does not affect."""
    rule: str
    """Rule for mask areas on an edge."""
    measured: Mapping[str, Measurement]
    """Measurement in each column; its `difference` is that from `against`."""
    unknown: Mapping[str, str]
    """Reason why a column has no difference, by column."""
    to_reference: Mapping[str, Difference | NotAvailable]
    """Value of this row minus that of the reference row in each column, both with this choice; empty for the
    reference row."""


@dataclass(frozen=True)
class SensitivityTable:
    title: str
    profile: str
    features: str
    """Name of the feature networks."""
    columns: tuple[str, ...]
    """Metrics of the main table."""
    beside: tuple[str, ...]
    """Metrics of the separate table."""
    lines: tuple[Line, ...]
    """Lines of each row, the table's own protocol first."""
    reference: str
    """Label of the row with which the others are compared; empty if there is none."""
    notes: tuple[str, ...]
    styles: Styles = field(default_factory=lambda: METRICS)
    """Styles in which metrics are printed."""


def rule_of(choice: Choice | None) -> str:
    """Return the rule of the bins under a choice, or that of the paper's tables for None."""
    return (choice.bins if choice else None) or "offline"


def counterpart(metric: str, choice: Choice) -> str | None:
    """Return the metric that replaces another under a choice; None if the choice does not affect the metric."""
    name = MetricName.parse(metric)
    chosen = replace(
        name,
        metric=choice.metrics.get(name.metric, name.metric),
        variant="_".join(part for part in (name.variant, choice.saved and f"saved_{choice.saved}") if part),
    )
    items_change = name.bin is not None and rule_of(choice) != rule_of(None)
    return str(chosen) if items_change or chosen != name else None


def needed(columns: Sequence[str], choices: Mapping[str, Choice]) -> dict[str, list[str]]:
    """Return, for each rule of the bins, the names of all metrics that a table shows, each once."""
    found = {rule_of(None): dict.fromkeys(columns)}
    for choice in choices.values():
        names = (counterpart(metric, choice) for metric in columns)
        found.setdefault(rule_of(choice), {}).update({name: None for name in names if name is not None})
    return {rule: list(names) for rule, names in found.items()}


def restricted(scored: Scored, metrics: Collection[str]) -> Scored:
    """Return the measured values without those that none of these metrics uses."""
    names = [MetricName.parse(metric) for metric in metrics]
    sets = {name.metric: scored.sets[name.metric] for name in names if name.metric in scored.sets}
    arrays = {name.array(sets) for name in names}
    rows = {
        row: {name: values for name, values in found.items() if name in arrays} for row, found in scored.rows.items()
    }
    return replace(scored, rows=rows, sets=sets)


def build_sensitivity(
    design: TableDesign,
    labels: Mapping[str, str],
    choices: Mapping[str, Choice],
    summaries: Mapping[str, Summary],
    *,
    notes: Sequence[str],
) -> SensitivityTable:
    """Build the table with a line for every row and every choice.

    Args:
        design: title, columns, reference and styles of the table.
        labels: labels of the measured rows, in order.
        choices: choices by name, in order.
        summaries: measured values by the rule of the bins, with all metrics that `needed` returns.
        notes: notes below the table.
    """
    spec = design.spec
    reference = spec.reference if spec.reference in labels else None
    columns = [*spec.columns, *spec.beside]
    lines = [
        _line(row, label, name, choices, columns, summaries, reference)
        for row, label in labels.items()
        for name in ("", *choices)
    ]
    return SensitivityTable(
        spec.title,
        design.profile_shown,
        design.features,
        tuple(spec.columns),
        tuple(spec.beside),
        tuple(lines),
        labels[reference] if reference is not None else "",
        tuple(notes),
        design.styles,
    )


def _line(
    row: str,
    label: str,
    name: str,
    choices: Mapping[str, Choice],
    columns: Sequence[str],
    summaries: Mapping[str, Summary],
    reference: str | None,
) -> Line:
    choice = choices.get(name)
    base = choices.get(choice.against) if choice and choice.against else None
    summary, other_summary = summaries[rule_of(choice)], summaries[rule_of(base)]
    names = {metric: counterpart(metric, choice) if choice else metric for metric in columns}
    touched = {metric: other for metric, other in names.items() if other is not None}
    measured, unknown = {}, {}
    for metric, other in touched.items():
        measured[metric] = summary.measurement(row, other)
        if choice is None:
            continue
        compared = (counterpart(metric, base) if base else None) or metric
        moved = difference(summary.found(row, other), other_summary.found(row, compared), summary.scored.sources)
        if isinstance(moved, NotAvailable):
            unknown[metric] = moved.reason
        else:
            measured[metric] = replace(measured[metric], difference=moved)
    apart = touched if reference is not None and row != reference else {}
    return Line(
        row,
        label,
        name,
        choice.label if choice else DEFAULT,
        (choice.against if choice else None) or "",
        touched,
        rule_of(choice),
        measured,
        unknown,
        {metric: summary.difference(row, str(reference), other) for metric, other in apart.items()},
    )


def difference(new: Found, old: Found, sources: Sequence[str]) -> Difference | NotAvailable:
    """Return one estimate minus another of the same row, paired by item, even if their items differ.

    An item that one estimate does not use has no influence on it.

    Args:
        new: estimate with its items, or the reason why there is none.
        old: estimate that is subtracted, with its items, or the reason why there is none.
        sources: source of each item of the run.
    """
    if isinstance(new, NotAvailable):
        return new
    if isinstance(old, NotAvailable):
        return old
    either = new[1] | old[1]
    chosen = [source for source, used in zip(sources, either, strict=True) if used]
    return paired_difference(_over(*new, either), _over(*old, either), chosen)


def _over(estimate: Estimate, there: Chosen, either: Chosen) -> Estimate:
    """Return an estimate with influences on more items, which are 0 for the added items."""
    inside = there[either]
    if inside.all():
        return estimate
    factor = len(inside) / inside.sum()

    def spread(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        whole = np.zeros(len(inside))
        whole[inside] = values * factor
        return whole

    change = None if estimate.change is None else spread(estimate.change)
    return replace(estimate, influence=spread(estimate.influence), change=change)
