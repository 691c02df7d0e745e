"""The CLIP maximum mean discrepancy (CMMD) of two sets of embeddings, as its released program computes it.

The source is Jayasumana et al., "Rethinking FID: towards a better evaluation metric for image generation" (2024). The
kernel of two embeddings is exp(-|x - y|² / (2 · 10²)), and the result is multiplied by 1000. Two estimators have been
published. The paper's text gives the unbiased one, which leaves out the pairs of an image with itself. Its program
(google-research/google-research at 4c42994, cmmd/distance.py) keeps these pairs: equation 5 of Gretton et al., "A
kernel two-sample test" (2012). This module computes the program's estimate. For the unbiased one,
`bench.metrics.kernel` uses the kernel of this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.metrics.features import Features

__all__ = ["SCALE", "DiscrepancyEstimate", "discrepancy_estimate", "gaussian_kernel"]

Array = npt.NDArray[np.float64]

BANDWIDTH = 10.0
"""Standard deviation of the Gaussian kernel."""
SCALE = 1000.0
"""Factor of the published numbers."""
BLOCK = 1024
"""Largest number of embeddings whose kernels with `BLOCK` other embeddings are in memory at the same time."""


@dataclass(frozen=True)
class DiscrepancyEstimate:
    """The discrepancy, with the influence of each embedding on it.

    `influence_a[i]` is the influence of embedding i of the first set: the derivative of the discrepancy with respect to
    the weight of this embedding. `influence_b` has the same meaning for the second set. Both arrays have mean 0.
    """

    value: float
    influence_a: Array
    influence_b: Array


def gaussian_kernel(x: Array, y: Array) -> Array:
    """Return the kernels N×M of embeddings N×d and M×d. They are in [0, 1]."""
    squares = np.square(x).sum(1)[:, None] + np.square(y).sum(1)[None, :] - 2 * (x @ y.T)
    return np.asarray(np.exp(np.maximum(squares, 0) / (-2 * BANDWIDTH**2)))


def discrepancy_estimate(a: npt.ArrayLike | Features, b: npt.ArrayLike | Features) -> DiscrepancyEstimate:
    """Compute 1000 times the squared maximum mean discrepancy of two sets, and the influence of each embedding on it.

    All pairs are used, also those of an embedding with itself. The estimate is therefore never negative, and for few
    images it is too large: by about 1000 (2 - m_a - m_b) / N for two independent sets of N images, where m_a and m_b
    are the mean kernels of two different images of a set. The time grows with the product of the sets' sizes, and the
    memory does not.

    Args:
        a: embeddings N×d of the first set: an array in memory, or a `Features` object that reads them in pieces.
        b: embeddings M×d of the second set, in one of these two forms.

    Raises:
        ValueError: the shapes are not N×d and M×d, a set is empty, or an embedding is not finite.
    """
    first, second = Features.of(a, "embeddings a"), Features.of(b, "embeddings b")
    for name, features in (("a", first), ("b", second)):
        if not len(features) or features.not_finite():
            raise ValueError(
                f"embeddings {name} must be at least one vector of finite numbers: found shape {features.shape} with "
                f"{features.not_finite()} values that are not finite"
            )
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"embeddings have different dimensions: a has {first.shape[1]}, b has {second.shape[1]}")
    own_a, own_b = _means(first, first)[0], _means(second, second)[0]
    cross_a, cross_b = _means(first, second)
    within_a, within_b, across = own_a.mean(), own_b.mean(), cross_a.mean()
    return DiscrepancyEstimate(
        value=SCALE * max(float(within_a + within_b - 2 * across), 0.0),
        influence_a=2 * SCALE * (own_a - cross_a - within_a + across),
        influence_b=2 * SCALE * (own_b - cross_b - within_b + across),
    )


def _means(x: Features, y: Features) -> tuple[Array, Array]:
    """Return the mean kernel of each embedding of a set with all embeddings of the other set.

    The first array belongs to the N embeddings of `x`, and the second array to the M embeddings of `y`.
    """
    of_x, of_y, start = np.zeros(len(x)), np.zeros(len(y)), 0
    for one in _pieces(x):
        begin = 0
        for other in _pieces(y):
            kernel = gaussian_kernel(one, other)
            of_x[start : start + len(one)] += kernel.sum(1) / len(y)
            of_y[begin : begin + len(other)] += kernel.sum(0) / len(x)
            begin += len(other)
        start += len(one)
    return of_x, of_y


def _pieces(features: Features) -> Iterator[Array]:
    for block in features.blocks():
        for start in range(0, len(block), BLOCK):
            yield block[start : start + BLOCK]
