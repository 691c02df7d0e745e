"""Two ways to blend a method's image with the known pixels, so that the seam at the edge of the hole is less visible.

Both ways use only the image that the method painted and the known pixels.

Poisson blending follows Pérez et al., "Poisson image editing" (2003), equations 3 and 7 to 8. The equations are solved
by a sparse factorisation, exactly up to rounding. OpenCV's `seamlessClone` is not used, because it works with 8 bits,
shrinks the mask, and also changes known pixels in the box around the hole.

Laplacian blending follows Burt and Adelson, "A multiresolution spline with application to image mosaics" (1983), with
OpenCV's image pyramids.

Both ways compute on the CPU, in threads. Each thread handles one picture at a time. The factorisation and OpenCV's
functions release Python's global interpreter lock. Therefore the run can decode and measure other rows on its device
while the threads blend pictures.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu
from torch import Tensor

from baselines.wrapper import Over
from bench.generation.method import Batch, Method, image_of

__all__ = ["LaplacianBlend", "PoissonBlend"]

Picture = npt.NDArray[Any]
Hole = npt.NDArray[np.bool_]
MOST_THREADS = 16
"""Largest number of pictures that are blended at the same time."""
COARSEST = 16
"""Smallest side in pixels of the coarsest level of the pyramid, for a `LaplacianBlend` whose `levels` is None."""


class Blend(Over):
    """The base class of both ways of blending. It computes the corrections of several pictures at once, in threads."""

    def blended(self, batch: Batch, painted: Tensor, corrections: Tensor) -> Tensor:
        """Return the blended images B×3×H×W.

        Args:
            batch: the batch.
            painted: images B×3×H×W that the wrapped method painted.
            corrections: results of `correction` for all images, as one tensor in the shape of `painted`.
        """
        raise NotImplementedError

    def correction(self, difference: Picture, hole: Hole) -> Picture:
        """Return the correction of one painted picture, H×W×3 float64. `blended` adds it to the painted picture.

        Args:
            difference: true picture minus painted picture, H×W×3 float64. The function must not use values in the hole.
            hole: H×W, True in the hole.
        """
        raise NotImplementedError

    def begin(self, batch: Batch) -> Callable[[], Tensor]:
        painted = image_of(self.of, batch)
        parts = zip(batch.image, painted, batch.mask[:, 0], strict=True)
        tasks = _Tasks([_threads().submit(self._corrected, *part) for part in parts])

        def wait() -> Tensor:
            corrections = torch.from_numpy(tasks.results()).permute(0, 3, 1, 2)
            return self.blended(batch, painted, corrections.to(painted))

        return wait

    def __call__(self, batch: Batch) -> Tensor:
        return self.begin(batch)()

    def _corrected(self, image: Tensor, painted: Tensor, mask: Tensor) -> Picture:
        """Copy one picture to the memory of the CPU, and return the result of `correction` for this picture.

        Args:
            image: true picture 3×H×W.
            painted: painted picture 3×H×W.
            mask: H×W, 1 = hole.
        """
        difference = (image.double() - painted.double()).permute(1, 2, 0).cpu().numpy()
        return self.correction(difference, (mask > 0).cpu().numpy())


class _Tasks:
    """The tasks that compute the corrections of one batch.

    When this object is deleted, the tasks that have not begun are cancelled. The object is deleted early after an error
    or an interrupt. If the tasks were not cancelled, the process would finish all of them before it ends.
    """

    def __init__(self, futures: list[Future[Picture]]) -> None:
        self._futures = futures

    def results(self) -> Picture:
        """Wait for all corrections, and return them as B×H×W×3."""
        return np.stack([future.result() for future in self._futures])

    def __del__(self) -> None:
        for future in self._futures:
            future.cancel()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1), "blend")


os.register_at_fork(after_in_child=_threads.cache_clear)  # a forked process has no threads


class PoissonBlend(Blend):
    """Poisson blending: known pixels stay unchanged, and the hole keeps the gradients of the wrapped method's image.

    In the hole, a correction is added to the wrapped method's image. The correction is the smoothest function that
    equals, at the hole's edge, the true picture minus the wrapped method's image. If no pixel is known, the wrapped
    method's image stays unchanged.
    """

    def blended(self, batch: Batch, painted: Tensor, corrections: Tensor) -> Tensor:
        return torch.where(batch.mask > 0, painted + corrections, batch.image)

    def correction(self, difference: Picture, hole: Hole) -> Picture:
        return _membrane(difference, hole)


class LaplacianBlend(Blend):
    """Laplacian blending of the wrapped method's image with the known pixels.

    Fine structures are mixed only near the hole's edge, and coarse structures over a wider area. Known pixels near the
    hole therefore change. With more levels, known pixels further away change too. The error over known pixels includes
    these changes. The true pixels of the hole are not used. In the hole, the difference between the true and the
    painted picture is estimated from the known pixels around the hole. At positions that are far from any known pixel,
    the estimate comes from a coarser level of the pyramid.
    """

    def __init__(self, of: Method, *, levels: int | None = None) -> None:
        """Set the method and the number of levels.

        Args:
            of: the method whose images are blended.
            levels: number of times that the picture's height and width are halved, 1 or more. If it is None, each
                picture uses the largest number for which both sides of the coarsest level have 16 pixels or more, but
                at least 1.

        Raises:
            ValueError: `levels` is less than one.
        """
        if levels is not None and levels < 1:
            raise ValueError(f"levels: expected 1 or more, found {levels}")
        super().__init__(of)
        self.levels = levels

    def blended(self, batch: Batch, painted: Tensor, corrections: Tensor) -> Tensor:
        return painted + corrections

    def correction(self, difference: Picture, hole: Hole) -> Picture:
        levels = max(1, int(math.log2(min(hole.shape) / COARSEST))) if self.levels is None else self.levels
        # Mixing is linear. So the difference of two pictures is mixed with zero, and then added to one of them.
        weights = hole.astype(np.float32)
        return _mixed_in(_filled(difference, weights), weights, levels)


def _membrane(difference: Picture, hole: Picture) -> Picture:
    """Return the smoothest function in the hole that continues the differences at the hole's edge.

    The function is the solution of Laplace's equation. At the picture's edge, its slope across the edge is zero.

    Args:
        difference: true picture minus painted picture, H×W×3. Values in the hole are not used.
        hole: H×W, true in the hole.

    Returns:
        The function as an array H×W×3, zero outside the hole. If no pixel is known, the array is zero everywhere.
    """
    result = np.zeros_like(difference)
    count = int(hole.sum())
    if count in (0, hole.size):
        return result
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(count)
    degree = np.zeros(count)
    rim = np.zeros((count, difference.shape[2]))
    inner: list[tuple[Picture, Picture]] = []
    before, after = slice(None, -1), slice(1, None)
    every = slice(None)
    for one, other in (((before, every), (after, every)), ((every, before), (every, after))):
        for here, there in ((one, other), (other, one)):
            entered = hole[here]
            own, next_to = number[here][entered], number[there][entered]
            # A pixel has at most one neighbour in each direction, so no index occurs twice here.
            degree[own] += 1
            known = next_to < 0
            rim[own[known]] += difference[there][entered][known]
            inner.append((own[~known], next_to[~known]))
    rows, columns = (np.concatenate(parts) for parts in zip(*inner, strict=True))
    diagonal = np.arange(count)
    values = np.concatenate([np.full(len(rows), -1.0), degree])
    places = (np.concatenate([rows, diagonal]), np.concatenate([columns, diagonal]))
    matrix = coo_array((values, places), shape=(count, count)).tocsc()
    # Every part of the hole touches a known pixel, so the matrix is symmetric and positive definite and needs no
    # pivots.
    factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    result[hole] = factors.solve(rim)
    return result


def _filled(difference: Picture, hole: Picture) -> Picture:
    """Fill the hole of a picture from its surroundings, by averages at coarser and coarser levels.

    Args:
        difference: picture H×W×3. Values in the hole are not used.
        hole: H×W, 1 in the hole.

    Returns:
        The filled picture H×W×3. If no pixel is known, it is zero everywhere.
    """
    known = 1 - hole.astype(np.float64)
    if not known.any():
        return np.zeros_like(difference)
    values = difference * known[..., None]
    if known.all():
        return values
    smaller = _halved(known)
    average = _halved(values) / np.maximum(smaller, 1e-12)[..., None]
    # A coarse pixel over any known pixel counts as known; the filter is wide enough to fill the rest.
    coarse = _filled(np.where(smaller[..., None] > 0, average, 0), (smaller <= 0).astype(np.float64))
    return np.where(known[..., None] > 0, values, _doubled(coarse, known.shape))


def _mixed_in(difference: Picture, hole: Picture, levels: int) -> Picture:
    """Blend a picture outside the hole with zeros in the hole, separately at each level of a Laplacian pyramid.

    Args:
        difference: picture H×W×3.
        hole: H×W, 1 in the hole.
        levels: largest number of levels in addition to the finest one. Fewer levels are used if a side of a level
            has only 1 pixel.
    """
    gaussian, weights = [difference], [1 - hole.astype(np.float64)]
    for _ in range(levels):
        if min(weights[-1].shape) < 2:
            break
        gaussian.append(_halved(gaussian[-1]))
        weights.append(_halved(weights[-1]))
    mixed = gaussian[-1] * weights[-1][..., None]
    for fine, coarse, weight in zip(gaussian[-2::-1], gaussian[:0:-1], weights[-2::-1], strict=True):
        band = fine - _doubled(coarse, weight.shape)
        mixed = _doubled(mixed, weight.shape) + band * weight[..., None]
    return mixed


def _halved(picture: Picture) -> Picture:
    return np.asarray(cv2.pyrDown(picture))


def _doubled(picture: Picture, shape: tuple[int, ...]) -> Picture:
    return np.asarray(cv2.pyrUp(picture, dstsize=(shape[1], shape[0])))
