"""From what was measured on the items to one number for each row and metric, with its uncertainty."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.metrics.bins import area_bin
from bench.metrics.extrapolation import COUNTS, Extrapolation, extrapolate
from bench.metrics.features import Features
from bench.metrics.frechet import frechet_estimate
from bench.metrics.inception_score import inception_score
from bench.metrics.kernel import MOST, kernel_estimate_by_parts
from bench.metrics.spread import Spread, variance_shares
from bench.metrics.uncertainty import (
    LEVEL,
    NO_SPREAD,
    TOO_FEW_SOURCES,
    Chosen,
    Difference,
    Estimate,
    combined,
    contrast,
    estimate_by_halves,
    mean_estimate,
    paired_difference,
    parts,
    rounding_of,
)

__all__ = ["HOLE_ONLY", "NAME", "UNBOUNDED", "VARIANTS", "Found", "Measurement", "Scored", "Summary"]

Array = npt.NDArray[Any]

HOLE_ONLY = "hole_only"
"""Suffix of metrics of images whose known pixels were replaced by the truth's."""
VARIANTS: Mapping[str, str] = {
    HOLE_ONLY: "the truth in place of its known pixels",
    "saved_truncate": "truncated to 8 bits",
    "saved_round": "rounded to 8 bits",
    "saved_jpeg95": "truncated to 8 bits, written as JPEG of quality 95 with 4:2:0 subsampling, and read again",
}
"""Suffixes of metrics of images that are not measured as they are, and what was done to these."""
UNBOUNDED = "the divisor cannot be told from 0, so that no interval bounds the ratio"
SPLITS = 10
"""Of the Inception Score."""
STATISTICS: Mapping[str, Mapping[str, Any]] = {
    "mean": {"statistic": "mean over items"},
    "fid": {"statistic": "Fréchet distance to the true images, covariances by N - 1"},
    "kid": {
        "statistic": "squared maximum mean discrepancy, cubic kernel, unbiased",
        "all pairs of two sources among": MOST,
    },
    "inception_score": {"statistic": "Inception Score", "splits": SPLITS, "shuffled by": "RandomState(2020)"},
}
"""How numbers are made, by the beginnings of set metrics' names."""
NAME = re.compile(rf"(?P<metric>.+?)(?P<variant>_({'|'.join(VARIANTS)}))?(_(?P<low>\d+)_(?P<high>\d+))?")
"""A metric's full name, such as `fid_hole_only` or `fid_40_50` (on items whose hole covers 40–50 %)."""


@dataclass(frozen=True)
class Scored:
    """What was measured on N items, in the manifest's order."""

    rows: Mapping[str, Mapping[str, Array | Features]]
    """By row and name: N values, or N rows of features; with `_hole_only` behind the name where that is measured."""
    truth: Mapping[str, Array | Features]
    """Features of the M images of the reference set, by name."""
    sets: Mapping[str, str]
    """Metrics of whole sets, such as `fid`, and the name of the features that each is made of."""
    sources: Sequence[str]
    """Of the items; those of one source are not independent."""
    references: Sequence[int]
    """Places of the items whose images are the reference set."""
    mask_area: npt.NDArray[np.float64]
    """Share of hole in each item."""
    measures: Mapping[str, str] = field(default_factory=dict)
    """By metric that an item has by itself, the measure that took it."""


