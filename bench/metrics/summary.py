"""From what was measured on the items to one number for each row and metric, with its uncertainty."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.metrics.bins import area_bin
from bench.metrics.frechet import frechet_estimate
from bench.metrics.inception_score import inception_score
from bench.metrics.kernel import kernel_estimate
from bench.metrics.uncertainty import Difference, Estimate, holm, mean_estimate, paired_difference, standard_error

__all__ = ["HOLE_ONLY", "NAME", "Found", "Measurement", "Scored", "Summary"]

Array = npt.NDArray[Any]

HOLE_ONLY = "hole_only"
"""Suffix of metrics of images whose known pixels were replaced by the truth's."""
SPLITS = 10
"""Of the Inception Score."""
NAME = re.compile(rf"(?P<metric>.+?)(?P<variant>_{HOLE_ONLY})?(_(?P<low>\d+)_(?P<high>\d+))?")
"""A metric's full name, such as `fid_hole_only` or `fid_40_50` (on items whose hole covers 40–50 %)."""


@dataclass(frozen=True)
class Scored:
    """What was measured on N items, in the manifest's order."""

    rows: Mapping[str, Mapping[str, Array]]
    """By row and name: N values, or N rows of features; with `_hole_only` behind the name where that is measured."""
    truth: Mapping[str, Array]
    """Features of the M images of the reference set, by name."""
    sets: Mapping[str, str]
    """Metrics of whole sets, such as `fid`, and the name of the features that each is made of."""
    sources: Sequence[str]
    """Of the items; those of one source are not independent."""
    references: Sequence[int]
    """Places of the items whose images are the reference set."""
    mask_area: npt.NDArray[np.float64]
    """Share of hole in each item."""


@dataclass(frozen=True)
class Measurement:
    """One number, or the reason why there is none."""

    value: float | None
    stderr: float | None = None
    n: int = 0
    """Items it rests on."""
    sources: int = 0
    """Independent sources among them."""
    reason: str | None = None
    ratio: float | str | None = None
    """The reference row's value divided by this one; `exact` where this one is zero."""
    difference: Difference | None = None
    """This row minus the reference row, on the same items."""
    p_holm: float | None = None
    """That difference's p-value, after Holm's correction over the rows of the table."""

    @property
    def ci95(self) -> tuple[float, float] | None:
        if self.value is None or self.stderr is None:
            return None
        return self.value - 1.959964 * self.stderr, self.value + 1.959964 * self.stderr


Found = tuple[Estimate, npt.NDArray[np.bool_]] | str
"""An estimate and the items it rests on, or why there is none."""


