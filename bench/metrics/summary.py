"""A summary of the values measured on the items: one number for each row and metric, with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.metrics.bins import area_bin
from bench.metrics.discrepancy import SCALE, DiscrepancyEstimate, discrepancy_estimate, gaussian_kernel
from bench.metrics.extrapolation import COUNTS, Extrapolation, extrapolate
from bench.metrics.features import Features
from bench.metrics.frechet import FrechetEstimate, frechet_estimate
from bench.metrics.inception_score import inception_score
from bench.metrics.kernel import MOST, Kernel, cubic_kernel, kernel_estimate_by_parts
from bench.metrics.names import COMPARING, HOLE_ONLY, VARIANTS, MetricName, with_variant
from bench.metrics.ranges import is_share, never_negative
from bench.metrics.scores import Scored
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
from bench.runtime.not_available import NotAvailable

__all__ = ["EXACT", "UNBOUNDED", "Found", "Measurement", "Summary"]

Array = npt.NDArray[Any]
Distance = Callable[[Features, Features], FrechetEstimate | DiscrepancyEstimate]
"""Function that computes a distance between two sets of features, and the influence of each feature vector on it."""

UNBOUNDED = "the interval of the divisor contains 0, so the ratio has no bounded interval"
EXACT = NotAvailable("exact")
"""Placeholder for a ratio that does not exist because its divisor is exactly 0."""
UNDEFINED = {
    "psnr": "every image equals its truth, so the ratio is infinite",
    "pre_error": "no item has a known pixel",
}
"""Reason why a metric has no value if no item has a value of it, by the metric's name."""
SPLITS = 10
"""Number of splits of the Inception Score."""
STATISTICS: Mapping[str, Mapping[str, Any]] = {
    "mean": {"statistic": "mean over items"},
    "fid": {"statistic": "Fréchet distance to the true images, covariances by N - 1"},
    "fd": {"statistic": "Fréchet distance to the true images, covariances by N - 1"},
    "kid": {
        "statistic": "squared maximum mean discrepancy, cubic kernel, unbiased",
        "all pairs of two sources among": MOST,
    },
    "cmmd": {
        "statistic": "1000 times the squared maximum mean discrepancy, Gaussian kernel of deviation 10, all pairs"
    },
    "cmmd_unbiased": {
        "statistic": "1000 times the squared maximum mean discrepancy, Gaussian kernel of deviation 10, unbiased",
        "all pairs of two sources among": MOST,
    },
    "inception_score": {"statistic": "Inception Score", "splits": SPLITS, "shuffled by": "RandomState(2020)"},
}
"""For each statistic, the settings that become a part of the protocol. A key is the prefix of the metric's name. The
key `mean` is for every metric that has one value for each item."""


@dataclass(frozen=True)
class Measurement:
    """The value of one metric for one row, with its uncertainty, or the reason why there is no value."""

    value: float | None
    stderr: float | None = None
    """Standard error; None if it is unknown. `stderr_reason` then gives the reason, if there is a value."""
    n: int = 0
    """Number of items from which the value is computed."""
    sources: int = 0
    """Number of different sources of these items."""
    reason: str | None = None
    """Reason why there is no value; None if there is one."""
    ratio: Measurement | NotAvailable | None = None
    """Value of the reference row divided by this row's value, both from the same items; `EXACT` if this row's value is
    0. None if there is no comparison with a reference row."""
    difference: Difference | None = None
    """Value of this row minus the value of the reference row, both from the same items; None if there is no comparison
    or no interval of the difference."""
    p_holm: float | None = None
    """P-value of `difference`, adjusted by Holm's method. `bench.tables.comparisons` defines which differences are
    adjusted together. None if it was not adjusted."""

    @property
    def differs(self) -> bool:
        """True if the row differs significantly from the reference row.

        For True, the adjusted p-value must be below `LEVEL`, and the difference must have enough effective sources for
        a verdict.
        """
        if self.difference is None or self.p_holm is None or self.difference.decided_by_few:
            return False
        return self.p_holm < LEVEL

    spread: Spread | None = None
    """Spread of the value, from which its interval is computed; None if there is no standard error."""
    stderr_reason: str | None = None
    """Reason why the value has no standard error; None if it has one, or if there is no value."""
    of_positives: bool = False
    """True if the value is a ratio of two quantities that are never negative."""

    @property
    def ci95(self) -> tuple[float, float] | None:
        """Lower and upper end of the 95 % interval; None if there is no value or no standard error.

        The interval uses Student's distribution. If the value's distribution is skewed, the interval is longer on the
        side of the long tail. A ratio of two quantities that are never negative is special, because all its possible
        values are 0 or more. If such a ratio is above 0, but this interval begins at 0 or below, another interval is
        used. It is computed for the logarithm of the ratio and then converted back, so that both ends are above 0.
        """
        if self.value is None or self.spread is None:
            return None
        low, high = self.spread.interval(self.value)
        if self.of_positives and low <= 0 < self.value:
            return self.value * math.exp(low / self.value - 1), self.value * math.exp(high / self.value - 1)
        return low, high

    @property
    def effective_sources(self) -> float | None:
        """Number of effective sources of the standard error, from 1 to `sources`; None without a standard error."""
        return None if self.spread is None else self.spread.effective_sources

    @property
    def freedom(self) -> float | None:
        """Degrees of freedom of the Student distribution from which `ci95` is computed; None if there is no standard
        error.
        """
        return None if self.spread is None else self.spread.freedom

    @property
    def interval_too_short(self) -> bool:
        """True if there are too few effective sources for a reliable interval.

        An interval from too few sources is too short: it contains the true value with a probability of less than 95 %.
        The value is False if there is no standard error.
        """
        return self.spread is not None and self.spread.decided_by_few


