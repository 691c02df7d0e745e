"""From what was measured on the items to one number for each row and metric, with its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bench.metrics.frechet import frechet_estimate
from bench.metrics.kernel import kernel_estimate
from bench.metrics.uncertainty import Difference, Estimate, holm, mean_estimate, paired_difference, standard_error

__all__ = ["Measurement", "RowScores", "summarise"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RowScores:
    """All items' scores for one row, in the manifest's order."""

    per_item: Mapping[str, Array]
    features: npt.NDArray[np.float32]


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


def summarise(
    rows: Mapping[str, RowScores],
    truth: npt.NDArray[np.float32],
    sources: Sequence[str],
    *,
    reference: str | None,
    fid_minimum: int,
) -> dict[str, dict[str, Measurement]]:
    """Measurements by row and metric.

    Args:
        rows: scores of every row.
        truth: features N×d of the true images.
        sources: N names; items of one source are not independent.
        reference: the row with which the others are compared, if any.
        fid_minimum: fewest items of which a Fréchet distance is given.
    """
    estimates = {
        name: {
            "fid": _fid(scores.features, truth, fid_minimum),
            "kid": _kid(scores.features, truth, fid_minimum),
            **{metric: _mean(values, sources) for metric, values in scores.per_item.items()},
        }
        for name, scores in rows.items()
    }
    table = {
        name: {metric: _measure(found, sources) for metric, found in metrics.items()}
        for name, metrics in estimates.items()
    }
    if reference is not None and reference in rows:
        for metric in table[reference]:
            _compare(table, estimates, metric, reference, sources)
    return table


Found = tuple[Estimate, npt.NDArray[np.bool_]] | str
"""An estimate and the items it rests on, or why there is none."""


def _fid(features: npt.NDArray[np.float32], truth: npt.NDArray[np.float32], minimum: int) -> Found:
    if len(features) < minimum:
        return f"{len(features)} items, fewer than the {minimum} that this protocol asks for"
    estimate = frechet_estimate(features, truth)
    # An item has a part in both sets, by its image and by its truth.
    influence = estimate.influence_a + estimate.influence_b
    return Estimate(estimate.value, influence), np.ones(len(features), np.bool_)


def _kid(features: npt.NDArray[np.float32], truth: npt.NDArray[np.float32], minimum: int) -> Found:
    if len(features) < minimum:
        return f"{len(features)} items, fewer than the {minimum} that this protocol asks for"
    return kernel_estimate(features, truth), np.ones(len(features), np.bool_)


def _mean(values: Array, sources: Sequence[str]) -> Found:
    there = np.isfinite(values)
    if not there.any():
        return "no item has anything to measure"
    return mean_estimate(values[there]), there


def _measure(found: Found, sources: Sequence[str]) -> Measurement:
    if isinstance(found, str):
        return Measurement(None, reason=found)
    estimate, there = found
    chosen = [source for source, used in zip(sources, there, strict=True) if used]
    error = standard_error(estimate.influence, chosen)
    stderr = None if np.isnan(error) else error
    return Measurement(estimate.value, stderr, int(there.sum()), len(set(chosen)))


def _compare(
    table: dict[str, dict[str, Measurement]],
    estimates: Mapping[str, Mapping[str, Found]],
    metric: str,
    reference: str,
    sources: Sequence[str],
) -> None:
    base = estimates[reference][metric]
    if isinstance(base, str):
        return
    names, differences = [], []
    for name, metrics in estimates.items():
        found = metrics.get(metric, "")
        if name == reference or isinstance(found, str) or not np.array_equal(found[1], base[1]):
            continue
        chosen = [source for source, used in zip(sources, base[1], strict=True) if used]
        names.append(name)
        differences.append(paired_difference(found[0], base[0], chosen))
    adjusted = holm([found.p_value for found in differences])
    difference: Difference | None
    p_value: float | None
    for name, difference, p_value in zip(names, differences, adjusted, strict=True):
        value = table[name][metric].value
        if difference is not None and not np.isfinite(difference.stderr):
            difference, p_value = None, None
        ratio = "exact" if value == 0 else base[0].value / value if value is not None else None
        table[name][metric] = replace(table[name][metric], ratio=ratio, difference=difference, p_holm=p_value)