@dataclass(frozen=True)
class Measurement:
    """One number, or the reason why there is none."""

    value: float | None
    stderr: float | None = None
    """None where it is not known: there are fewer than two sources, or all of them show the same value."""
    n: int = 0
    """Items it rests on."""
    sources: int = 0
    """Independent sources among them."""
    reason: str | None = None
    """Why there is no value."""
    ratio: Measurement | str | None = None
    """The reference row's value divided by this one, on the same items; `exact` where this one is zero."""
    difference: Difference | None = None
    """This row minus the reference row, on the same items."""
    p_holm: float | None = None
    """The p-value of that difference, adjusted by Holm's method within its family (`bench.tables.comparisons`)."""

    @property
    def differs(self) -> bool:
        """Whether the row differs from the reference row at the 95 % level, by more than a handful of sources."""
        if self.difference is None or self.p_holm is None or self.difference.decided_by_few:
            return False
        return self.p_holm < LEVEL

    spread: Spread | None = None
    """What its sources tell of its error; None where the standard error is."""
    stderr_reason: str | None = None
    """Why a value has no standard error."""

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The 95 % interval: Student's, and longer on the side to which skewness points."""
        return None if self.value is None or self.spread is None else self.spread.interval(self.value)

    @property
    def effective_sources(self) -> float | None:
        """The effective number of sources behind the standard error, from 1 to `sources`."""
        return None if self.spread is None else self.spread.effective_sources

    @property
    def freedom(self) -> float | None:
        """Degrees of freedom of the Student interval."""
        return None if self.spread is None else self.spread.freedom

    @property
    def interval_too_short(self) -> bool:
        """Whether few sources decide the value, so that its interval holds the true one less often than 95 %."""
        return self.spread is not None and self.spread.decided_by_few


Found = tuple[Estimate, Chosen] | str
"""An estimate and the items it rests on, or why there is none."""


