"""A history as Markdown, CSV and plain data, and the grids of its page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas

from bench.gate.decision import Verdict
from bench.history.lines import ERRORS, History, Line, Moment, Step, Value
from bench.runtime.text import csv_text
from bench.tables.grid import Grid, markdown

__all__ = [
    "as_json",
    "breaks_grid",
    "line_grids",
    "marks_grid",
    "marks_of",
    "moments_grid",
    "notes_of",
    "shown",
    "since",
    "skipped_grid",
    "summary",
    "to_csv",
    "to_markdown",
    "undecided",
]

SCHEMA_VERSION = 1
WORDS = {Verdict.REGRESSION: "regression", Verdict.IMPROVED: "improvement"}
"""Word for each verdict that marks a value."""


def summary(history: History) -> str:
    """Return one line with the number of moments, tables, numbers, comparisons, regressions and improvements.

    If numbers could not be compared with the earlier numbers of their lines, the line says how many they are.
    """
    marks = [value.mark for _, value in history.marked()]
    tables = len({line.experiment for line in history.lines})
    values = [value for line in history.lines for value in line.values]
    broken = sum(bool(value.broken) for value in values)
    counts = [
        f"{len(history.lines)} numbers of {_many(tables, 'table')} at {_many(len(history.moments), 'moment')}",
        _many(marks.count(Verdict.REGRESSION), "regression"),
        _many(marks.count(Verdict.IMPROVED), "improvement"),
    ]
    counts.insert(1, _many(sum(value.step is not None for value in values), "comparison"))
    if broken:
        counts.insert(2, f"{_many(broken, 'number')} not compared with earlier numbers")
    if history.skipped:
        counts.append(f"{len(history.skipped)} skipped")
    return ", ".join(counts)


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def shown(value: float | None) -> str:
    """Return a number as text with four significant digits, and a large integer with all its digits."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 1000 else f"{value:.4g}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{shown(low)}, {shown(high)}]"


def _change(step: Step | None) -> str:
    if step is None:
        return "–"
    ends = "" if step.ci95 is None else f" [{step.ci95[0]:+.3g}, {step.ci95[1]:+.3g}]"
    share = f" ({step.change / abs(step.old):+.1%})" if step.old else ""
    return f"{step.change:+.3g}{share}{ends}"


def moments_grid(history: History) -> Grid:
    """Return a grid with a line for each moment: its date, its commit, its tables and its marked values."""
    marks = [(value.moment, value.mark) for _, value in history.marked()]
    lines = [
        [
            str(moment.number),
            f"{moment.source.date:%Y-%m-%d %H:%M}",
            moment.source.dated_by,
            _commit(moment),
            "" if moment.source.commit is None else moment.source.commit.subject,
            f"{moment.source.kind} {moment.source.name}",
            str(marks.count((moment.number, Verdict.REGRESSION))),
            str(marks.count((moment.number, Verdict.IMPROVED))),
        ]
        for moment in history.moments
    ]
    heads = ["#", "date (UTC)", "dated by", "commit", "subject", "source", "worse", "better"]
    return Grid(heads, lines, left=6)


def _commit(moment: Moment) -> str:
    commit = moment.source.commit
    if commit is None:
        return "–"
    return f"{commit.short} with uncommitted changes" if moment.source.dirty else commit.short


def marks_grid(history: History) -> Grid:
    """Return a grid with a line for each marked value, the newest first, and with the numbers of its comparison."""
    lines = []
    for line, value in history.marked():
        assert value.mark is not None
        step = value.cause
        assert step is not None
        lines.append(
            [
                WORDS[value.mark],
                f"{_at(history.moments[value.moment - 1])}, {since(value)}",
                f"{line.row}, {line.metric}, {line.experiment}",
                shown(step.old),
                shown(value.value),
                _change(step),
                shown(step.margin),
            ]
        )
    heads = ["verdict", "at", "number", "old", "new", "change, 95 % interval", "margin"]
    return Grid(heads, lines, left=3)


