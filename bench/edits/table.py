"""Makes the tables of a scoring: one for the page and the files, and compact ones for a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import pandas

from bench.edits.checks import Check
from bench.edits.measures import Measures
from bench.edits.pairing import Pairs
from bench.metrics.legibility import counted
from bench.metrics.summary import Measurement, Summary
from bench.metrics.uncertainty import FEWEST_EFFECTIVE, Difference, holm
from bench.runtime.not_available import NotAvailable
from bench.tables.build import DIAGNOSES, METRICS, NATIVE, Column, Table, TableRow, style_of
from bench.tables.comparisons import Comparisons, TableRows
from bench.tables.render import few_sources_note, measured_shown

__all__ = ["PROFILE", "compact_table", "differences_of", "missing_values", "numbers_of", "score_table"]

PROFILE = "score"
"""Name that stands in the place of a profile's name in the files of a scoring."""
COLUMNS = (
    "pre_error", "psnr", "ssim", "lpips", "dists", "perceptual_efficientnet", "text_accuracy_outside",
    "text_ned_outside", "text_accuracy_crossing", "text_ned_crossing", "clip_score", "clip_prompt", "fid", "kid",
    "inception_score", "fd_dinov2", "cmmd", "fd_efficientnet", "kid_efficientnet",
)  # fmt: skip
"""Metrics of the main table, in this order. Metrics of unused measures, of missing networks and of too few
pictures are left out."""
BESIDE = ("pre_sse01", "pre_error_rounded", "pre_error_float", "pre_error_ring", "pre_error_interior", "ssim_known",
          "dists_known", "cmmd_unbiased", "border_step", "border_excess", *DIAGNOSES)  # fmt: skip
"""Metrics that are shown below the main table, as far as they are measured."""


def score_table(
    pairs: Pairs, summary: Summary, measures: Measures, checks: Sequence[Check], reference: str | None
) -> Table:
    """Return the table of a scoring, with a row for each editor.

    Args:
        pairs: paired pictures.
        summary: estimates of the metrics.
        measures: measures of the scoring.
        checks: findings of the checks.
        reference: editor with which every other editor is compared; None for no comparison.
    """
    editors = tuple(summary.scored.rows)
    known = reference if reference in editors else None
    comparisons = Comparisons(summary, TableRows(known, editors, competing=editors))
    measured = _with_reasons(pairs, comparisons.table(), measures)
    there = {metric for cells in measured.values() for metric in cells}
    styles = measures.styles
    few = [metric for metric, least in measures.minimums.items() if len(pairs) < least]
    without = dict.fromkeys((*few, *measures.lacking))
    columns = [metric for metric in COLUMNS if metric in there and metric not in without]
    best = {
        metric: row
        for metric in columns
        if not styles[metric].zero_is_best
        and (row := comparisons.best(metric, higher_is_better=styles[metric].higher_is_better)) is not None
    }
    further = [metric for metric in styles if metric not in METRICS and metric not in columns]
    text = next((said for values in summary.scored.rows.values() if (said := counted(values))), None)
    table = Table(
        number=None,
        title=_title(pairs),
        profile=PROFILE,
        columns=tuple(
            Column(metric, styles[metric].heading(measures.features), "", styles[metric]) for metric in columns
        ),
        rows=tuple(TableRow(editor, editor, False, "", NATIVE, cells, {}) for editor, cells in measured.items()),
        reference=known or "",
        notes=(*([] if text is None else [text]), *_notes(pairs, measures, measured)),
        beside=tuple(metric for metric in dict.fromkeys((*BESIDE, *further, *without)) if metric in there),
        best=best,
        styles=styles,
        pairs=tuple(comparisons.pairs(columns)),
    )
    return replace(table, notes=(*(check.text for check in checks), *table.notes, *few_sources_note(table)))


def _title(pairs: Pairs) -> str:
    editors = len(pairs.edited)
    pictures = len(pairs)
    return f"Scores of {editors} editor{'s' if editors > 1 else ''} on {pictures} picture{'s' if pictures > 1 else ''}"


def _with_reasons(
    pairs: Pairs, measured: Mapping[str, Mapping[str, Measurement]], measures: Measures
) -> dict[str, dict[str, Measurement]]:
    """Add empty measurements for values that could not be measured. Each empty measurement states the reason.

    Each editor gets an empty measurement for each metric whose network is missing. An editor whose pictures could not
    be measured gets empty measurements for all metrics.
    """
    few = "{} pictures, fewer than the {} that this protocol requires"
    lacking = {
        metric: Measurement(None, reason=few.format(len(pairs), least) if len(pairs) < least else reason)
        for metric, reason in measures.lacking.items()
        for least in (measures.minimums.get(metric, 0),)
    }
    names = dict.fromkeys(metric for cells in measured.values() for metric in cells) or dict.fromkeys(COLUMNS[:3])
    found = {}
    for editor in pairs.edited:
        if editor in measured:
            found[editor] = {**measured[editor], **lacking}
            continue
        count = len(pairs.misfits(editor))
        reason = f"{count} of {len(pairs)} pictures have another size than their truth"
        found[editor] = {metric: Measurement(None, reason=reason) for metric in (*names, *lacking)}
    return found


