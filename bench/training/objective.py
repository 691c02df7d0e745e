"""The mini profile's reconstruction objective: L1 and a perceptual distance, on a network no metric uses."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.metrics.perceptual import perceptual_distance
from bench.models.feature_network import FeatureNetwork

__all__ = ["reconstruction_loss"]


def reconstruction_loss(
    output: Tensor, target: Tensor, network: FeatureNetwork, *, perceptual_weight: float
) -> dict[str, Tensor]:
    """Mean absolute error and weighted perceptual distance of images B×3×H×W in [-1, 1]."""
    with torch.no_grad():
        wanted = [level.float() for level in network.maps(target)]
    found = [level.float() for level in network.maps(output)]
    return {
        "l1": (output.float() - target).abs().mean(),
        "perceptual": perceptual_weight * perceptual_distance(found, wanted).mean(),
    }
