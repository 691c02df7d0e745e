"""The kernel distance between two sets of features (KID), which assumes no Gaussian and is unbiased for any N.

It is the squared maximum mean discrepancy with the kernel (x·y / d + 1)³ (Binkowski, Sutherland, Arbel and Gretton,
"Demystifying MMD GANs", 2018), estimated without bias from all pairs instead of random subsets. If both sets show the
same items, row i of one set and row i of the other are not an independent pair; nor are rows of two items that were cut
from one source. All such pairs are left out of every term. The result is the U-statistic of Gretton et al., "A kernel
two-sample test" (2012), equation 4, with sources instead of items. docs/uncertainty.md derives it.

Time and memory of all pairs grow with N². For more than `MOST` items, the sources are divided into parts, and the
estimate is the mean over the parts (Zaremba, Gretton and Blaschko, "B-tests", 2013), which is also unbiased.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.metrics.features import Features
from bench.metrics.uncertainty import Chosen, Estimate, parts

__all__ = ["MOST", "kernel_distance", "kernel_estimate", "kernel_estimate_by_parts"]

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int_]

MOST = 3000
"""Largest number of items for which all pairs are computed."""


def kernel_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Estimate the squared MMD between independent features N×d and M×d without bias.

    The estimate can be below zero if the sets are alike.

    Raises:
        ValueError: the shapes are not N×d and M×d, a set has fewer than two rows, or a feature is not finite.
    """
    first, second = _features("a", a), _features("b", b)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"features have different dimensions: a has {first.shape[1]}, b has {second.shape[1]}")
    return _mean_of_pairs(first) + _mean_of_pairs(second) - 2 * float(_kernel(first, second).mean())


def kernel_estimate(a: npt.ArrayLike, b: npt.ArrayLike, sources: Sequence[str] | None = None) -> Estimate:
    """Estimate the squared MMD between paired sets, with the influence of each item.

    The influences are those of the jackknife that leaves out one source at a time: the sum over a source's items is
    exactly the jackknife's value for this source. With only two sources, no source can be left out, and all
    influences are 0.

    Args:
        a: features N×d of the images.
        b: features N×d of the true images, in the same order.
        sources: source of each item; None if every item is its own source.

    Raises:
        ValueError: a feature or a shape is invalid as in `kernel_distance`, the shapes differ, or all items are of one
            source.
    """
    first, second = _features("a", a), _features("b", b)
    _check_paired(first.shape, second.shape)
    count = len(first)
    _, group, sizes = np.unique(
        np.arange(count) if sources is None else np.asarray(sources), return_inverse=True, return_counts=True
    )
    if len(sizes) < 2:
        raise ValueError(f"paired sets must have items of at least two sources: found {count} items of one source")
    sums, others = _sums_over_other_sources(first, second, group), count - sizes[group]
    pairs = int(others.sum())
    value = float(sums.sum()) / pairs
    return Estimate(value, _left_out(sums - value * others, pairs - 2 * (sizes * (count - sizes))[group], group, sizes))


def _left_out(excess: Array, pairs_left: Counts, group: Counts, sizes: Counts) -> Array:
    """Return the influences that make `standard_error` the jackknife over sources.

    Args:
        excess: for each item, the sum over its pairs minus the value times the number of its pairs.
        pairs_left: for each item, the number of ordered pairs that remain without its source; 0 if there are only two
            sources.
        group: for each item, the index of its source.
        sizes: for each source, its number of items.
    """
    # Without a source the value changes by -2 times the sum of its items' excess divided by the number of pairs left.
    change = np.divide(2 * excess, pairs_left, out=np.zeros(len(excess)), where=pairs_left > 0)
    mean = change.sum() / len(sizes)
    influence: Array = len(group) * (1 - 1 / len(sizes)) * (change - (mean / sizes)[group])
    return influence


def _sums_over_other_sources(x: Array, y: Array, group: Counts) -> Array:
    """Return, for each i, the sum of k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(y_i, x_j) over j of other sources."""
    one_source = group[:, None] == group[None, :]
    sums = np.zeros(len(x))
    for first, second, sign in ((x, x, 0.5), (y, y, 0.5), (x, y, -1.0)):
        kernel = _kernel(first, second)
        kernel[one_source] = 0
        sums += sign * (kernel.sum(0) + kernel.sum(1))
    return sums


def kernel_estimate_by_parts(
    a: npt.ArrayLike | Features, b: npt.ArrayLike | Features, sources: Sequence[str]
) -> Estimate:
    """Estimate the squared MMD between paired sets of any number of items.

    The sources are divided into the fewest parts with at most about `MOST` items each; each part has about the same
    number of sources.

    Args:
        a: features N×d of the images.
        b: features N×d of the true images, in the same order.
        sources: source of each item.

    Raises:
        ValueError: the input is invalid as in `kernel_estimate`.
    """
    first, second = Features.of(a, "features a"), Features.of(b, "features b")
    _check_paired(first.shape, second.shape)
    names = np.asarray(sources)
    value, influence = 0.0, np.empty(len(first))
    for part in _divided(sources):
        found = kernel_estimate(first[part].array(), second[part].array(), names[part].tolist())
        value += found.value * float(part.mean())
        influence[part] = found.influence
    return Estimate(value, influence)


def _divided(sources: Sequence[str]) -> list[Chosen]:
    """Divide sources into as many parts as `MOST` requires, or into fewer, so that each part has two sources."""
    most = max(len(set(sources)) // 2, 1)
    return parts(sources, min(-(-len(sources) // MOST), most))


def _check_paired(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    if first != second:
        raise ValueError(f"paired features must have one shape: found {first} and {second}")


def _features(name: str, features: npt.ArrayLike) -> Array:
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2 or x.shape[1] < 1:
        raise ValueError(f"features {name} must have shape N×d with N >= 2: found {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"features {name} hold values that are not finite")
    return x


def _kernel(x: Array, y: Array) -> Array:
    values: Array = x @ y.T
    values /= x.shape[1]
    values += 1
    squares = np.square(values)
    values *= squares
    return values


def _mean_of_pairs(x: Array) -> float:
    """Return the mean of the kernel over all pairs of different rows."""
    kernel = _kernel(x, x)
    return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))
