"""What is measured on a batch: everything per item, and the features from which the Fréchet distance is made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol as Interface

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.metrics.known_region import known_region_error, to_uint8
from bench.metrics.perceptual import perceptual_distance
from bench.store import content_key

__all__ = ["FeatureExtractor", "Protocol", "Scorer", "Scores"]

RING = 4
"""Known pixels at most this far from the hole belong to the ring."""
VERSION = 1
"""Raised when the same images give other scores."""


class FeatureExtractor(Interface):
    """A network with feature maps and pooled features, of images B×3×H×W in [-1, 1]."""

    def maps(self, image: Tensor) -> list[Tensor]: ...


@dataclass(frozen=True)
class Protocol:
    """Everything that can change a metric's value. Numbers of unlike protocols are never ranked together."""

    features: str
    """Name of the feature network."""
    weights: str
    """SHA-256 over its files."""
    image: str = "uint8 RGB, truncated, at the items' own size"
    fid: str = "pooled features of the last level; exact squared Fréchet distance, covariance by N - 1"
    kid: str = "the same features; squared MMD as a U-statistic, kernel (x·y / d + 1)³, all pairs of unlike items"
    lpips: str = "all levels, unit length, no learned heads (w = 1)"
    known_region: str = "mask = 0; squared error in [0, 1] on the truncated image"
    version: int = VERSION

    @property
    def hash(self) -> str:
        return content_key(asdict(self))


@dataclass(frozen=True)
class Scores:
    """Of a batch of B items for one row."""

    per_item: dict[str, npt.NDArray[np.float64]]
    """B values of each metric; NaN where an item has nothing to measure."""
    features: npt.NDArray[np.float32]
    """B×d."""


class Scorer:
    """Measures images against the truth; the truth's features are computed once for all rows."""

    def __init__(self, network: FeatureExtractor, truth: Tensor, mask: Tensor) -> None:
        """Take the truth B×3×H×W uint8 and the mask B×1×H×W (1 = hole) of a batch, on the network's device."""
        self.network, self.truth, self.mask = network, truth, mask
        self._ring = _ring(mask)
        self._maps = self._features(truth)

    @property
    def truth_features(self) -> npt.NDArray[np.float32]:
        """Features B×d of the truth."""
        return _pooled(self._maps)

    def score(self, image: Tensor) -> Scores:
        """Measure images B×3×H×W in [0, 1], as decoded."""
        with torch.inference_mode():
            saved = to_uint8(image, rounding="truncate")
            maps = self._features(saved)
            per_item = {"lpips": perceptual_distance(maps, self._maps).double()}
            per_item |= known_region_error(image, self.truth, self.mask)
            squared = (saved.double() / 255 - self.truth.double() / 255).square()
            known = self.mask == 0
            for name, region in (("ring", known & self._ring), ("interior", known & ~self._ring)):
                chosen = region.expand_as(squared)
                per_item[f"pre_error_{name}"] = (squared * chosen).sum((1, 2, 3)) / chosen.sum((1, 2, 3))
            return Scores({name: value.cpu().numpy() for name, value in per_item.items()}, _pooled(maps))

    def _features(self, image: Tensor) -> list[Tensor]:
        with torch.inference_mode():
            return self.network.maps(image.float() / 127.5 - 1)


def _pooled(maps: list[Tensor]) -> npt.NDArray[np.float32]:
    features: npt.NDArray[np.float32] = maps[-1].mean((2, 3)).float().cpu().numpy()
    return features


def _ring(mask: Tensor) -> Tensor:
    """Where the nearest pixel of the hole is at most RING pixels away, B×1×H×W bool."""
    distances = [
        cv2.distanceTransform((hole == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        if hole.any() and not hole.all()
        else np.full(hole.shape, np.inf if not hole.any() else 0.0, np.float32)
        for hole in mask[:, 0].cpu().numpy().astype(np.uint8)
    ]
    return torch.from_numpy(np.stack(distances) <= RING).unsqueeze(1).to(mask.device)