def since(value: Value) -> str:
    """Return words for the value with which a marked value was compared, such as `since #3`; empty without a mark."""
    step = value.cause
    if step is None:
        return ""
    if value.drift is None:
        return f"since #{step.against}"
    return f"since the {'last mark' if step is value.since_mark else 'start'} at #{step.against}"


def _at(moment: Moment) -> str:
    return f"#{moment.number} {moment.label}"


def line_grids(history: History) -> Iterator[tuple[str, Grid]]:
    """Yield each experiment with a grid of its lines: last value, interval, margin, and both comparisons."""
    heads = [
        "row",
        "metric",
        "last value, 95 % interval",
        "margin",
        "last step",
        "verdict",
        "since the start",
        "verdict",
    ]
    heads.append("values")
    for experiment in dict.fromkeys(line.experiment for line in history.lines):
        lines = [_line(line, history) for line in history.lines if line.experiment == experiment]
        yield experiment, Grid(heads, lines, left=2, title=f"{experiment}: last values")


def _line(line: Line, history: History) -> list[str]:
    present = [value for value in line.values if value.value is not None]
    if not present:
        return [line.row, line.metric, f"– ({line.values[-1].reason})", "–", "–", "–", "–", "–", "0"]
    last = present[-1]
    approximate = " ≈" if last.approximate else ""
    gone = "" if last.moment == len(history.moments) else f", at #{last.moment}"
    return [
        line.row,
        line.metric,
        f"{shown(last.value)}{_interval(last.low, last.high)}{approximate}{gone}",
        shown(last.step.margin) if last.step else "–",
        _change(last.step),
        _verdict(last.step),
        _change(last.since_start),
        _verdict(last.since_start),
        str(len(present)),
    ]


def _verdict(step: Step | None) -> str:
    return "–" if step is None else str(step.verdict)


def breaks_grid(history: History) -> Grid:
    """Return a grid of the places at which lines break, with the reason. Equal reasons of one moment have one line."""
    found: dict[tuple[int, str], list[str]] = {}
    for line in history.lines:
        for value in line.values:
            if value.broken:
                found.setdefault((value.moment, value.broken), []).append(line.experiment)
    lines = [
        [_at(history.moments[moment - 1]), reason, ", ".join(dict.fromkeys(tables)), str(len(tables))]
        for (moment, reason), tables in sorted(found.items(), key=lambda one: one[0][0])
    ]
    return Grid(["at", "reason why numbers are not compared with earlier ones", "tables", "numbers"], lines, left=3)


def skipped_grid(history: History) -> Grid:
    """Return a grid of the files and folders that the history does not contain, with the reasons."""
    return Grid(["skipped", "reason"], [[one.path, one.reason] for one in history.skipped], left=2)


def undecided(history: History) -> str:
    """Return a sentence with the number of changes that the gate could not decide; empty if there are none."""
    count = sum(
        value.step is not None and value.step.verdict is Verdict.CANNOT_TELL
        for line in history.lines
        for value in line.values
    )
    return f"For {_many(count, 'change')}, the gate cannot tell whether the number became worse." if count else ""


def marks_of(history: History, experiment: str) -> list[tuple[str, str]]:
    """Return the number of marked values of an experiment as texts with their CSS class, regressions first."""
    marks = [value.mark for line, value in history.marked() if line.experiment == experiment]
    kinds = {Verdict.REGRESSION: "bad", Verdict.IMPROVED: "good"}
    return [(_many(marks.count(verdict), word), kinds[verdict]) for verdict, word in WORDS.items() if verdict in marks]


def notes_of(history: History) -> list[str]:
    """Return the notes below the grids, which explain the comparisons."""
    found = [
        "Each value is compared with the previous value, with the first value and with the last marked value of its "
        "line. The comparison is that of the gate: it uses the gate's margins, and p-values that are adjusted over all "
        "numbers of a moment.",
        "A value is marked if the last step alone is a regression or an improvement. It is also marked if it is worse "
        "or better than the last marked value by more than the margin, although no single step is. The same holds for "
        "the first value that is worse or better than the start of the line by more than the margin.",
    ]
    if any(value.approximate for line in history.lines for value in line.values):
        found.append(
            f"≈ marks an interval of {ERRORS:g} standard errors on each side, because a baseline contains no intervals."
        )
    return [*found, *history.notes]


