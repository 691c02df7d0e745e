"""The Fréchet distance between two sets of features, exact at any rank, with its influence function.

The distance is |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2) (Heusel et al., "GANs trained by a two time-scale update
rule", 2017, eq. 6). With centred, scaled feature matrices A and B (C1 = A'A, C2 = B'B), the trace of the square root is
the sum of the singular values of the N×M matrix A B'. A triangular factor with the same Gram matrix can replace A or B.
This holds at any rank. If no precision is lost, the squares of the singular values are computed instead, which is
faster: they are the eigenvalues of B A'A B', or of C1 C2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

from bench.metrics.features import BLOCK, Features

__all__ = ["FrechetEstimate", "frechet_distance", "frechet_distance_from_statistics", "frechet_estimate"]

Array = npt.NDArray[np.float64]
_EPS = float(np.finfo(np.float64).eps)
_TOLERANCE = 1e-9
"""Largest relative error of the overlap that the faster computation may have; observed errors were at most 1e-13."""


@dataclass(frozen=True)
class FrechetEstimate:
    """The distance, and the influence of each row of either set on it.

    `influence_a[i]` is the derivative of the distance with respect to the weight of row i of the first set, as
    `bench.metrics.uncertainty` defines it. `influence_b` is the same for the second set. Each has mean 0.
    """

    value: float
    influence_a: Array
    influence_b: Array


def frechet_distance(a: npt.ArrayLike | Features, b: npt.ArrayLike | Features) -> float:
    """Return the squared Fréchet distance between Gaussians fitted to two sets of features.

    Args:
        a: features N×d, N >= 2, in memory or in pieces; covariances are divided by N - 1.
        b: features M×d, M >= 2, in memory or in pieces.

    Raises:
        ValueError: the shapes are not N×d and M×d, or a feature is not finite.
    """
    first, second = _pair(a, b)
    return _distance(first.mean - second.mean, first.trace + second.trace, _overlap(first, second))


def frechet_distance_from_statistics(
    mean_a: npt.ArrayLike, cov_a: npt.ArrayLike, mean_b: npt.ArrayLike, cov_b: npt.ArrayLike
) -> float:
    """Return the squared Fréchet distance between two Gaussians, which may be singular.

    A covariance in float64 cannot represent variances below d·2⁻⁵² of its largest variance. They are taken as 0, which
    changes the distance by up to 10⁻⁷ of the sum of the traces. `frechet_distance`, which uses features, has no such
    loss.

    Args:
        mean_a: mean of the first Gaussian, d values.
        cov_a: covariance of the first Gaussian, d×d, symmetric and positive semi-definite.
        mean_b: mean of the second Gaussian, d values.
        cov_b: covariance of the second Gaussian, d×d, symmetric and positive semi-definite.

    Raises:
        ValueError: the sizes do not fit together, a value is not finite, or a matrix is not a covariance.
    """
    first, second = _mean("a", mean_a), _mean("b", mean_b)
    if first.shape != second.shape:
        raise ValueError(f"means have different dimensions: a has {first.size}, b has {second.size}")
    root_a, root_b = _covariance_root("a", cov_a, first.size), _covariance_root("b", cov_b, second.size)
    traces = float(np.square(root_a).sum() + np.square(root_b).sum())
    return _distance(first - second, traces, _nuclear_norm(root_a @ root_b.T))


def frechet_estimate(a: npt.ArrayLike | Features, b: npt.ArrayLike | Features) -> FrechetEstimate:
    """Return the distance of `frechet_distance` together with its influence function on both sides."""
    first, second = _pair(a, b)
    shift = first.mean - second.mean
    left, singular, right = np.linalg.svd(first.root @ second.root.T, full_matrices=False)

    # Directions without overlap do not change the sum of the singular values to first order.
    seen = singular > singular.max(initial=0.0) * max(first.root.shape) * _EPS
    kept, overlap = singular[seen], float(singular.sum())
    # With A B' = U S V', row i of U S is row i of A B' V, and its effect on the sum is (U S)_i S^-1 (U S)_i'.
    scale = 1 / np.sqrt(kept)
    return FrechetEstimate(
        value=_distance(shift, first.trace + second.trace, overlap),
        influence_a=first.influence(shift, (second.root.T @ right[seen].T) * scale, overlap),
        influence_b=second.influence(-shift, (first.root.T @ left[:, seen]) * scale, overlap),
    )


@dataclass(frozen=True)
class _Set:
    features: Features
    mean: Array
    rows: Array | None
    """All rows as `blocks` yields them, if there are at most `BLOCK`; otherwise None."""

    @classmethod
    def of(cls, name: str, features: npt.ArrayLike | Features) -> _Set:
        x = Features.of(features, f"features {name}")
        if len(x) < 2:
            raise ValueError(f"features {name} must have shape N×d with N >= 2: found {x.shape}")
        rows = x.array() if len(x) <= BLOCK else None
        total = x.sum() if rows is None else rows.sum(0)
        if not np.isfinite(total).all():
            raise ValueError(f"features {name} hold {x.not_finite()} values that are not finite")
        mean = total / len(x)
        return cls(x, mean, None if rows is None else _scaled(rows, mean, len(x)))

    def blocks(self) -> Iterator[Array]:
        """Yield the rows, centred and divided by sqrt(N - 1), so that their Gram matrix is the covariance."""
        if self.rows is not None:
            yield self.rows
        else:
            for block in self.features.blocks():
                yield _scaled(block, self.mean, len(self.features))

    @property
    def tall(self) -> bool:
        return len(self.features) > self.mean.size

    @cached_property
    def root(self) -> Array:
        """Matrix with the same Gram matrix and at most d rows, or N - 1 rows, since the N centred rows add up to 0."""
        if not self.tall:
            rows = np.concatenate(list(self.blocks()))
            root: Array = rows[1:] - rows[0] / (np.sqrt(len(rows)) + 1)  # a reflection that makes the first row 0
            return root
        root = np.empty((0, self.mean.size))
        for block in self.blocks():
            root = np.linalg.qr(np.concatenate([root, block]), mode="r")  # type: ignore[assignment]
        return root

    @cached_property
    def trace(self) -> float:
        return float(sum(np.square(block).sum() for block in self.blocks()))

    def covariance(self, root: Array | None = None) -> Array:
        """Return the covariance C, or R C R' for a matrix R."""
        size = self.mean.size if root is None else len(root)
        gram = np.zeros((size, size))
        for block in self.blocks():
            seen = block if root is None else block @ root.T
            gram += seen.T @ seen
        return gram

    def influence(self, shift: Array, directions: Array, overlap: float) -> Array:
        """Return each row's influence on the distance; its squared product with `directions` changes the overlap."""
        count = len(self.features)
        found = []
        for block in self.blocks():
            pull = np.square(block @ directions).sum(1)
            of_mean = 2 * np.sqrt(count - 1) * (block @ shift)
            of_trace = count * np.square(block).sum(1) - self.trace
            found.append(of_mean + of_trace - (count * pull - overlap))
        return np.concatenate(found)


