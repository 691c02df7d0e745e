"""The perceptual distance LPIPS, without learned heads, on the feature maps of any network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["perceptual_distance"]


def perceptual_distance(maps: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """Compute LPIPS without learned heads for each item (Zhang et al., 2018, eq. 1 with w = 1).

    At every position, the feature vector is first divided by its Euclidean length. The squared differences are then
    summed over channels, averaged over positions, and summed over levels.

    Args:
        maps: for each level, the feature maps B×C×h×w of the first images.
        others: for each level, the feature maps of the second images, in the same shape.

    Returns:
        B distances, at least 0.
    """
    total = torch.zeros(len(maps[0]), device=maps[0].device, dtype=maps[0].dtype)
    for first, second in zip(maps, others, strict=True):
        squared = (_unit(first) - _unit(second)).square().sum(1)
        total = total + squared.mean((1, 2))
    return total


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True) + 1e-10).sqrt()