@dataclass(frozen=True)
class Summary:
    """Estimates of every row and metric, comparable in pairs on the same items.

    Attributes:
        scored: what was measured.
        fewest: items of which a Fréchet or kernel distance is given at least.
        bins: bins of mask area in percent, such as (40, 50), for which metrics are given as well.
        rule: to which bin an area on an edge belongs, as `bench.metrics.bins.area_bin` has it.
    """

    scored: Scored
    fewest: int
    bins: tuple[tuple[int, int], ...] = ()
    rule: str = "offline"

    @cached_property
    def metrics(self) -> dict[str, list[str]]:
        """Names of the metrics of each row."""
        return {row: self._names(arrays) for row, arrays in self.scored.rows.items()}

    def _names(self, arrays: Mapping[str, Array | Features]) -> list[str]:
        variants = ["", *(f"_{variant}" for variant in VARIANTS)]
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

    def measure(self, metric: str) -> str:
        """The measure that a metric rests on."""
        name = self._named(metric)[0]
        return self.scored.sets[name].partition(".")[0] if name in self.scored.sets else self.scored.measures[name]

    def statistic(self, metric: str) -> dict[str, Any]:
        """How one number is made of what was measured on the items, as plain data."""
        name, variant, _ = self._named(metric)
        found = dict(STATISTICS["mean"])
        if name in self.scored.sets:
            kind = next((kind for kind in ("inception_score", "kid") if name.startswith(kind)), "fid")
            found = {**STATISTICS[kind], "fewest": self.fewest}
        if variant:
            found["image"] = VARIANTS[variant.removeprefix("_")]
        named = NAME.fullmatch(metric)
        if named is not None and named["low"] is not None:
            opening, closing = "[)" if self.rule == "offline" else "(]"
            found["items"] = f"share of hole in {opening}{named['low']} %, {named['high']} %{closing}"
        return found

    def measurement(self, row: str, metric: str) -> Measurement:
        """Value and standard error, compared with nothing."""
        found = self.found(row, metric)
        if isinstance(found, str):
            return Measurement(None, reason=found)
        return self._measured(*found, rounding_of([(1.0, found[0])]))

    def difference(self, new: str, old: str, metric: str) -> Difference | str:
        """One row minus another, paired by item; or why there is none."""
        pair = self._pair(new, old, metric)
        if isinstance(pair, str):
            return pair
        first, second, there = pair
        return paired_difference(first, second, self._sources(there))

    def variance_shares(self, new: str, old: str, metric: str) -> dict[str, float]:
        """The share of each source in the variance of a difference, the largest first; empty where there is none."""
        pair = self._pair(new, old, metric)
        if isinstance(pair, str):
            return {}
        first, second, there = pair
        return variance_shares(first.influence - second.influence, self._sources(there))

    def contrast(self, weights: Mapping[str, float], metric: str) -> Difference | str:
        """A weighted sum of rows' values on the same items, against 0; or why there is none. `weights` is not empty."""
        first = next(iter(weights))
        weighted = []
        for row, weight in weights.items():
            pair = self._pair(row, first, metric)
            if isinstance(pair, str):
                return pair
            estimate, _, there = pair
            weighted.append((weight, estimate))
        return contrast(weighted, self._sources(there))

    def ratio(self, above: str, below: str, metric: str) -> Measurement:
        """One row's value divided by another's on the same items, its standard error by the delta method.

        It has no standard error where the divisor cannot be told from 0: then no interval bounds the ratio (Fieller,
        "Some problems in interval estimation", 1954).
        """
        pair = self._pair(above, below, metric)
        if isinstance(pair, str):
            return Measurement(None, reason=pair)
        first, second, there = pair
        if second.value == 0:
            return Measurement(None, reason=f"{metric} of {below} is exactly 0")
        value = first.value / second.value
        weighted = [(1 / second.value, first), (-value / second.value, second)]
        linear, rounding = combined(weighted), rounding_of(weighted)
        divisor = self.measurement(below, metric)
        unbounded = divisor.ci95 is not None and divisor.ci95[0] <= 0 <= divisor.ci95[1]
        if unbounded and np.abs(linear.influence).max() > rounding:
            return Measurement(value, n=divisor.n, sources=divisor.sources, stderr_reason=UNBOUNDED)
        return self._measured(replace(linear, value=value), there, rounding, exact=1.0)

    def _pair(self, new: str, old: str, metric: str) -> tuple[Estimate, Estimate, Chosen] | str:
        first, second = self.found(new, metric), self.found(old, metric)
        if isinstance(first, str):
            return first
        if isinstance(second, str):
            return second
        if not np.array_equal(first[1], second[1]):
            return f"{new} and {old} were not measured on the same items"
        return first[0], second[0], first[1]

    def table(self, reference: str | None) -> dict[str, dict[str, Measurement]]:
        """Measurements by row and metric, each compared with the reference row where there is one.

        The differences' p-values are not adjusted: `bench.tables.comparisons` knows the families that they belong to.
        """
        table = {row: {name: self.measurement(row, name) for name in names} for row, names in self.metrics.items()}
        if reference is not None and reference in table:
            for metric in table[reference]:
                self._compare(table, metric, reference)
        return table

    def _compare(self, table: dict[str, dict[str, Measurement]], metric: str, reference: str) -> None:
        base = table[reference][metric].value
        if base is None:
            return
        for row in table:
            if row == reference or isinstance(self._pair(row, reference, metric), str):
                continue
            value, difference = table[row][metric].value, self.difference(row, reference, metric)
            table[row][metric] = replace(
                table[row][metric],
                ratio=self.ratio(reference, row, metric) if value else "exact",
                difference=None if isinstance(difference, str) else difference,
            )

    def _measured(self, estimate: Estimate, there: Chosen, rounding: float, exact: float = 0.0) -> Measurement:
        """A number without any spread has a standard error only where it is `exact`, as rows without an error are."""
        chosen = self._sources(there)
        found = Measurement(estimate.value, n=int(there.sum()), sources=len(set(chosen)))
        spread = Spread.of(estimate.influence, chosen, change=estimate.change, rounding=rounding)
        if spread is None:
            return replace(found, stderr_reason=TOO_FEW_SOURCES)
        if spread.stderr == 0 and estimate.value != exact:
            return replace(found, stderr_reason=NO_SPREAD)
        return replace(found, stderr=spread.stderr, spread=spread)

    def _sources(self, there: Chosen) -> list[str]:
        return [source for source, used in zip(self.scored.sources, there, strict=True) if used]

    def extrapolation(self, row: str, metric: str) -> Extrapolation | str:
        """What infinitely many items would make of a Fréchet distance, or why that is not known."""
        pairs = self._pairs(row, metric)
        if isinstance(pairs, str):
            return pairs
        sources = self._sources(pairs.inside)
        if pairs.fewest(sources, max(COUNTS)) < 2:
            return f"too few sources to part them in {max(COUNTS)}"
        return extrapolate(pairs.frechet, sources)

    def _estimate(self, row: str, name: str) -> Found:
        metric, variant, inside = self._named(name)
        if metric not in self.scored.sets:
            return _mean(np.asarray(self.scored.rows[row][f"{metric}{variant}"]), inside)
        if metric.startswith("inception_score"):
            return self._inception_score(row, name)
        pairs = self._pairs(row, name)
        if isinstance(pairs, str):
            return pairs
        if metric.startswith("kid"):
            return pairs.kernel(self._sources(inside))
        sources = self._sources(inside)
        if pairs.fewest(sources, 2) < 2:
            return pairs.frechet(np.ones(len(sources), np.bool_)), inside
        return estimate_by_halves(pairs.frechet, sources), inside

    def _named(self, name: str) -> tuple[str, str, Chosen]:
        """A metric without its suffixes, its variant, and the items of its bin."""
        named = NAME.fullmatch(name)
        assert named is not None
        inside = np.ones(len(self.scored.sources), np.bool_)
        if named["low"] is not None:
            inside = area_bin(self.scored.mask_area, int(named["low"]) / 100, int(named["high"]) / 100, rule=self.rule)
        return named["metric"], named["variant"] or "", inside

    def _inception_score(self, row: str, name: str) -> Found:
        metric, variant, inside = self._named(name)
        few = self._few(int(inside.sum()), "items")
        if few is not None:
            return few
        if inside.sum() < SPLITS:
            return f"{inside.sum()} items, fewer than the {SPLITS} splits that an Inception Score asks for"
        logits = Features.of(self.scored.rows[row][f"{self.scored.sets[metric]}{variant}"])
        score = inception_score(logits[inside], splits=SPLITS)
        return Estimate(score.value, score.influence), inside

    def _pairs(self, row: str, name: str) -> _Pairs | str:
        """Images and what they are compared with, or why there are too few."""
        metric, variant, inside = self._named(name)
        features = self.scored.sets[metric]
        places = np.asarray(self.scored.references)
        images = Features.of(self.scored.rows[row][f"{features}{variant}"])
        pairs = _Pairs(images, Features.of(self.scored.truth[features]), places, inside)
        few = self._few(int(inside.sum()), "items") or self._few(int(inside[places].sum()), "images to compare with")
        return few or pairs

    def _few(self, count: int, what: str) -> str | None:
        if count >= self.fewest:
            return None
        return f"{count} {what}, fewer than the {self.fewest} that this protocol asks for"


