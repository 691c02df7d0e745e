"""Compute 95 % intervals from the influences of sources, by the method in use and by other methods that were tried."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from bench.metrics.spread import Spread
from bench.metrics.uncertainty import Estimate

__all__ = ["LOG", "OURS", "TRIED", "Ends", "MethodInput", "method_input"]

Array = npt.NDArray[np.float64]
Ends = tuple[float, float]
"""Lengths of an interval below and above the value."""
RESAMPLES = 600


@dataclass(frozen=True)
class MethodInput:
    """The input of every method: an estimate, and the influences of its sources."""

    value: float
    spread: Spread
    sums: Array
    """Sum of the influences of each source's items."""
    sizes: Array
    """The number of items of each source."""


Method = Callable[[MethodInput], Ends]


def method_input(estimate: Estimate, sources: Sequence[str] | None) -> MethodInput:
    """Return the input of the methods for an estimate that is computed from two or more sources."""
    names = np.arange(len(estimate.influence)) if sources is None else np.asarray(sources)
    _, group = np.unique(names, return_inverse=True)
    spread = Spread.of(estimate.influence, sources, change=estimate.change)
    assert spread is not None
    sums = np.bincount(group, weights=estimate.influence)
    return MethodInput(estimate.value, spread, sums, np.bincount(group).astype(np.float64))


def ours(found: MethodInput) -> Ends:
    """Use degrees of freedom from the fourth moment, and Hall's bound where it makes the interval longer."""
    low, high = found.spread.interval(0.0)
    return -low, high


def students(found: MethodInput) -> Ends:
    """Use Student's interval with G - 1 degrees of freedom, the earlier method."""
    return _even(found, found.spread.sources - 1)


def satterthwaite(found: MethodInput) -> Ends:
    """Use Student's interval; each s² is a variance with one degree of freedom, and Σs⁴ of normal sums is 3 Σσ⁴."""
    return _even(found, _satterthwaite(found))


def moments(found: MethodInput) -> Ends:
    """Use Student's interval with the current degrees of freedom, without the correction for skewness."""
    return _even(found, found.spread.freedom)


def bell_mccaffrey(found: MethodInput) -> Ends:
    """Use CR2 with Bell and McCaffrey's degrees of freedom for equal items in a source."""
    squares = np.square(found.sizes)
    return _even(found, squares.sum() ** 2 / np.square(squares).sum(), 0.5)


def leave_one_out(found: MethodInput) -> Ends:
    """Use CR3, the jackknife over sources, with Satterthwaite's degrees of freedom."""
    return _even(found, _satterthwaite(found), 1.0)


def hall(found: MethodInput) -> Ends:
    """Use Hall's transformation on either side with Satterthwaite's degrees of freedom."""
    skewness = found.spread.skewness
    quantile = float(stdtrit(_satterthwaite(found), 0.975))
    if skewness == 0:
        return quantile * found.spread.stderr, quantile * found.spread.stderr
    low, high = (3 * (np.cbrt(1 + skewness * (sign * quantile - skewness / 6)) - 1) / skewness for sign in (1.0, -1.0))
    return low * found.spread.stderr, -high * found.spread.stderr


def bootstrap_t(found: MethodInput) -> Ends:
    """Use the quantiles of the studentised sum over resampled sources."""
    count = len(found.sums)
    weights = _weights(count)
    sums = weights @ found.sums
    variances = weights @ np.square(found.sums) - np.square(sums) / count
    statistics = sums / np.sqrt(np.maximum(variances * count / (count - 1), np.finfo(np.float64).tiny))
    low, high = np.quantile(statistics, [0.025, 0.975])
    return high * found.spread.stderr, -low * found.spread.stderr


def logarithm(found: MethodInput) -> Ends:
    """Use Satterthwaite's interval on a log scale, for a value above 0."""
    half, _ = satterthwaite(found)
    with np.errstate(over="ignore"):
        factor = np.exp(half / found.value)
    return found.value - found.value / float(factor), found.value * float(factor) - found.value


OURS, LOG = "ours", "log scale"
TRIED: Mapping[str, Method] = {
    "G - 1": students,
    "Satterthwaite": satterthwaite,
    "fourth moment": moments,
    "CR2, Bell-McCaffrey": bell_mccaffrey,
    "CR3, Satterthwaite": leave_one_out,
    "Hall": hall,
    "bootstrap-t": bootstrap_t,
    LOG: logarithm,
    OURS: ours,
}
"""Methods by name; a log scale is for numbers that are always above 0."""


def _satterthwaite(found: MethodInput) -> float:
    return float(np.clip(3 * found.spread.effective_sources, 1, found.spread.sources - 1))


def _even(found: MethodInput, freedom: float, power: float = 0.0) -> Ends:
    """Use Student's interval; each sum is divided by a power of the share of items outside its source."""
    factor = 1.0
    if power:
        count = len(found.sums)
        adjusted = np.square(found.sums / (1 - found.sizes / found.sizes.sum()) ** power).sum()
        unadjusted = count / (count - 1) * np.square(found.sums).sum()
        factor = np.sqrt(adjusted * ((count - 1) / count if power == 1 else 1) / unadjusted)
    half = float(stdtrit(freedom, 0.975)) * found.spread.stderr * float(factor)
    return half, half


@functools.cache
def _weights(count: int) -> Array:
    """Return the number of times that each source is drawn in each resample."""
    return np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)
