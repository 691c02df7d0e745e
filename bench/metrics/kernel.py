"""The kernel distance of two sets of features (KID): no Gaussian is assumed, and no bias comes with few items.

Binkowski, Sutherland, Arbel and Gretton, "Demystifying MMD GANs" (2018): the squared maximum mean discrepancy under the
kernel (x·y / d + 1)³, estimated without bias, here over all pairs instead of random subsets. Where both sets show the
same items, an image and its own truth are no independent pair and are left out: the U-statistic of Gretton et al., "A
kernel two-sample test" (2012), equation 4.

Time and memory of all pairs grow with N². Beyond `MOST` items the sources are dealt out to parts, and the estimate is
the mean of the parts': Zaremba, Gretton and Blaschko, "B-tests" (2013). It has no bias either.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.metrics.features import Features
from bench.metrics.uncertainty import Chosen, Estimate, parts

__all__ = ["MOST", "kernel_distance", "kernel_estimate", "kernel_estimate_by_parts"]

Array = npt.NDArray[np.float64]

MOST = 3000
"""Items of which all pairs are taken."""


def kernel_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Unbiased squared MMD between independent features N×d and M×d; below zero at times where the sets are alike.

    Raises:
        ValueError: another shape, fewer than two rows, or a feature that is not finite.
    """
    first, second = _features("a", a), _features("b", b)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"features of unlike dimension: a has {first.shape[1]}, b has {second.shape[1]}")
    return float(_others(first).mean() + _others(second).mean() - 2 * _kernel(first, second).mean())


def kernel_estimate(a: npt.ArrayLike, b: npt.ArrayLike) -> Estimate:
    """The U-statistic for paired sets, row i of both belonging to item i, with each item's influence.

    Raises:
        ValueError: as `kernel_distance`, or unlike numbers of rows.
    """
    first, second = _features("a", a), _features("b", b)
    if first.shape != second.shape:
        raise ValueError(f"paired features must have one shape: found {first.shape} and {second.shape}")
    # Each item's mean over the other items of k(x, x') + k(y, y') - k(x, y') - k(y, x').
    projection = _others(first) + _others(second) - _others(first, second) - _others(second, first)
    # N - 1 times the value's change where an item is left out; two items have no other influence than none.
    factor = 2 * (len(first) - 1) / max(len(first) - 2, 1)
    return Estimate(float(projection.mean()), factor * (projection - projection.mean()))


def kernel_estimate_by_parts(
    a: npt.ArrayLike | Features, b: npt.ArrayLike | Features, sources: Sequence[str]
) -> Estimate:
    """The same, of any number of items: in parts of about equally many sources, as few as keep to `MOST` items each.

    Args:
        a: features N×d of the images.
        b: of their truths, in the same order.
        sources: the source of each item.

    Raises:
        ValueError: as `kernel_estimate`.
    """
    first, second = Features.of(a, "features a"), Features.of(b, "features b")
    if first.shape != second.shape:
        raise ValueError(f"paired features must have one shape: found {first.shape} and {second.shape}")
    value, influence = 0.0, np.empty(len(first))
    for part in _dealt(sources):
        found = kernel_estimate(first[part].array(), second[part].array())
        value += found.value * float(part.mean())
        influence[part] = found.influence
    return Estimate(value, influence)


def _dealt(sources: Sequence[str]) -> list[Chosen]:
    """As many parts as `MOST` asks for, or fewer where sources are so few and large that one would hold no pair."""
    dealt = parts(sources, -(-len(sources) // MOST))
    while len(dealt) > 1 and min(part.sum() for part in dealt) < 2:
        dealt = parts(sources, len(dealt) - 1)
    return dealt


def _features(name: str, features: npt.ArrayLike) -> Array:
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2 or x.shape[1] < 1:
        raise ValueError(f"features {name} must have shape N×d with N >= 2: found {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"features {name} hold values that are not finite")
    return x


def _kernel(x: Array, y: Array) -> Array:
    values: Array = (x @ y.T / x.shape[1] + 1) ** 3
    return values


def _others(x: Array, y: Array | None = None) -> Array:
    """For each row of x, the mean of its kernel with all rows of y (x by default) but that of the same number."""
    kernel = _kernel(x, x if y is None else y)
    means: Array = (kernel.sum(1) - np.diagonal(kernel)) / (len(x) - 1)
    return means