@dataclass(frozen=True)
class _Pairs:
    """Features of images and of what they are compared with; statistics of some of the items inside a bin."""

    values: Features
    truth: Features
    places: npt.NDArray[np.int_]
    """Of the truth's items."""
    inside: Chosen

    def fewest(self, sources: Sequence[str], count: int) -> int:
        """Images to compare with in the smallest of so many parts."""
        return min(int(self._among_all(part)[self.places].sum()) for part in parts(sources, count))

    def _among_all(self, chosen: Chosen) -> Chosen:
        there = np.zeros(len(self.inside), np.bool_)
        there[self.inside] = chosen
        return there

    def kernel(self, sources: Sequence[str]) -> Found:
        """The leave-one-out jackknife is a little wide here too, but its intervals cover as they should."""
        if len(set(sources)) < 2:
            return "all items are of one source, which makes no independent pair"
        used = self.inside[self.places]
        if used.sum() != self.inside.sum():
            return "the reference set is not that of the items"
        return kernel_estimate_by_parts(self.values[self.inside], self.truth[used], sources), self.inside

    def frechet(self, chosen: Chosen) -> Estimate:
        """An item has a part in both sets: by its image, and by its truth where that is in the reference set."""
        there = self._among_all(chosen)
        used = there[self.places]
        estimate = frechet_estimate(self.values[there], self.truth[used])
        influence = np.zeros(len(there))
        influence[there] = estimate.influence_a
        influence[self.places[used]] += estimate.influence_b * (there.sum() / used.sum())
        return Estimate(estimate.value, influence[there])


def _mean(values: Array, inside: Chosen) -> Found:
    there = np.isfinite(values) & inside
    if not there.any():
        return "no item has anything to measure"
    return mean_estimate(values[there]), there
