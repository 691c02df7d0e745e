"""Blending: another method's hole and the known pixels joined so that the seam is less seen.

Two ways beyond paste-back, both on what the method painted and on known pixels alone. Poisson blending is that of Pérez
et al., "Poisson image editing" (2003), equations 3 and 7 to 8, solved to rounding by a sparse factorisation. OpenCV's
`seamlessClone` is not used: it takes 8 bits, shrinks the mask, and solves for the whole box around it, so that known
pixels between the hole and the box change as well. Laplacian blending is that of Burt and Adelson, "A multiresolution
spline with application to image mosaics" (1983), on OpenCV's pyramids.
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

from baselines.over import Over
from bench.generation.decoding import Batch, Method

__all__ = ["LaplacianBlend", "PoissonBlend"]

Picture = npt.NDArray[Any]
COARSEST = 16
"""Least side of the pyramid's last level, in pixels, where the number of levels is not given."""


class PoissonBlend(Over):
    """Known pixels exactly as they were; in the hole the gradients of the other method, as nearly as the rim allows.

    What the hole gains is the smoothest function that makes up the difference on the rim. Where there is no known pixel
    at all, the method's image stays as it is.
    """

    def __call__(self, batch: Batch) -> Tensor:
        painted = self.of(batch)
        hole = batch.mask > 0
        missing = _differences(batch.image, painted)
        gained = [_membrane(one, where) for one, where in zip(missing, hole[:, 0].cpu().numpy(), strict=True)]
        return torch.where(hole, painted + _tensor(gained, painted), batch.image)


class LaplacianBlend(Over):
    """The other method's image and the known pixels, mixed at every scale over a rim as wide as that scale.

    Known pixels near the hole change, the more levels the farther: that is the price of this blend, and what the error
    outside the hole shows. The hole's own original is never looked at: there the two pictures to be mixed differ by
    what the differences around it extend to, coarse levels filling what finer ones do not know.
    """

    def __init__(self, of: Method, *, levels: int | None = None) -> None:
        """Take a method and the number of halvings; None for as many as leave a least side of 16 pixels.

        Raises:
            ValueError: less than one level.
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
        # By linearity, mixing two pictures is adding to one of them their difference, mixed with nothing.
        missing = _differences(batch.image, painted)
        gained = [_mixed_in(_filled(one, hole), hole, levels) for one, hole in zip(missing, holes, strict=True)]
        return painted + _tensor(gained, painted)


def _differences(image: Tensor, painted: Tensor) -> Picture:
    """B×H×W×3 float64: what the painted pictures lack to be the true ones."""
    difference: Picture = (image.double() - painted.double()).permute(0, 2, 3, 1).cpu().numpy()
    return difference


def _tensor(pictures: list[Picture], like: Tensor) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(like)


def _membrane(difference: Picture, hole: Picture) -> Picture:
    """Harmonic function in the hole that continues the differences around it; nothing flows across the picture's edge.

    Args:
        difference: H×W×3, read outside of the hole only.
        hole: H×W, true inside.

    Returns:
        H×W×3, zero outside of the hole.
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
            # A pixel has one neighbour at most in each direction, so no index stands twice here.
            degree[own] += 1
            known = next_to < 0
            rim[own[known]] += difference[there][entered][known]
            inner.append((own[~known], next_to[~known]))
    rows, columns = (np.concatenate(parts) for parts in zip(*inner, strict=True))
    diagonal = np.arange(count)
    values = np.concatenate([np.full(len(rows), -1.0), degree])
    places = (np.concatenate([rows, diagonal]), np.concatenate([columns, diagonal]))
    matrix = coo_array((values, places), shape=(count, count)).tocsc()
    # Symmetric and positive definite: every part of the hole touches a known pixel. So no pivots are needed.
    factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    result[hole] = factors.solve(rim)
    return result


def _filled(difference: Picture, hole: Picture) -> Picture:
    """A picture H×W×3 whose hole (H×W, 1 inside) is filled from around it, by averages at ever coarser levels."""
    known = 1 - hole.astype(np.float64)
    if not known.any():
        return np.zeros_like(difference)
    values = difference * known[..., None]
    if known.all():
        return values
    smaller = _halved(known)
    average = _halved(values) / np.maximum(smaller, 1e-12)[..., None]
    # A coarse pixel with any known one below it counts as known; the filter is as wide as it takes to fill the rest.
    coarse = _filled(np.where(smaller[..., None] > 0, average, 0), (smaller <= 0).astype(np.float64))
    return np.where(known[..., None] > 0, values, _doubled(coarse, known.shape))


def _mixed_in(difference: Picture, hole: Picture, levels: int) -> Picture:
    """Blend H×W×3 with nothing: all of it outside of the hole (H×W, 1 inside), none inside."""
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