Found = tuple[Estimate, Chosen] | NotAvailable
"""A pair of an estimate and N booleans, which are True for the items from which the estimate is computed. If there is
no estimate, a `NotAvailable` with the reason."""


@dataclass(frozen=True)
class Summary:
    """An object that estimates every metric for every row, and that compares two rows item by item.

    Attributes:
        scored: measured values of all items.
        fewest: smallest number of items for which a Fréchet or kernel distance is computed.
        minimums: smallest number of items for single metrics, by the metric's name without endings. It replaces
            `fewest` for these metrics.
        bins: bins of mask area in percent, such as (40, 50), for which every metric is also computed, except the
            metrics of the variant `hole_only`.
        rule: rule for an area on the edge of a bin, as in `bench.metrics.bins.area_bin`.
        share: share of the items that is used, above 0 and at most 1. The used items are spread evenly over all items.
    """

    scored: Scored
    fewest: int
    bins: tuple[tuple[int, int], ...] = ()
    rule: str = "offline"
    share: float = 1.0
    minimums: Mapping[str, int] = field(default_factory=dict)

    def without_features(self) -> Summary:
        """Return a summary of only those metrics that are computed from one value for each item.

        Metrics such as `fid` are computed from features, so the returned summary lacks them. Features may be computed
        again by a network when they are needed. A summary without features therefore does not keep the networks of a
        finished run in memory.
        """
        rows = {
            row: {name: values for name, values in arrays.items() if values.ndim == 1}
            for row, arrays in self.scored.rows.items()
        }
        return replace(self, scored=replace(self.scored, rows=rows, truth={}, sets={}))

    @cached_property
    def metrics(self) -> dict[str, list[str]]:
        """The full names of all metrics of each row. The keys are the names of the rows."""
        return {row: self._names(arrays) for row, arrays in self.scored.rows.items()}

    def _names(self, arrays: Mapping[str, Array | Features]) -> list[str]:
        names = [
            with_variant(metric, variant)
            for metric, features in self.scored.sets.items()
            for variant in ("", *VARIANTS)
            if with_variant(features, variant) in arrays
        ]
        names += [name for name, values in arrays.items() if values.ndim == 1]
        binned = [metric for metric in names if not metric.endswith(HOLE_ONLY)]
        return names + [f"{metric}_{low}_{high}" for low, high in self.bins for metric in binned]

    @cached_property
    def _found(self) -> dict[tuple[str, str], Found]:
        return {(row, name): self._estimate(row, name) for row, names in self.metrics.items() for name in names}

    def found(self, row: str, metric: str) -> Found:
        """Return the estimate of a metric for a row.

        Args:
            row: name of the row.
            metric: full name of the metric.

        Returns:
            The estimate and the items from which it is computed, or a `NotAvailable` with the reason why there is no
            estimate.
        """
        return self._found.get((row, metric), NotAvailable(f"{metric} was not measured on {row}"))

    def measure(self, metric: str) -> str:
        """Return the name of the measure that computes the values or features for a metric."""
        name = MetricName.parse(metric).metric
        return self.scored.sets[name].partition(".")[0] if name in self.scored.sets else self.scored.measures[name]

    def statistic(self, metric: str) -> dict[str, Any]:
        """Describe how a metric is computed from the measure's arrays. The description becomes a part of the protocol.

        The description is plain data. It has the statistic with its settings, and the variant and the bin of the metric
        if the metric's name has them. It also names a reference set that does not consist of the items' true images,
        and the share of the items that is used, if this share is below 1.
        """
        name = MetricName.parse(metric)
        found = dict(STATISTICS["mean"])
        if name.metric in self.scored.sets:
            found = {**STATISTICS[name.statistic or "fid"], "fewest": self._fewest(name)}
        if self.scored.reference and name.statistic in COMPARING:
            found["reference"] = self.scored.reference
        if self.share < 1:
            found["share of the items"] = self.share
        if name.variant:
            found["image"] = VARIANTS[name.variant]
        if name.bin is not None:
            (low, high), (opening, closing) = name.bin, "[)" if self.rule == "offline" else "(]"
            found["items"] = f"share of hole in {opening}{low} %, {high} %{closing}"
        return found

    def measurement(self, row: str, metric: str) -> Measurement:
        """Return a metric's value and standard error for a row, without a comparison with the reference row."""
        found = self.found(row, metric)
        if isinstance(found, NotAvailable):
            return Measurement(None, reason=found.reason)
        exact = math.nan if is_share(metric) else 0.0
        return self._measured(*found, rounding_of([(1.0, found[0])]), exact)

    def difference(self, new: str, old: str, metric: str) -> Difference | NotAvailable:
        """Compute the metric of the row `new` minus the metric of the row `old`, paired item by item.

        Returns:
            The difference with its interval, or a `NotAvailable` with the reason why there is no difference or no
            interval.
        """
        pair = self._pair(new, old, metric)
        if isinstance(pair, NotAvailable):
            return pair
        first, second, there = pair
        return _with_spread(paired_difference(first, second, self._sources(there)), metric)

    def variance_shares(self, new: str, old: str, metric: str) -> dict[str, float]:
        """Return the share of the variance of a difference that each source causes.

        The difference is the metric of the row `new` minus the metric of the row `old`.

        Returns:
            A dictionary from the name of each source to its share in [0, 1]. The largest share comes first. The
            dictionary is empty if the difference cannot be computed, or if its variance is 0.
        """
        pair = self._pair(new, old, metric)
        if isinstance(pair, NotAvailable):
            return {}
        first, second, there = pair
        return variance_shares(first.influence - second.influence, self._sources(there))

    def contrast(self, weights: Mapping[str, float], metric: str) -> Difference | NotAvailable:
        """Compare a weighted sum of the values of several rows with 0.

        Args:
            weights: weight of each row.
            metric: full name of the metric.

        Returns:
            The weighted sum with its interval. The result is a `NotAvailable` with the reason if a row has no value, if
            the rows were not measured on the same items, or if there is no interval.
        """
        first = next(iter(weights))
        weighted = []
        for row, weight in weights.items():
            pair = self._pair(row, first, metric)
            if isinstance(pair, NotAvailable):
                return pair
            estimate, _, there = pair
            weighted.append((weight, estimate))
        return _with_spread(contrast(weighted, self._sources(there)), metric)

    def ratio(self, above: str, below: str, metric: str) -> Measurement:
        """Return the value of the row `above` divided by the value of the row `below`, both from the same items.

        The standard error follows from the delta method. If the interval of the divisor contains 0, the ratio has no
        bounded interval (Fieller, "Some problems in interval estimation", 1954). The result then has a value but no
        standard error. If the divisor is exactly 0, the result has no value. `Measurement.ci95` explains the interval
        of a ratio.
        """
        pair = self._pair(above, below, metric)
        if isinstance(pair, NotAvailable):
            return Measurement(None, reason=pair.reason)
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
        found = self._measured(replace(linear, value=value), there, rounding, exact=1.0)
        return replace(found, of_positives=never_negative(metric))

    def _pair(self, new: str, old: str, metric: str) -> tuple[Estimate, Estimate, Chosen] | NotAvailable:
        first, second = self.found(new, metric), self.found(old, metric)
        if isinstance(first, NotAvailable):
            return first
        if isinstance(second, NotAvailable):
            return second
        if not np.array_equal(first[1], second[1]):
            return NotAvailable(f"{new} and {old} were not measured on the same items")
        return first[0], second[0], first[1]

    def table(self, reference: str | None) -> dict[str, dict[str, Measurement]]:
        """Return the measurement of every metric for every row. The first key is the row, and the second key is the
        metric.

        The p-values of the differences are not adjusted here. `bench.tables.comparisons` adjusts them.

        Args:
            reference: name of the reference row, with which every other row is compared; None for no comparison.
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
            if row == reference or isinstance(self._pair(row, reference, metric), NotAvailable):
                continue
            value, difference = table[row][metric].value, self.difference(row, reference, metric)
            table[row][metric] = replace(
                table[row][metric],
                ratio=self.ratio(reference, row, metric) if value else EXACT,
                difference=None if isinstance(difference, NotAvailable) else difference,
            )

    def _measured(self, estimate: Estimate, there: Chosen, rounding: float, exact: float = 0.0) -> Measurement:
        """Return the measurement of an estimate.

        A computed standard error of 0 is kept only if the value equals `exact`. For any other value, the spread is
        unknown, and the measurement has no standard error.

        Args:
            estimate: estimate with its influences.
            there: N booleans, True for the items from which the estimate is computed.
            rounding: limit for rounding errors, as in `Spread.of`.
            exact: value that may have a standard error of 0; NaN if no value may have it.
        """
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

    def extrapolation(self, row: str, metric: str) -> Extrapolation | NotAvailable:
        """Extrapolate a Fréchet distance to infinitely many items.

        Args:
            row: name of the row.
            metric: full name of a metric that is a Fréchet distance, such as `fid`.

        Returns:
            The extrapolation, or a `NotAvailable` with the reason why there is no extrapolation.
        """
        pairs = self._pairs(row, metric)
        if isinstance(pairs, NotAvailable):
            return pairs
        sources = self._sources(pairs.inside)
        if pairs.fewest(sources, max(COUNTS)) < 2:
            return NotAvailable(f"too few sources to divide them into {max(COUNTS)} parts")
        return extrapolate(pairs.frechet, sources)

    def _estimate(self, row: str, metric: str) -> Found:
        name = MetricName.parse(metric)
        inside = self._inside(name)
        if name.metric not in self.scored.sets:
            values = np.asarray(self.scored.rows[row][with_variant(name.metric, name.variant)])
            return _mean(values, inside, name.metric)
        if name.statistic == "inception_score":
            return self._inception_score(row, name, inside)
        pairs = self._pairs(row, metric)
        if isinstance(pairs, NotAvailable):
            return pairs
        sources = self._sources(inside)
        if name.statistic == "kid":
            return pairs.kernel(sources)
        if name.statistic == "cmmd_unbiased":
            return pairs.kernel(sources, gaussian_kernel, SCALE)
        if name.statistic == "cmmd":
            return pairs.plugged(discrepancy_estimate, np.ones(len(sources), np.bool_)), inside
        if pairs.fewest(sources, 2) < 2:
            return pairs.frechet(np.ones(len(sources), np.bool_)), inside
        return estimate_by_halves(pairs.frechet, sources), inside

    def _inside(self, name: MetricName) -> Chosen:
        """Return N booleans, True for the items from which a metric is computed.

        These are the items that `share` chooses. If the metric's name has a bin, chosen items outside this bin are
        not used.
        """
        steps = np.floor(np.arange(len(self.scored.sources) + 1) * self.share)
        used: Chosen = np.diff(steps) > 0
        if name.bin is None:
            return used
        low, high = name.bin
        return used & area_bin(self.scored.mask_area, low / 100, high / 100, rule=self.rule)

    def _inception_score(self, row: str, name: MetricName, inside: Chosen) -> Found:
        few = self._few(int(inside.sum()), "items", name)
        if few is not None:
            return few
        if inside.sum() < SPLITS:
            return NotAvailable(
                f"{inside.sum()} items, fewer than the {SPLITS} splits that an Inception Score requires"
            )
        logits = Features.of(self.scored.rows[row][name.array(self.scored.sets)])
        score = inception_score(logits[inside], splits=SPLITS)
        return Estimate(score.value, score.influence), inside

    def _pairs(self, row: str, metric: str) -> _Pairs | NotAvailable:
        """Return the two sets of features that a metric compares.

        If there are too few items or reference images, return a `NotAvailable` with the reason.
        """
        name = MetricName.parse(metric)
        inside, places = self._inside(name), np.asarray(self.scored.references, np.int_)
        images = Features.of(self.scored.rows[row][name.array(self.scored.sets)])
        truth = Features.of(self.scored.truth[self.scored.sets[name.metric]])
        few = self._few(int(inside.sum()), "items", name)
        few = few or self._few(int(inside[places].sum()), "images to compare with", name)
        return few or _Pairs(images, truth, places, inside)

    def _few(self, count: int, what: str, name: MetricName) -> NotAvailable | None:
        if count >= self._fewest(name):
            return None
        return NotAvailable(f"{count} {what}, fewer than the {self._fewest(name)} that this protocol requires")

    def _fewest(self, name: MetricName) -> int:
        return self.minimums.get(name.metric, self.fewest)


def _with_spread(found: Difference | NotAvailable, metric: str) -> Difference | NotAvailable:
    """Return a difference, or a `NotAvailable` if it is a difference of shares that is the same for every item.

    Such a difference has a standard error of 0 by chance, and not because it is exact.
    """
    if is_share(metric) and not isinstance(found, NotAvailable) and found.stderr == 0:
        return NotAvailable(NO_SPREAD)
    return found


@dataclass(frozen=True)
class _Pairs:
    """Two sets of features that a metric compares: the features of a row's images, and the features of the reference
    set.

    The reference set consists of true images. Distances are computed only from the items for which `inside` is True.
    """

    values: Features
    truth: Features
    places: npt.NDArray[np.int_]
    """Index of the item to which each image of the reference set belongs."""
    inside: Chosen

    def fewest(self, sources: Sequence[str], count: int) -> int:
        """Divide the items in `inside` into parts, and return the smallest number of reference images among the parts.

        Args:
            sources: source of each item in `inside`.
            count: number of parts.
        """
        return min(int(self._among_all(part)[self.places].sum()) for part in parts(sources, count))

    def _among_all(self, chosen: Chosen) -> Chosen:
        there = np.zeros(len(self.inside), np.bool_)
        there[self.inside] = chosen
        return there

    def kernel(self, sources: Sequence[str], kernel: Kernel = cubic_kernel, scale: float = 1.0) -> Found:
        """Return the kernel distance, or a `NotAvailable` with the reason why there is no distance.

        The interval of the distance is slightly too wide, because the influences come from a leave-one-out jackknife.

        Args:
            sources: source of each item in `inside`.
            kernel: kernel of the distance.
            scale: factor by which the distance is multiplied.
        """
        if len(set(sources)) < 2:
            return NotAvailable("all items are of one source, but this metric needs items of two sources")
        used = self.inside[self.places]
        if used.sum() != self.inside.sum():
            return NotAvailable("the reference set does not have one image for each item")
        found = kernel_estimate_by_parts(self.values[self.inside], self.truth[used], sources, kernel)
        return Estimate(scale * found.value, scale * found.influence), self.inside

    def frechet(self, chosen: Chosen) -> Estimate:
        """Return the Fréchet distance with its influences, computed from a subset of the items in `inside`.

        Args:
            chosen: a boolean for each item in `inside`, True if the item is in the subset.
        """
        return self.plugged(frechet_estimate, chosen)

    def plugged(self, distance: Distance, chosen: Chosen) -> Estimate:
        """Return a distance between the two sets with its influences, computed from a subset of the items in `inside`.

        An item influences the distance through its image in the row. If the item's true image is in the reference set,
        the item also influences the distance through the true image.

        Args:
            distance: function that computes the distance and the influence of each feature vector.
            chosen: a boolean for each item in `inside`, True if the item is in the subset.
        """
        there = self._among_all(chosen)
        used = there[self.places]
        estimate = distance(self.values[there], self.truth[used])
        influence = np.zeros(len(there))
        influence[there] = estimate.influence_a
        influence[self.places[used]] += estimate.influence_b * (there.sum() / used.sum())
        return Estimate(estimate.value, influence[there])


def _mean(values: Array, inside: Chosen, metric: str) -> Found:
    if not inside.any():
        return NotAvailable("no item has a hole of this size")
    there = np.isfinite(values) & inside
    if not there.any():
        other = "no item has such a word that can be read" if metric.startswith("text_") else "no item can be measured"
        return NotAvailable(UNDEFINED.get(metric, other))
    return mean_estimate(values[there]), there
