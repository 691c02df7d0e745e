"""The kernel distance between two sets of features (KID), which assumes no Gaussian and is unbiased for any N.

KID is the squared maximum mean discrepancy (MMD) with the kernel (x·y / d + 1)³ (Binkowski, Sutherland, Arbel and
Gretton, "Demystifying MMD GANs", 2018). This module estimates KID without bias from all pairs of feature vectors, and
not from random subsets.

Usually both sets show the same items. The feature vectors of one item in the two sets are then not independent. The
feature vectors of two items of one source are not independent either. All such pairs are left out of every sum. The
result is the U-statistic of Gretton et al., "A kernel two-sample test" (2012), equation 4, with sources in place of
items. docs/uncertainty.md derives this estimate.

The time and the memory for all pairs grow with N². For more than `MOST` items, the sources are therefore divided into
parts. The estimate is then the mean of the parts' estimates (Zaremba, Gretton and Blaschko, "B-tests", 2013), and it is
also unbiased.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from bench.metrics.features import Features
from bench.metrics.uncertainty import Chosen, Estimate, parts

__all__ = ["MOST", "Kernel", "cubic_kernel", "kernel_distance", "kernel_estimate", "kernel_estimate_by_parts"]

Array = npt.NDArray[np.float64]
Kernel = Callable[[Array, Array], Array]
"""Function that returns the kernels N×M of features N×d and M×d."""
Counts = npt.NDArray[np.int_]

MOST = 3000
"""Largest number of items for which all pairs are computed at once; more items are divided into parts."""


def cubic_kernel(x: Array, y: Array) -> Array:
    """Return KID's kernels N×M of features N×d and M×d."""
    values: Array = x @ y.T
    values /= x.shape[1]
    values += 1
    squares = np.square(values)
    values *= squares
    return values