def to_markdown(history: History) -> str:
    """Return the history as one document in GitHub's Markdown."""
    words = undecided(history)
    parts = [markdown(f"History: {summary(history)}", [moments_grid(history)], [words] if words else [])]
    for title, grid in (
        ("Regressions and improvements", marks_grid(history)),
        ("Breaks: other items or other protocols", breaks_grid(history)),
        *line_grids(history),
        ("Skipped", skipped_grid(history)),
    ):
        if grid.lines:
            parts.append(markdown(title, [grid], []))
    parts.append(markdown("Notes", [], notes_of(history)))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def to_csv(history: History) -> str:
    """Return the history as CSV, with one line for each number at each moment."""
    rows = [
        {
            "moment": moment.number,
            "date": moment.source.date.isoformat(timespec="seconds"),
            "dated_by": moment.source.dated_by,
            "commit": None if moment.source.commit is None else moment.source.commit.hash,
            "uncommitted_changes": moment.source.dirty,
            "source": moment.source.name,
            "experiment": line.experiment,
            "row": line.row,
            "metric": line.metric,
            "higher_is_better": line.higher_is_better,
            "value": value.value,
            "low": value.low,
            "high": value.high,
            "approximate_interval": value.approximate,
            "n": value.n,
            "segment": value.segment or None,
            **_step("step", value.step),
            **_step("since_start", value.since_start),
            **_step("since_mark", value.since_mark),
            "mark": None if value.mark is None else WORDS[value.mark],
            "broken": value.broken or None,
            "reason": value.reason or None,
        }
        for line in history.lines
        for value in line.values
        for moment in [history.moments[value.moment - 1]]
    ]
    return csv_text(pandas.DataFrame(rows))


def _step(name: str, step: Step | None) -> dict[str, Any]:
    low, high = (None, None) if step is None or step.ci95 is None else step.ci95
    return {
        f"{name}_against": None if step is None else step.against,
        f"{name}_change": None if step is None else step.change,
        f"{name}_change_low": low,
        f"{name}_change_high": high,
        f"{name}_margin": None if step is None else step.margin,
        f"{name}_verdict": None if step is None else str(step.verdict),
    }


def as_json(history: History) -> dict[str, Any]:
    """Return the history as plain data that can be saved as JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "moments": [_moment(moment) for moment in history.moments],
        "lines": [
            {
                "experiment": line.experiment,
                "row": line.row,
                "metric": line.metric,
                "is_cost": line.is_cost,
                "higher_is_better": line.higher_is_better,
                "values": [_value(value) for value in line.values],
            }
            for line in history.lines
        ],
        "skipped": [{"path": one.path, "reason": one.reason} for one in history.skipped],
        "notes": list(history.notes),
    }


def _moment(moment: Moment) -> dict[str, Any]:
    source = moment.source
    return {
        "number": moment.number,
        "name": source.name,
        "kind": source.kind,
        "date": source.date.isoformat(timespec="seconds"),
        "dated_by": source.dated_by,
        "began": source.began.isoformat(timespec="seconds"),
        "commit": None if source.commit is None else source.commit.hash,
        "subject": None if source.commit is None else source.commit.subject,
        "dirty": source.dirty,
        "notes": list(moment.notes),
    }


def _value(value: Value) -> dict[str, Any]:
    return {
        "moment": value.moment,
        "value": value.value,
        "ci95": None if value.low is None else [value.low, value.high],
        "approximate": value.approximate,
        "n": value.n,
        "reason": value.reason,
        "segment": value.segment,
        "broken": value.broken,
        "step": _step_as_json(value.step),
        "since_start": _step_as_json(value.since_start),
        "since_mark": _step_as_json(value.since_mark),
        "mark": None if value.mark is None else WORDS[value.mark],
    }


def _step_as_json(step: Step | None) -> dict[str, Any] | None:
    if step is None:
        return None
    return {
        "against": step.against,
        "old": step.old,
        "change": step.change,
        "ci95": step.ci95,
        "margin": step.margin,
        "verdict": str(step.verdict),
    }
