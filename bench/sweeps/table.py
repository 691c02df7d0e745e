"""The table of a sweep as it is shown: values with standard errors and units, and plots of quality against size.

The file `sweep.csv` has the same lines with all columns and with values as they were measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas

from bench.metrics.summary import Measurement
from bench.reporting.cost_plot import COSTS, CostedRow, Quality, cost_plots
from bench.reporting.plots import Plots
from bench.tables.build import METRICS, Metric, Styles, style_of
from bench.tables.grid import Grid
from bench.tables.leaderboard import Cost
from bench.tables.render import measured_shown

__all__ = ["FAILED", "SweepTable"]

Line = Mapping[str, Any]
"""A line of the table, by the name of the column. A cell without a value is None."""
ALL = "all"
"""Text in the place of a job's name, for a row whose numbers are the same in all jobs."""
FAILED = "failed"
"""Column with the reason why a job has no numbers."""
TIME = "seconds_per_image"
ERRORS = "± and the bars are one standard error. "
FEW = 8
"""Columns without a style of their own are shown only if there are at most this many of them."""
QUALITIES = ("fid", "lpips", "pre_error", "pre_error_released", "clip_score", "inception_score")
"""Metrics that are shown of a table whose results do not say which metrics are its main ones."""
VALIDATED = {
    "lpips": Metric("LPIPS without mask", 4),
    "lpips_mask": Metric("LPIPS with mask", 4),
    "mse": Metric("Squared error without mask, values from -1 to 1", 5),
    "known_mse01": Metric("Squared error with mask, known", 2, "1e-5", 1e5),
}
"""Style of each value of a training's validation; see `bench.training.validation`."""


