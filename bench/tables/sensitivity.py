"""The table of a sensitivity study. Such a study measures the same images several times.

A choice is one change in how the images are measured, such as another file format in which they are saved first. The
table shows the usual numbers, which are measured without any choice, and the numbers with each choice. It also shows
the difference of each choice's numbers from the usual numbers. If `Line.against` names another choice, the difference
from that choice's numbers is shown instead.
"""

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
    "USUAL",
    "Line",
    "SensitivityTable",
    "View",
    "build_sensitivity",
    "counterpart",
    "difference",
    "needed",
    "restricted",
    "view_of",
]

DEFAULT = "as the paper's tables"
"""Name of the usual way to measure, without any choice, in the first line of each row."""


@dataclass(frozen=True)
class View:
    """The items, the bins and the reference set from which numbers are computed."""

    rule: str = "offline"
    """Rule that decides to which bin an item belongs if its mask area lies on the edge of a bin."""
    share: float = 1.0
    """Share of the items that are measured."""
    reference: str = ""
    """Name of the choice whose reference set is used; empty for the true images of the items."""

    def __str__(self) -> str:
        """Return the differences from `USUAL` as text, such as `online bins`; empty for `USUAL`."""
        found = {
            f"{self.rule} bins": self.rule != USUAL.rule,
            f"{self.share:.0%} of the items": self.share != USUAL.share,
            f"reference {self.reference}": self.reference != USUAL.reference,
        }
        return ", ".join(text for text, differs in found.items() if differs)


USUAL = View()
"""The view of the paper's tables."""


@dataclass(frozen=True)
class Line:
    """One line of the sensitivity table: one row, measured with one choice or without any.

    A choice is a change in how the images are measured.
    """

    row: str
    label: str
    """Label of the row."""
    choice: str
    """Name of the choice; empty for the line that is measured without any choice."""
    how: str
    """Description of the choice, as the table shows it."""
    against: str
    """Name of the choice with which this choice is compared; empty to compare with the line without a choice."""
    names: Mapping[str, str]
    """Name of the metric that is measured for each column. Columns that the choice does not affect are left out."""
    view: View
    measured: Mapping[str, Measurement]
    """Measurement by column. Its `difference` is the value of this line minus the value with the choice `against`."""
    unknown: Mapping[str, str]
    """Reason why there is no difference from the choice `against`, by column."""
    to_reference: Mapping[str, Difference | NotAvailable]
    """Value of this row minus the value of the reference row, by column; both are measured with this choice.

    The mapping is empty for the reference row itself.
    """


@dataclass(frozen=True)
class SensitivityTable:
    title: str
    profile: str
    features: str
    """Name of the feature networks."""
    columns: tuple[str, ...]
    """Metrics of the main table."""
    beside: tuple[str, ...]
    """Metrics that are shown only in a separate table below the main table."""
    lines: tuple[Line, ...]
    """Lines in the order of the rows. For each row, the line without a choice comes first."""
    reference: str
    """Label of the reference row; empty if there is none."""
    notes: tuple[str, ...]
    styles: Styles = field(default_factory=lambda: METRICS)
    """Style of each metric, by its name without the ending of a variant or a bin, such as `fid` for `fid_40_50`."""


def view_of(name: str, choices: Mapping[str, Choice]) -> View:
    """Return the items, the bins and the reference set of a choice, which is a change in how the images are measured.

    Args:
        name: name of the choice. If it is empty, the result is `USUAL`.
        choices: choices of the study. The keys are their names.
    """
    choice = choices.get(name)
    if choice is None:
        return USUAL
    return View(choice.bins or USUAL.rule, choice.items or USUAL.share, name if choice.reference else "")


def counterpart(metric: str, choice: Choice) -> str | None:
    """Return the full name of the metric that the study measures in place of `metric` with a choice.

    If the choice changes only the measured items or the reference set of the metric, the result is `metric` itself. If
    the choice does not affect the metric at all, the result is None.

    Args:
        metric: full name of a metric.
        choice: change in how the images are measured.
    """
    name = MetricName.parse(metric)
    chosen = replace(
        name,
        metric=choice.metrics.get(name.metric, name.metric),
        variant="_".join(part for part in (name.variant, choice.saved and f"saved_{choice.saved}") if part),
    )
    items_change = choice.items is not None or (name.bin is not None and choice.bins not in (None, USUAL.rule))
    reference_changes = choice.reference is not None and name.statistic in ("fid", "fd", "kid")
    return str(chosen) if items_change or reference_changes or chosen != name else None


def needed(columns: Sequence[str], choices: Mapping[str, Choice]) -> dict[View, list[str]]:
    """Return the full names of all metrics that must be measured. The keys are the views.

    A view states the items, the bins and the reference set from which its metrics are computed.

    Args:
        columns: metrics in the columns of the table.
        choices: choices of the study. The keys are their names.
    """
    found = {USUAL: dict.fromkeys(columns)}
    for choice_name, choice in choices.items():
        names = (counterpart(metric, choice) for metric in columns)
        view = view_of(choice_name, choices)
        found.setdefault(view, {}).update({name: None for name in names if name is not None})
    return {view: list(names) for view, names in found.items()}


def restricted(scored: Scored, metrics: Collection[str]) -> Scored:
    """Return a copy of `scored` that contains only the arrays that `metrics` use.

    Args:
        scored: measured values of a run.
        metrics: full names of the metrics whose arrays are kept.
    """
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
    summaries: Mapping[View, Summary],
    *,
    notes: Sequence[str],
) -> SensitivityTable:
    """Build the table. Each row has one line without a choice, and one further line for each choice.

    A choice is a change in how the images are measured.

    Args:
        design: title, columns, reference row and styles of the table.
        labels: labels of the measured rows, in the order of the table. The keys are the keys of the rows.
        choices: choices of the study, in the order of the table. The keys are their names.
        summaries: measured values, by the view with which they were measured. For each view, the values must include
            all metrics that `needed` returns.
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
    summaries: Mapping[View, Summary],
    reference: str | None,
) -> Line:
    choice = choices.get(name)
    against = (choice.against if choice else None) or ""
    base, view = choices.get(against), view_of(name, choices)
    summary, other_summary = summaries[view], summaries[view_of(against, choices)]
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
        against,
        touched,
        view,
        measured,
        unknown,
        {metric: summary.difference(row, str(reference), other) for metric, other in apart.items()},
    )


def difference(new: Found, old: Found, sources: Sequence[str]) -> Difference | NotAvailable:
    """Return one estimate of a row minus another estimate of the same row, paired by item.

    The two estimates may use different items. An item that one estimate does not use has the influence 0 on this
    estimate.

    Args:
        new: estimate with the items that it uses, or the reason why there is no estimate.
        old: estimate that is subtracted, with the items that it uses, or the reason why there is no estimate.
        sources: source of each item of the run, in the manifest's order.
    """
    if isinstance(new, NotAvailable):
        return new
    if isinstance(old, NotAvailable):
        return old
    either = new[1] | old[1]
    chosen = [source for source, used in zip(sources, either, strict=True) if used]
    return paired_difference(_over(*new, either), _over(*old, either), chosen)


def _over(estimate: Estimate, there: Chosen, either: Chosen) -> Estimate:
    """Return a copy of an estimate to which influences of further items are added.

    The influence of each added item is 0. The influences that the estimate already has are multiplied by the new number
    of items divided by the old number.

    Args:
        estimate: estimate with one influence for each item in `there`.
        there: for each item of the run, whether the estimate uses it.
        either: for each item of the run, whether the result has an influence for it. It includes all items of `there`.
    """
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
