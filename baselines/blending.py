"""Blending of another method's hole with the known pixels, so that the seam is less visible.

There are two ways beyond paste-back, which use only the method's image and the known pixels. Poisson blending is that
of Pérez et al., "Poisson image editing" (2003), equations 3 and 7 to 8, solved to rounding by a sparse factorisation.
OpenCV's `seamlessClone` is not used: it uses 8 bits, shrinks the mask, and solves for the whole box around it, so that
known pixels between the hole and the box change as well. Laplacian blending is that of Burt and Adelson, "A
multiresolution spline with application to image mosaics" (1983), on OpenCV's pyramids.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu
from torch import Tensor

from baselines.wrapper import Over
from bench.generation.method import Batch, Method

__all__ = ["LaplacianBlend", "PoissonBlend"]

Picture = npt.NDArray[Any]
COARSEST = 16
"""Smallest side of the pyramid's last level in pixels, if the number of levels is not given."""


class PoissonBlend(Over):
    """Poisson blending: unchanged known pixels and, in the hole, the gradients of the other method.

    The correction in the hole is the smoothest function that continues the difference at the hole's edge. If no pixel
    is known, the method's image stays unchanged.
    """

    def __call__(self, batch: Batch) -> Tensor:
        painted = self.of(batch)
        hole = batch.mask > 0
        missing = _differences(batch.image, painted)
        correction = [_membrane(one, where) for one, where in zip(missing, hole[:, 0].cpu().numpy(), strict=True)]
        return torch.where(hole, painted + _tensor(correction, painted), batch.image)


class LaplacianBlend(Over):
    """Laplacian blending of the other method's image with the known pixels, over a wider rim at coarser scales.

    Known pixels near the hole change. With more levels, known pixels further from the hole change too. The error
    outside the hole shows this cost. The true pixels of the hole are not used: there, the difference of the two
    pictures is extrapolated from its surroundings, and coarse levels fill what finer ones cannot.
    """

    def __init__(self, of: Method, *, levels: int | None = None) -> None:
        """Set the method and the number of halvings; None for the most that leave a side of 16 pixels or more.

        Raises:
            ValueError: the number of levels is less than one.
        """
        if levels is not None and levels < 1:
            raise ValueError(f"levels: expected 1 or more, found {levels}")
        super().__init__(of)
        self.levels = levels

    def __call__(self, batch: Batch) -> Tensor:
        painted = self.of(batch)
        side = min(batch.image.shape[2:])
        levels = max(1, int(math.log2(side / COARSEST))) if self.levels is None else self.levels
        holes = (batch.mask[:, 0] > 0).float().cpu().numpy()
        # Mixing is linear: mixing two pictures is adding to one of them their difference, mixed with zero.
        missing = _differences(batch.image, painted)
        correction = [_mixed_in(_filled(one, hole), hole, levels) for one, hole in zip(missing, holes, strict=True)]
        return painted + _tensor(correction, painted)


def _differences(image: Tensor, painted: Tensor) -> Picture:
    """Return the true pictures minus the painted ones, B×H×W×3 float64."""
    difference: Picture = (image.double() - painted.double()).permute(0, 2, 3, 1).cpu().numpy()
    return difference


def _tensor(pictures: list[Picture], like: Tensor) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(like)


def _membrane(difference: Picture, hole: Picture) -> Picture:
    """Return the harmonic function in the hole that continues the differences around it, without flow at the picture's
    edge.

    Args:
        difference: H×W×3, used outside the hole only.
        hole: H×W, true inside.

    Returns:
        H×W×3, zero outside the hole.
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
    """Fill the hole (H×W, 1 inside) of a picture H×W×3 from its surroundings, by averages at coarser and coarser
    levels.
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
    """Mix a picture H×W×3 with zeros at every scale: the picture outside the hole (H×W, 1 inside), zeros inside."""
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