def _scaled(block: Array, mean: Array, count: int) -> Array:
    block -= mean
    block /= np.sqrt(count - 1)
    return block


def _pair(a: npt.ArrayLike | Features, b: npt.ArrayLike | Features) -> tuple[_Set, _Set]:
    first, second = _Set.of("a", a), _Set.of("b", b)
    if first.mean.shape != second.mean.shape:
        raise ValueError(f"features have different dimensions: a has {first.mean.size}, b has {second.mean.size}")
    return first, second


def _overlap(first: _Set, second: _Set) -> float:
    """Return the sum of the singular values of A B'."""
    few, many = sorted((first, second), key=lambda one: len(one.features))
    squares = _squared(few, many)
    # Eigenvalues take a third of the time, but each has the rounding error of the largest one, which spoils small ones.
    if squares is not None and squares.min(initial=np.inf) > 0:
        roots = np.sqrt(squares)
        overlap = float(roots.sum())
        if _EPS * squares.max(initial=0.0) * float((0.5 / roots).sum()) < _TOLERANCE * overlap:
            return overlap
    return _nuclear_norm(first.root @ second.root.T)


def _squared(few: _Set, many: _Set) -> Array | None:
    """Return the squares of the singular values of A B'; None if rounding would make them inaccurate."""
    if not few.tall:
        return _eigenvalues(many.covariance(few.root))
    # These are the eigenvalues of the covariances' product. A rounding error relative to the largest variance changes
    # the overlap by that relative error times the ratio of the largest to the smallest variance.
    covariance = few.covariance()
    factor, failed = lapack.dpotrf(covariance, lower=1)
    if failed:
        return None
    inverse_condition, _ = lapack.dpocon(factor, np.abs(covariance).sum(0).max(), uplo="L")
    if _TOLERANCE * inverse_condition < _EPS:
        return None
    product, _ = lapack.dsygst(many.covariance(), factor, itype=2, lower=1)
    return _eigenvalues(product)


def _eigenvalues(lower: Array) -> Array:
    """Return the eigenvalues of a symmetric matrix from its lower triangle, by PyTorch's LAPACK."""
    import torch  # imported here because reading results does not need it

    return torch.linalg.eigvalsh(torch.from_numpy(lower), UPLO="L").numpy()  # type: ignore[no-any-return]


def _nuclear_norm(matrix: Array) -> float:
    return float(np.linalg.svd(matrix, compute_uv=False).sum())


def _distance(shift: Array, traces: float, overlap: float) -> float:
    return max(float(shift @ shift) + traces - 2 * overlap, 0.0)


def _mean(name: str, mean: npt.ArrayLike) -> Array:
    values = np.asarray(mean, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"mean {name} must be a list of finite values: found shape {values.shape}")
    return values


def _covariance_root(name: str, covariance: npt.ArrayLike, size: int) -> Array:
    """Return a matrix R with R'R = C, from C's eigenvalues."""
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.shape != (size, size) or not np.isfinite(matrix).all():
        raise ValueError(f"covariance {name} must be {size}×{size} and finite: found shape {matrix.shape}")
    scale = float(np.abs(matrix).max())
    if np.abs(matrix - matrix.T).max() > 1e-6 * scale:
        raise ValueError(f"covariance {name} is not symmetric")
    variances, directions = np.linalg.eigh((matrix + matrix.T) / 2)
    if variances[0] < -1e-6 * scale:
        raise ValueError(f"covariance {name} has a negative variance: {variances[0]:.3g}")
    held = variances > size * _EPS * variances[-1]
    root: Array = np.sqrt(variances[held])[:, None] * directions[:, held].T
    return root
