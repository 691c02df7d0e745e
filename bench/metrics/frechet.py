"""The Fréchet distance between two sets of features, exact for covariances of any rank, with its influence function.

The distance is |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2), where m1 and m2 are the means and C1 and C2 the covariances
(Heusel et al., "GANs trained by a two time-scale update rule", 2017, eq. 6).

Let A and B be the feature matrices, centred and scaled so that C1 = A'A and C2 = B'B. Then the trace of the matrix
square root is the sum of the singular values of the N×M matrix A B'. This module calls this sum the overlap. A and B
can be replaced by triangular factors with the same products A'A and B'B. These equations are true for any rank of the
covariances.

It is faster to compute the squares of the singular values, which are the eigenvalues of B A'A B' or of C1 C2. The
module uses this faster way only if the expected relative rounding error of the overlap is below `_TOLERANCE`.
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
"""Largest expected relative error of the overlap for which the faster computation is used. The errors that were
observed with this limit were at most 1e-13."""


@dataclass(frozen=True)
class FrechetEstimate:
    """The Fréchet distance, with the influence of each feature vector on it.

    `influence_a[i]` is the influence of feature vector i of the first set: the derivative of the distance with respect
    to the weight of this vector. `influence_b` has the same meaning for the second set. Both arrays have mean 0.
    `bench.metrics.uncertainty` explains influences.
    """

    value: float
    influence_a: Array
    influence_b: Array


def frechet_distance(a: npt.ArrayLike | Features, b: npt.ArrayLike | Features) -> float:
    """Return the squared Fréchet distance between Gaussians fitted to two sets of features.

    The covariance of N feature vectors is computed with the divisor N - 1.

    Args:
        a: features N×d of the first set, N >= 2: an array in memory, or a `Features` object that reads them in pieces.
        b: features M×d of the second set, M >= 2, in one of these two forms.

    Raises:
        ValueError: the shapes are not N×d and M×d, or a feature is not finite.
    """
    first, second = _pair(a, b)
    return _distance(first.mean - second.mean, first.trace + second.trace, _overlap(first, second))


def frechet_distance_from_statistics(
    mean_a: npt.ArrayLike, cov_a: npt.ArrayLike, mean_b: npt.ArrayLike, cov_b: npt.ArrayLike
) -> float:
    """Return the squared Fréchet distance between two Gaussians, whose covariances may be singular.

    A covariance matrix in float64 cannot represent variances below d·2⁻⁵² times its largest variance. This function
    treats such variances as 0. The distance changes by up to 10⁻⁷ times the sum of the two matrices' traces.
    `frechet_distance` has no such error, because it uses the features themselves.

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
    """Compute the distance that `frechet_distance` returns, and the influence of each feature vector on the distance.

    Args:
        a: features N×d of the first set, N >= 2: an array in memory, or a `Features` object that reads them in pieces.
        b: features M×d of the second set, M >= 2, in one of these two forms.

    Raises:
        ValueError: the shapes are not N×d and M×d, or a feature is not finite.
    """
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
    """All feature vectors, centred and scaled as in `blocks`; None if there are more than `BLOCK` vectors."""

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
        """Yield the feature vectors in blocks, centred and divided by sqrt(N - 1).

        With this scale, the product A'A of the whole matrix A is the covariance.
        """
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
        """Matrix R for which R'R is the covariance. R can replace the N feature vectors and has fewer rows.

        If N is larger than d, R has d rows. Otherwise it has N - 1 rows, which is enough because the N centred
        vectors add up to 0.
        """
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
        """Return the covariance C of the features, d×d.

        Args:
            root: matrix R with d columns. If it is given, R C R' is returned instead of C.
        """
        size = self.mean.size if root is None else len(root)
        gram = np.zeros((size, size))
        for block in self.blocks():
            seen = block if root is None else block @ root.T
            gram += seen.T @ seen
        return gram

    def influence(self, shift: Array, directions: Array, overlap: float) -> Array:
        """Return the influence of each of the set's N feature vectors on the distance.

        Args:
            shift: mean of this set minus mean of the other set, d values.
            directions: d×k matrix D. The effect of a centred and scaled feature vector v on the overlap is the squared
                length of v D.
            overlap: sum of the singular values of A B'.
        """
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
    """Return the overlap of two sets: the trace of the square root of the product of their covariances.

    The overlap is the sum of the singular values of A B', where A'A and B'B are the covariances of the two sets.
    """
    few, many = sorted((first, second), key=lambda one: len(one.features))
    squares = _squared(few, many)
    # Computing eigenvalues takes a third of the time of singular values. However, each eigenvalue has the rounding
    # error of the largest one, so small eigenvalues are inaccurate.
    if squares is not None and squares.min(initial=np.inf) > 0:
        roots = np.sqrt(squares)
        overlap = float(roots.sum())
        if _EPS * squares.max(initial=0.0) * float((0.5 / roots).sum()) < _TOLERANCE * overlap:
            return overlap
    return _nuclear_norm(first.root @ second.root.T)


def _squared(few: _Set, many: _Set) -> Array | None:
    """Return the squares of the singular values of A B', where A and B are the two sets' scaled feature matrices.

    Return None if rounding would make the squares inaccurate.
    """
    if not few.tall:
        return _eigenvalues(many.covariance(few.root))
    # The squares are the eigenvalues of the product of the two covariances. A rounding error relative to the
    # largest variance changes the overlap by that relative error times the ratio of the largest to the smallest
    # variance.
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
    """Return the eigenvalues of a symmetric matrix, computed by PyTorch's LAPACK.

    Args:
        lower: the symmetric matrix. Only its lower triangle is read. The values above the diagonal are ignored.
    """
    import torch  # imported here because reading results does not need it

    return torch.linalg.eigvalsh(torch.from_numpy(lower), UPLO="L").numpy()  # type: ignore[no-any-return]


def _nuclear_norm(matrix: Array) -> float:
    return float(np.linalg.svd(matrix, compute_uv=False).sum())


def _distance(shift: Array, traces: float, overlap: float) -> float:
    return max(float(shift @ shift) + traces - 2 * overlap, 0.0)


def _mean(name: str, mean: npt.ArrayLike) -> Array:
    values = np.asarray(mean, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"the mean {name} must be a vector of finite values: found an array of shape {values.shape}, "
            "or NaN or infinite values in it"
        )
    return values


def _covariance_root(name: str, covariance: npt.ArrayLike, size: int) -> Array:
    """Check a covariance matrix C, and return a matrix R with R'R = C, computed from the eigenvalues of C.

    Args:
        name: name of the covariance in messages.
        covariance: matrix C.
        size: expected number d of rows and columns.

    Raises:
        ValueError: C is not d×d, has a value that is not finite, is not symmetric, or has a negative eigenvalue.
    """
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.shape != (size, size) or not np.isfinite(matrix).all():
        raise ValueError(
            f"covariance {name} must be {size}×{size} and finite: found shape {matrix.shape}, or NaN or infinite values"
        )
    scale = float(np.abs(matrix).max())
    if np.abs(matrix - matrix.T).max() > 1e-6 * scale:
        raise ValueError(f"covariance {name} is not symmetric")
    variances, directions = np.linalg.eigh((matrix + matrix.T) / 2)
    if variances[0] < -1e-6 * scale:
        raise ValueError(f"covariance {name} has a negative eigenvalue: {variances[0]:.3g}")
    held = variances > size * _EPS * variances[-1]
    root: Array = np.sqrt(variances[held])[:, None] * directions[:, held].T
    return root