@dataclass(frozen=True)
class SweepTable:
    """The lines of all jobs of a sweep. Each line is one row of one job, or a job without numbers."""

    frame: pandas.DataFrame
    """Columns as in `sweep.csv`."""
    swept: tuple[str, ...]
    """Swept keys."""
    headings: Mapping[str, str] = field(default_factory=dict)
    """Heading of each main metric of the jobs' tables, by the name of the metric; empty for trainings."""
    styles: Styles = field(default_factory=lambda: METRICS)
    alike: bool = False
    """Whether all jobs with numbers have the same items and protocols, so that their numbers may be compared."""

    @cached_property
    def lines(self) -> list[Line]:
        """The lines with numbers. A row with the same numbers in all jobs is only in the first line."""
        lines = [line for line in self._all if line.get(FAILED) is None]
        shared = self.shared
        common = []
        for row in shared:
            found = [line for line in lines if line["row"] == row]
            times = [line[TIME] for line in found if line.get(TIME) is not None]
            time = {TIME: float(pandas.Series(times).median())} if times else {}
            common.append({**found[0], "job": ALL, **dict.fromkeys(self.swept), **time})
        return [*common, *(line for line in lines if line.get("row") not in shared)]

    @property
    def failures(self) -> list[Line]:
        """The lines of jobs without numbers, with the reason."""
        return [line for line in self._all if line.get(FAILED) is not None]

    @cached_property
    def _all(self) -> list[Line]:
        lines = self.frame.astype(object).where(self.frame.notna(), None).to_dict("records")
        return [{str(name): value for name, value in line.items()} for line in lines]

    @cached_property
    def shared(self) -> dict[str, str]:
        """Rows whose numbers are the same in all jobs, such as the reference row: the label by the key of the row.

        The result is empty if the jobs have different items or protocols, if only one job has numbers, or if all rows
        have the same numbers in all jobs. The decoding time may differ, because it is measured anew in each job.
        """
        lines = [line for line in self._all if line.get("row") is not None and line.get(FAILED) is None]
        jobs = {line["job"] for line in lines}
        if not self.alike or len(jobs) < 2 or "row" in self.swept:
            return {}
        own = {"job", "profile", FAILED, TIME, *self.swept}
        numbers: dict[str, list[dict[str, Any]]] = {}
        for line in lines:
            numbers.setdefault(line["row"], []).append({key: cell for key, cell in line.items() if key not in own})
        same = {
            row: str(found[0].get("label") or row)
            for row, found in numbers.items()
            if len(found) == len(jobs) and all(one == found[0] for one in found)
        }
        return {} if len(same) == len(numbers) else same

    @cached_property
    def metrics(self) -> dict[str, tuple[str, Metric]]:
        """Heading and style of each metric that is shown, by the name of the metric."""
        if "label" not in self.frame:
            return {name: (style.heading(), style) for name, style in VALIDATED.items() if name in self.frame}
        known = self.headings or {
            name: style.heading() for name in QUALITIES if (style := style_of(name, self.styles)) is not None
        }
        return {
            name: (heading, style_of(name, self.styles) or Metric(heading, 4))
            for name, heading in known.items()
            if name in self.frame
        }

    @cached_property
    def costs(self) -> dict[str, Cost]:
        """Title and scale of each known cost, by its name."""
        return {name: cost for name, cost in COSTS.items() if name in self.frame}

    @property
    def words(self) -> dict[str, str]:
        """Heading of each column of text at the start of a line, by the name of the column."""
        titles = {"items": "items", "profile": "profile", "label": "Method", "step": "step"}
        known = {name: title for name, title in titles.items() if name in self.frame and name not in self.swept}
        return {"job": "job", **{key: key for key in self.swept}, **known}

    @property
    def further(self) -> list[str]:
        """Columns that have no style and are shown nevertheless, because there are only a few of them."""
        shown = {*self.words, *self.metrics, *self.costs, FAILED}
        parts = tuple(f"{metric}_" for metric in self.metrics)
        others = [str(name) for name in self.frame if name not in shown and not str(name).startswith(parts)]
        others = [name for name in others if not (name == "row" and "label" in self.frame)]
        return others if len(others) <= FEW else []

    def grids(self) -> Iterator[Grid]:
        """Yield the table of all lines with numbers, and the list of the jobs without numbers, if there are any."""
        words, further = self.words, self.further
        heads = [*words.values(), *(heading for heading, _ in self.metrics.values())]
        heads += [*(cost.title for cost in self.costs.values()), *further]
        if self.lines:
            lines = [self._cells(line, further) for line in self.lines]
            yield Grid(heads, lines, left=len(words), title="Results of the jobs")
        if self.failures:
            names = ["job", *self.swept, FAILED]
            cells = [[_shown(line.get(name)) for name in names] for line in self.failures]
            heads = ["job without numbers", *self.swept, "reason"]
            yield Grid(heads, cells, left=len(names), title="Jobs without numbers")

    def _cells(self, line: Line, further: Sequence[str]) -> list[str]:
        return [
            *(_shown(line.get(name)) for name in self.words),
            *(measured_shown(_measured(line, metric), style) for metric, (_, style) in self.metrics.items()),
            *(
                "–" if line.get(name) is None else f"{line[name] * cost.scale:,.4g}"
                for name, cost in self.costs.items()
            ),
            *(_shown(line.get(name)) for name in further),
        ]

    def plots(self) -> Plots | None:
        """Return the plots of quality against each swept number and each cost that differs between the jobs.

        The result is None if the jobs' numbers may not be compared, or if no plot has two points.
        """
        if not self.alike:
            return None
        rows = [
            CostedRow(
                str(line["job"]),
                f"job {line['job']}, {line.get('label') or 'decoder'}" if line["job"] != ALL else str(line["label"]),
                {name: line[name] for name in self._across if line.get(name) is not None} | self._numbers_of(line),
                {
                    metric: found
                    for metric, (_, style) in self.metrics.items()
                    if (found := Quality.of(_measured(line, metric), style)) is not None
                },
                self._group(line),
            )
            for line in self.lines
        ]
        headings = {metric: heading for metric, (heading, _) in self.metrics.items()}
        plots = cost_plots(rows, headings, self._across, joined=len(self.swept) == 1)
        note = (
            "The number at a point is that of its job; points that lie on one another have one common label. "
            f"{'“' + ALL + '” marks a row with the same numbers in all jobs. ' if self.shared else ''}"
            f"{ERRORS if self._has_errors else ''}All plots of one metric or of one cost have the same scale."
        )
        return Plots(plots, note=note) if plots else None

    def _group(self, line: Line) -> str:
        """Return the name of the series to which a line belongs: its row in all jobs.

        It is the label of the row, or the key of the row if its label differs between the jobs.
        """
        labels = {str(one.get("label")) for one in self.lines if one.get("row") == line.get("row")}
        return str((line.get("label") if len(labels) == 1 else line.get("row")) or "decoder")

    @cached_property
    def _across(self) -> dict[str, Cost]:
        """Title and scale of each measure of the x axes: the swept numbers, and the costs that differ."""
        numbers = {key: Cost(key, 1.0) for key in self.swept if len({*map(_finite, self._values(key))} - {None}) > 1}
        return numbers | {name: cost for name, cost in self.costs.items() if len({*self._values(name)}) > 1}

    def _values(self, name: str) -> list[Any]:
        return [line[name] for line in self.lines if line.get(name) is not None]

    def _numbers_of(self, line: Line) -> dict[str, float]:
        found = {key: _finite(line.get(key)) for key in self.swept if key in self._across}
        return {key: number for key, number in found.items() if number is not None}

    @property
    def _has_errors(self) -> bool:
        return any(f"{metric}_stderr" in self.frame for metric in self.metrics)

    def notes(self) -> Iterator[str]:
        """Yield the notes below the table, one text for each."""
        if self._has_errors:
            yield (
                "± is one standard error; items of one source count as dependent. Only the table of each job marks the "
                "numbers that come from so few sources that their intervals are too short (§)."
            )
        if self.shared:
            labels = ", ".join(self.shared.values())
            timed = " A decoding time there is the median over the jobs." if TIME in self.frame else ""
            yield f"Job “{ALL}” shows once what has the same numbers in all jobs: {labels}.{timed}"
        if "items" in self.frame:
            yield (
                "The jobs have different items: the column items has the first digits of the hash of each manifest. "
                "Therefore their numbers are not drawn in one plot, and no row is shown as the same in all jobs."
            )
        yield "sweep.csv has all columns, with the values as they were measured."


def _measured(line: Line, metric: str) -> Measurement | None:
    """Return the value of a metric with its standard error; None if the line has no such number."""
    value, stderr = (_number(line.get(name)) for name in (metric, f"{metric}_stderr"))
    return None if value is None else Measurement(value, stderr)


def _number(cell: Any) -> float | None:
    try:
        return None if cell is None or isinstance(cell, bool) else float(cell)
    except (TypeError, ValueError):
        return None


def _finite(cell: Any) -> float | None:
    """Return a swept value as a number; None if it is no number, or has no place on an axis, such as `inf`."""
    number = _number(cell)
    return number if number is not None and math.isfinite(number) else None


def _shown(cell: Any) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:.0f}" if cell.is_integer() and abs(cell) < 1e9 else f"{cell:.5g}"
    return str(cell)