def _notes(pairs: Pairs, measures: Measures, measured: Mapping[str, Mapping[str, Measurement]]) -> Iterator[str]:
    yield (
        "Pre_error is the mean squared error over known pixels, for values in [0, 1]; without masks, all pixels are "
        "known. ± is one standard error over pictures."
    )
    resized = [name for name, protocol in measures.protocols.items() if "flavours" in protocol]
    if resized:
        yield "FID, KID and IS resize every picture to 299×299, as torch-fidelity does."
    if "efficientnet" in measures.loaded:
        yield (
            "The three metrics with EfficientNet resize every picture to 224×224. Their values can be compared only "
            "with other values of EfficientNet, and not with FID, KID or LPIPS."
        )
    if resized or "efficientnet" in measures.loaded:
        yield "Other measures resize nothing."
    yield from missing_values(measured)
    if not pairs.truth.sources:
        yield (
            f"The {len(pairs)} pictures are taken as independent of each other. If several were cut from one original, "
            "add a file sources.jsonl beside the true pictures that says so."
        )
    sizes = sorted(set(pairs.truth.sizes))
    if len(sizes) > 1:
        (low, first), (high, last) = sizes[0], sizes[-1]
        yield f"The pictures have {len(sizes)} different sizes, from {first}×{low} to {last}×{high} pixels."


def missing_values(measured: Mapping[str, Mapping[str, Measurement]]) -> Iterator[str]:
    """Yield a text for each reason why metrics have no value, with the names of the metrics.

    Args:
        measured: measurements by editor and metric.
    """
    reasons: dict[str, dict[str, None]] = {}
    for cells in measured.values():
        for metric, found in cells.items():
            if found.reason and metric in (*COLUMNS, *BESIDE):
                reasons.setdefault(found.reason, {})[metric] = None
    for reason, metrics in reasons.items():
        yield f"{', '.join(metrics)}: no value. Reason: {reason}."


def compact_table(table: Table) -> pandas.DataFrame:
    """Return a table with a line for each metric and a column for each editor; the cells are texts.

    A cell has the value and its standard error, in the unit that the name of the line states. If a value is missing,
    the cell has a dash.
    """
    lines = {
        column.title: {row.label: measured_shown(row.measured.get(column.metric), column.format) for row in table.rows}
        for column in table.columns
    }
    for metric in table.beside:
        style = style_of(metric, table.styles)
        assert style is not None
        lines[style.heading()] = {row.label: measured_shown(row.measured.get(metric), style) for row in table.rows}
    frame = pandas.DataFrame.from_dict(lines, orient="index", columns=[row.label for row in table.rows])
    frame.index.name = "metric"
    return frame


def numbers_of(table: Table) -> pandas.DataFrame:
    """Return a table with a line for each metric and editor, and numbers in columns.

    The columns are `metric`, `editor`, `value`, `stderr`, `ci95_low`, `ci95_high`, `n`, `sources` and `reason`.
    """
    lines = []
    for row in table.rows:
        for metric, found in row.measured.items():
            low, high = found.ci95 or (None, None)
            lines.append(
                {
                    "metric": metric,
                    "editor": row.label,
                    "value": found.value,
                    "stderr": found.stderr,
                    "ci95_low": low,
                    "ci95_high": high,
                    "n": found.n,
                    "sources": found.sources,
                    "reason": found.reason or "",
                }
            )
    return pandas.DataFrame(lines)


def differences_of(summary: Summary, reference: str | None) -> pandas.DataFrame:
    """Return the paired differences between editors, with 95 % intervals and p-values adjusted by Holm's method.

    The p-values of one metric are adjusted together. The columns are:

    - `metric`, `editor`, `against`, and `difference`, which is the value of `editor` minus the value of `against`;
    - `ci95_low` and `ci95_high`, which are not adjusted, and `p_holm`, which is adjusted;
    - `sources`, the number of different sources of the pictures, and `effective_sources`, which `docs/glossary.md`
      explains;
    - `differs`, which is True if the adjusted p-value shows a difference at the 95 % level, and there are enough
      effective sources for a verdict;
    - `reason`, which says why the difference could not be computed, or why there is no verdict on the difference.

    Args:
        summary: estimates of the metrics.
        reference: editor with which every other editor is compared; None compares every pair.
    """
    editors = list(summary.scored.rows)
    if reference is None:
        compared = [(second, first) for first, second in combinations(editors, 2)]
    else:
        compared = [(editor, reference) for editor in editors if editor != reference]
    lines = []
    for metric in dict.fromkeys(metric for names in summary.metrics.values() for metric in names):
        found = {(new, old): summary.difference(new, old, metric) for new, old in compared}
        known = {pair: one for pair, one in found.items() if isinstance(one, Difference)}
        adjusted = dict(zip(known, holm([one.p_value for one in known.values()]), strict=True))
        for (new, old), one in found.items():
            lines.append(
                {"metric": metric, "editor": new, "against": old, **_difference(one, adjusted.get((new, old)))}
            )
    columns = ["metric", "editor", "against", "difference", "ci95_low", "ci95_high", "p_holm", "sources",
               "effective_sources", "differs", "reason"]  # fmt: skip
    return pandas.DataFrame(lines, columns=columns)


def _difference(found: Difference | NotAvailable, p_holm: float | None) -> dict[str, object]:
    if isinstance(found, NotAvailable):
        return {"differs": False, "reason": found.reason}
    measured = Measurement(None, difference=found, p_holm=p_holm)
    return {
        "difference": found.value,
        "ci95_low": found.ci95[0],
        "ci95_high": found.ci95[1],
        "p_holm": p_holm,
        "sources": found.sources,
        "effective_sources": found.effective_sources,
        "differs": measured.differs,
        "reason": f"{found.effective_sources:.3g} effective sources, fewer than the {FEWEST_EFFECTIVE:g} "
        "that a verdict needs"
        if found.decided_by_few
        else "",
    }
