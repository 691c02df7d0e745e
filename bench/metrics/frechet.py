"""The Fréchet distance between two sets of features, exact at any rank, with its influence function.

Heusel et al., "GANs trained by a two time-scale update rule" (2017), eq. 6: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2).
With centred, scaled feature matrices A and B (C1 = A'A, C2 = B'B), the trace of the square root is the sum of the
singular values of A B'. They are had from the triangular factors of A and B, whose size is the rank that the data has,
so no square root of a singular matrix is ever taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FrechetEstimate", "frechet_distance", "frechet_estimate"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FrechetEstimate:
    """The distance, and how far each row of either set moves it.

    `influence_a[i]` is the derivative of the distance by the weight of row i of the first set, as
    `bench.metrics.uncertainty` takes it; likewise `influence_b`. Each has mean 0.
    """

    value: float
    influence_a: Array
    influence_b: Array


def frechet_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Squared Fréchet distance between Gaussians fitted to two sets of features.

    Args:
        a: features N×d, N >= 2; covariances are divided by N - 1.
        b: features M×d, M >= 2.

    Raises:
        ValueError: a shape other than that, or a feature that is not finite.
    """
    return frechet_estimate(a, b).value


def frechet_estimate(a: npt.ArrayLike, b: npt.ArrayLike) -> FrechetEstimate:
    """The distance of `frechet_distance` together with its influence function on both sides."""
    first, second = _Set.of("a", a), _Set.of("b", b)
    if first.mean.shape != second.mean.shape:
        raise ValueError(f"features of unlike dimension: a has {first.mean.size}, b has {second.mean.size}")
    shift = first.mean - second.mean
    left, singular, right = np.linalg.svd(first.triangle @ second.triangle.T, full_matrices=False)
    overlap = float(singular.sum())
    value = float(shift @ shift) + first.trace + second.trace - 2 * overlap

    # Directions without overlap do not move the sum of the singular values to first order.
    seen = singular > singular.max(initial=0.0) * max(first.triangle.shape) * np.finfo(np.float64).eps
    rotation = left[:, seen] @ right[seen]
    pull_a = np.einsum("ij,ij->i", first.basis @ (rotation @ second.triangle), first.rows)
    pull_b = np.einsum("ij,ij->i", second.basis @ (rotation.T @ first.triangle), second.rows)
    return FrechetEstimate(
        value=max(value, 0.0),
        influence_a=first.influence(shift, pull_a, overlap),
        influence_b=second.influence(-shift, pull_b, overlap),
    )


@dataclass(frozen=True)
class _Set:
    mean: Array
    rows: Array
    """Centred and divided by sqrt(N - 1): its Gram matrix is the covariance."""
    basis: Array
    triangle: Array

    @classmethod
    def of(cls, name: str, features: npt.ArrayLike) -> _Set:
        x = np.asarray(features, dtype=np.float64)
        if x.ndim != 2 or len(x) < 2 or x.shape[1] < 1:
            raise ValueError(f"features {name} must have shape N×d with N >= 2: found {x.shape}")
        if not np.isfinite(x).all():
            raise ValueError(f"features {name} hold {np.count_nonzero(~np.isfinite(x))} values that are not finite")
        mean = x.mean(0)
        rows = (x - mean) / np.sqrt(len(x) - 1)
        basis, triangle = np.linalg.qr(rows)
        return cls(mean, rows, basis, triangle)

    @property
    def trace(self) -> float:
        return float(np.square(self.rows).sum())

    def influence(self, shift: Array, pull: Array, overlap: float) -> Array:
        count = len(self.rows)
        of_mean = 2 * np.sqrt(count - 1) * (self.rows @ shift)
        of_trace = count * np.square(self.rows).sum(1) - self.trace
        of_overlap = count / 2 * pull - overlap / 2
        total: Array = of_mean + of_trace - 2 * of_overlap
        return total