@dataclass(frozen=True)
class Summary:
    """Estimates of every row and metric, comparable in pairs on the same items.

    Attributes:
        scored: what was measured.
        fewest: items of which a Fréchet or kernel distance is given at least.
        bins: bins of mask area in percent, such as (40, 50), for which metrics are given as well.
    """

    scored: Scored
    fewest: int
    bins: tuple[tuple[int, int], ...] = ()

    @cached_property
    def metrics(self) -> dict[str, list[str]]:
        """Names of the metrics of each row."""
        return {row: self._names(arrays) for row, arrays in self.scored.rows.items()}

    def _names(self, arrays: Mapping[str, Array]) -> list[str]:
        variants = ["", f"_{HOLE_ONLY}"]
        names = [
            f"{metric}{variant}"
            for metric, features in self.scored.sets.items()
            for variant in variants
            if f"{features}{variant}" in arrays
        ]
        names += [name for name, values in arrays.items() if values.ndim == 1]
        chosen = [metric for metric in names if not metric.endswith(HOLE_ONLY)]
        return names + [f"{metric}_{low}_{high}" for low, high in self.bins for metric in chosen]

    @cached_property
    def _found(self) -> dict[tuple[str, str], Found]:
        return {(row, name): self._estimate(row, name) for row, names in self.metrics.items() for name in names}

    def found(self, row: str, metric: str) -> Found:
        """The estimate with its influences, or why there is none."""
        return self._found.get((row, metric), f"{metric} was not measured on {row}")

    def measurement(self, row: str, metric: str) -> Measurement:
        """Value and standard error, compared with nothing."""
        found = self.found(row, metric)
        if isinstance(found, str):
            return Measurement(None, reason=found)
        return self._measured(*found)

    def difference(self, new: str, old: str, metric: str) -> Difference | str:
        """One row minus another, paired by item; or why there is none."""
        pair = self._pair(new, old, metric)
        if isinstance(pair, str):
            return pair
        first, second, there = pair
        found = paired_difference(first, second, self._sources(there))
        return found if np.isfinite(found.stderr) else "fewer than two independent sources"

    def contrast(self, weights: Mapping[str, float], metric: str) -> Difference | str:
        """A weighted sum of rows' values on the same items, against 0; or why there is none. `weights` is not empty."""
        first = next(iter(weights))
        parts = []
        for row, weight in weights.items():
            pair = self._pair(row, first, metric)
            if isinstance(pair, str):
                return pair
            estimate, _, there = pair
            parts.append(Estimate(weight * estimate.value, weight * estimate.influence))
        total = Estimate(sum(part.value for part in parts), np.sum([part.influence for part in parts], axis=0))
        found = paired_difference(total, Estimate(0.0, np.zeros(len(total.influence))), self._sources(there))
        return found if np.isfinite(found.stderr) else "fewer than two independent sources"

    def ratio(self, above: str, below: str, metric: str) -> Measurement:
        """One row's value divided by another's on the same items, its standard error by the delta method."""
        pair = self._pair(above, below, metric)
        if isinstance(pair, str):
            return Measurement(None, reason=pair)
        first, second, there = pair
        if second.value == 0:
            return Measurement(None, reason=f"{metric} of {below} is exactly 0")
        value = first.value / second.value
        estimate = Estimate(value, (first.influence - value * second.influence) / second.value)
        return self._measured(estimate, there)

    def _pair(self, new: str, old: str, metric: str) -> tuple[Estimate, Estimate, npt.NDArray[np.bool_]] | str:
        first, second = self.found(new, metric), self.found(old, metric)
        if isinstance(first, str):
            return first
        if isinstance(second, str):
            return second
        if not np.array_equal(first[1], second[1]):
            return f"{new} and {old} were not measured on the same items"
        return first[0], second[0], first[1]

    def table(self, reference: str | None) -> dict[str, dict[str, Measurement]]:
        """Measurements by row and metric, each compared with the reference row where there is one."""
        table = {row: {name: self.measurement(row, name) for name in names} for row, names in self.metrics.items()}
        if reference is not None and reference in table:
            for metric in table[reference]:
                self._compare(table, metric, reference)
        return table

    def _compare(self, table: dict[str, dict[str, Measurement]], metric: str, reference: str) -> None:
        base = table[reference][metric].value
        if base is None:
            return
        others = [row for row in table if row != reference and not isinstance(self._pair(row, reference, metric), str)]
        found = {row: self.difference(row, reference, metric) for row in others}
        known = {row: difference for row, difference in found.items() if not isinstance(difference, str)}
        adjusted = dict(zip(known, holm([difference.p_value for difference in known.values()]), strict=True))
        for row in others:
            value = table[row][metric].value
            table[row][metric] = replace(
                table[row][metric],
                ratio=base / value if value else "exact",
                difference=known.get(row),
                p_holm=adjusted.get(row),
            )

    def _measured(self, estimate: Estimate, there: npt.NDArray[np.bool_]) -> Measurement:
        chosen = self._sources(there)
        error = standard_error(estimate.influence, chosen)
        return Measurement(estimate.value, None if np.isnan(error) else error, int(there.sum()), len(set(chosen)))

    def _sources(self, there: npt.NDArray[np.bool_]) -> list[str]:
        return [source for source, used in zip(self.scored.sources, there, strict=True) if used]

    def _estimate(self, row: str, name: str) -> Found:
        parts = NAME.fullmatch(name)
        assert parts is not None
        metric, variant = parts["metric"], parts["variant"] or ""
        inside = np.ones(len(self.scored.sources), np.bool_)
        if parts["low"] is not None:
            inside = area_bin(self.scored.mask_area, int(parts["low"]) / 100, int(parts["high"]) / 100)
        arrays = self.scored.rows[row]
        if metric not in self.scored.sets:
            return _mean(arrays[f"{metric}{variant}"], inside)
        features = self.scored.sets[metric]
        return self._of_set(metric, features, arrays[f"{features}{variant}"], inside)

    def _of_set(self, metric: str, features: str, values: Array, inside: npt.NDArray[np.bool_]) -> Found:
        count = int(inside.sum())
        if count < self.fewest:
            return f"{count} items, fewer than the {self.fewest} that this protocol asks for"
        if metric.startswith("inception_score"):
            if count < SPLITS:
                return f"{count} items, fewer than the {SPLITS} splits that an Inception Score asks for"
            score = inception_score(values[inside], splits=SPLITS)
            return Estimate(score.value, score.influence), inside
        places = np.asarray(self.scored.references)
        used = inside[places]
        truth, owners = self.scored.truth[features][used], places[used]
        if len(truth) < self.fewest:
            return f"{len(truth)} images to compare with, fewer than the {self.fewest} that this protocol asks for"
        if metric.startswith("kid"):
            if len(truth) != count:
                return "the reference set is not that of the items"
            return kernel_estimate(values[inside], truth), inside
        estimate = frechet_estimate(values[inside], truth)
        # An item has a part in both sets: by its image, and by its truth where that is in the reference set.
        influence = np.zeros(len(inside))
        influence[inside] = estimate.influence_a
        influence[owners] += estimate.influence_b * (count / len(truth))
        return Estimate(estimate.value, influence[inside]), inside


def _mean(values: Array, inside: npt.NDArray[np.bool_]) -> Found:
    there = np.isfinite(values) & inside
    if not there.any():
        return "no item has anything to measure"
    return mean_estimate(values[there]), there
