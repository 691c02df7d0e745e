"""The typed table of a sensitivity: every choice's numbers, and how far they lie from the table's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from bench.metrics.summary import NAME, Found, Measurement, Scored, Summary
from bench.metrics.uncertainty import Chosen, Difference, Estimate, paired_difference
from bench.schema import Choice, TableSpec
from bench.tables.build import METRICS, Styles

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
"""What the first line of each row is called."""


@dataclass(frozen=True)
class Line:
    """One row of the table, measured in one way."""

    row: str
    label: str
    """Of the row."""
    choice: str
    """Its name; empty for the table's own protocol."""
    how: str
    """The choice in words."""
    against: str
    """The choice that it is compared with; empty for the table's own protocol."""
    names: Mapping[str, str]
    """By column, the metric that stands in it; without those that the choice does not touch."""
    rule: str
    """For mask areas on an edge."""
    measured: Mapping[str, Measurement]
    """By column; its `difference` is that to `against`."""
    unknown: Mapping[str, str]
    """By column, why there is no difference."""
    to_reference: Mapping[str, Difference | str]
    """By column, this row minus the reference row, both measured in this way; empty for the reference."""


@dataclass(frozen=True)
class SensitivityTable:
    title: str
    profile: str
    features: str
    """Name of the feature networks."""
    columns: tuple[str, ...]
    """Metrics of the table proper."""
    beside: tuple[str, ...]
    """Further ones."""
    lines: tuple[Line, ...]
    """By row, the table's own protocol first."""
    reference: str
    """Label of the row with which the others are compared; empty where there is none."""
    notes: tuple[str, ...]
    styles: Styles = field(default_factory=lambda: METRICS)
    """How metrics are printed."""


def rule_of(choice: Choice | None) -> str:
    """The bins' rule under a choice, or of the paper's tables."""
    return (choice.bins if choice else None) or "offline"


def counterpart(metric: str, choice: Choice) -> str | None:
    """The metric that takes the place of another under a choice; None where the choice does not touch it."""
    named = NAME.fullmatch(metric)
    assert named is not None  # `check_table` saw it
    name = choice.metrics.get(named["metric"], named["metric"]) + (named["variant"] or "")
    if choice.saved is not None:
        name += f"_saved_{choice.saved}"
    if named["low"] is not None:
        name += f"_{named['low']}_{named['high']}"
    moved = named["low"] is not None and rule_of(choice) != rule_of(None)
    return name if moved or name != metric else None


def needed(columns: Sequence[str], choices: Mapping[str, Choice]) -> dict[str, list[str]]:
    """By the bins' rule, names of all metrics that a table shows, each once."""
    found = {rule_of(None): dict.fromkeys(columns)}
    for choice in choices.values():
        names = (counterpart(metric, choice) for metric in columns)
        found.setdefault(rule_of(choice), {}).update({name: None for name in names if name is not None})
    return {rule: list(names) for rule, names in found.items()}


def restricted(scored: Scored, metrics: Collection[str]) -> Scored:
    """What was measured, without what no number of these metrics is made of."""
    parts = [named for metric in metrics if (named := NAME.fullmatch(metric)) is not None]
    sets = {named["metric"]: scored.sets[named["metric"]] for named in parts if named["metric"] in scored.sets}
    arrays = {f"{sets.get(named['metric'], named['metric'])}{named['variant'] or ''}" for named in parts}
    rows = {
        row: {name: values for name, values in found.items() if name in arrays} for row, found in scored.rows.items()
    }
    return replace(scored, rows=rows, sets=sets)


def build_sensitivity(
    spec: TableSpec,
    labels: Mapping[str, str],
    choices: Mapping[str, Choice],
    summaries: Mapping[str, Summary],
    *,
    profile: str,
    features: str,
    notes: Sequence[str],
    styles: Styles = METRICS,
) -> SensitivityTable:
    """Measure every row in every way.

    Args:
        spec: title, columns and reference.
        labels: of the measured rows, in order.
        choices: by name, in order.
        summaries: by the bins' rule, with all that `needed` names.
        profile: the run's profile, and what the run changes of it.
        features: the feature networks' name.
        notes: for below the table.
        styles: how metrics are printed.
    """
    reference = spec.reference if spec.reference in labels else None
    columns = [*spec.columns, *spec.beside]
    lines = [
        _line(row, label, name, choices, columns, summaries, reference)
        for row, label in labels.items()
        for name in ("", *choices)
    ]
    return SensitivityTable(
        spec.title,
        profile,
        features,
        tuple(spec.columns),
        tuple(spec.beside),
        tuple(lines),
        labels[reference] if reference is not None else "",
        tuple(notes),
        styles,
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
        if isinstance(moved, str):
            unknown[metric] = moved
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


def difference(new: Found, old: Found, sources: Sequence[str]) -> Difference | str:
    """One estimate minus another of the same row, paired by item, also where they do not rest on quite the same items.

    An item that one of them leaves out has no influence on that one. `sources` are those of all items.
    """
    if isinstance(new, str):
        return new
    if isinstance(old, str):
        return old
    either = new[1] | old[1]
    chosen = [source for source, used in zip(sources, either, strict=True) if used]
    return paired_difference(_over(*new, either), _over(*old, either), chosen)


def _over(estimate: Estimate, there: Chosen, either: Chosen) -> Estimate:
    """An estimate on some of the items as one on more of them."""
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