def kernel_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Estimate the squared MMD between two independent sets of features, without bias.

    If the sets are similar, the estimate can be negative, because it is unbiased.

    Args:
        a: features N×d, N >= 2.
        b: features M×d, M >= 2. The items of `b` must be independent of the items of `a`.

    Raises:
        ValueError: the shapes are not N×d and M×d, a set has fewer than two feature vectors, or a feature is not
            finite.
    """
    first, second = _features("a", a), _features("b", b)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"features have different dimensions: a has {first.shape[1]}, b has {second.shape[1]}")
    return _mean_of_pairs(first) + _mean_of_pairs(second) - 2 * float(cubic_kernel(first, second).mean())


def kernel_estimate(
    a: npt.ArrayLike, b: npt.ArrayLike, sources: Sequence[str] | None = None, kernel: Kernel = cubic_kernel
) -> Estimate:
    """Estimate the squared MMD between images and true images of the same items, with the influence of each item.

    The influences come from a jackknife that leaves out one source at a time. The influences of a source's items add up
    to exactly the jackknife's value for this source. If there are only two sources, the jackknife is impossible,
    because one source alone has no pairs. All influences are then 0.

    Args:
        a: features N×d of the images.
        b: features N×d of the true images, in the same order.
        sources: source of each item; None if every item is its own source.
        kernel: kernel of the discrepancy; by default KID's.

    Raises:
        ValueError: a feature or a shape is invalid as in `kernel_distance`, the two shapes differ, or all items have
            the same source.
    """
    first, second = _features("a", a), _features("b", b)
    _check_paired(first.shape, second.shape)
    count = len(first)
    _, group, sizes = np.unique(
        np.arange(count) if sources is None else np.asarray(sources), return_inverse=True, return_counts=True
    )
    if len(sizes) < 2:
        raise ValueError(f"paired sets must have items of at least two sources: found {count} items of one source")
    sums, others = _sums_over_other_sources(first, second, group, kernel), count - sizes[group]
    pairs = int(others.sum())
    value = float(sums.sum()) / pairs
    return Estimate(value, _left_out(sums - value * others, pairs - 2 * (sizes * (count - sizes))[group], group, sizes))


def _left_out(excess: Array, pairs_left: Counts, group: Counts, sizes: Counts) -> Array:
    """Return influences from which `standard_error` computes exactly the standard error of the jackknife over sources.

    Args:
        excess: for each item, the sum of the kernel terms over its pairs, minus the product of the estimate and the
            number of these pairs.
        pairs_left: for each item, the number of ordered pairs of all items that remain if the item's source is left
            out; 0 if there are only two sources.
        group: index of each item's source.
        sizes: number of items of each source.
    """
    # If a source is left out, the value changes by -2 times the sum of its items' excess, divided by the number of
    # pairs that remain.
    change = np.divide(2 * excess, pairs_left, out=np.zeros(len(excess)), where=pairs_left > 0)
    mean = change.sum() / len(sizes)
    influence: Array = len(group) * (1 - 1 / len(sizes)) * (change - (mean / sizes)[group])
    return influence


def _sums_over_other_sources(x: Array, y: Array, group: Counts, kernel: Kernel) -> Array:
    """Return, for each item i, the sum of the kernel terms over all items j whose source differs from the source of i.

    The term of a pair is k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(y_i, x_j).

    Args:
        x: features N×d of the images.
        y: features N×d of the true images, in the same order.
        group: index of each item's source.
        kernel: kernel of the discrepancy.
    """
    one_source = group[:, None] == group[None, :]
    sums = np.zeros(len(x))
    for first, second, sign in ((x, x, 0.5), (y, y, 0.5), (x, y, -1.0)):
        values = kernel(first, second)
        values[one_source] = 0
        sums += sign * (values.sum(0) + values.sum(1))
    return sums


def kernel_estimate_by_parts(
    a: npt.ArrayLike | Features,
    b: npt.ArrayLike | Features,
    sources: Sequence[str],
    kernel: Kernel = cubic_kernel,
) -> Estimate:
    """Estimate the squared MMD as `kernel_estimate` does, but with limited time and memory for many items.

    The sources are divided into parts with about equally many sources. The number of parts is the smallest for which a
    part has about `MOST` items or fewer. Each part must have at least two sources. If there are too few sources for
    that number of parts, there are fewer and larger parts. The value is the mean of the parts' values, weighted with
    the parts' numbers of items.

    Args:
        a: features N×d of the images.
        b: features N×d of the true images, in the same order.
        sources: source of each item.
        kernel: kernel of the discrepancy; by default KID's.

    Raises:
        ValueError: the input is invalid as in `kernel_estimate`.
    """
    first, second = Features.of(a, "features a"), Features.of(b, "features b")
    _check_paired(first.shape, second.shape)
    names = np.asarray(sources)
    value, influence = 0.0, np.empty(len(first))
    for part in _divided(sources):
        found = kernel_estimate(first[part].array(), second[part].array(), names[part].tolist(), kernel)
        value += found.value * float(part.mean())
        influence[part] = found.influence
    return Estimate(value, influence)


def _divided(sources: Sequence[str]) -> list[Chosen]:
    """Divide N items into N / `MOST` parts, rounded up, or into fewer parts if a part would have only one source.

    The result has the form that `bench.metrics.uncertainty.parts` returns.
    """
    most = max(len(set(sources)) // 2, 1)
    return parts(sources, min(-(-len(sources) // MOST), most))


def _check_paired(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    if first != second:
        raise ValueError(f"paired features must have the same shape: found {first} and {second}")


def _features(name: str, features: npt.ArrayLike) -> Array:
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2 or x.shape[1] < 1:
        raise ValueError(f"features {name} must have shape N×d with N >= 2 and d >= 1: found {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"features {name} hold values that are not finite")
    return x


def _mean_of_pairs(x: Array) -> float:
    """Return the mean of the kernel over all pairs of two different feature vectors of the set `x`, N×d."""
    kernel = cubic_kernel(x, x)
    return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))
