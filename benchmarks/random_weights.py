"""Make random weights of networks, and random pictures, for comparisons with other packages.

Two programs that should compute the same can be compared with random weights, so no published weights are needed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from bench.metrics.networks.inception import InceptionNetwork
from bench.metrics.networks.inception_input import lama
from bench.rehearsal.metric_networks import backbone_weights
from bench.rehearsal.metric_networks import inception_weights as plain_inception_weights

__all__ = ["backbone_weights", "inception_weights", "random_images"]

SPREAD = 20.0
"""Factor of the classes' weights, with which `random_images` have an Inception Score between 2 and 50."""


def inception_weights(seed: int = 0) -> dict[str, Tensor]:
    """Return the weights of a rehearsal's Inception, with classes in which random images differ."""
    tensors = plain_inception_weights(seed)
    # The common part of all images has no information on classes.
    with torch.inference_mode():
        common = InceptionNetwork(tensors)(lama(random_images(8, 64, 64, seed=1))).mean(0)
    classes = tensors["fc.weight"]
    tensors["fc.weight"] = SPREAD * (classes - torch.outer(classes @ common / common.square().sum(), common))
    return tensors


def random_images(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Return B×3×H×W uint8 with soft patches of colour of many sizes and contrasts, and some noise."""
    generator = torch.Generator().manual_seed(seed)
    images = []
    for _ in range(count):
        cells = int(torch.randint(2, 17, (), generator=generator))
        patches = torch.randn(1, 3, cells, cells, generator=generator)
        levels, contrast, noise = torch.rand(3, generator=generator).tolist()
        image = functional.interpolate(patches, (height, width), mode="bicubic") * (20 + 80 * contrast)
        image += 64 + 128 * levels + 20 * noise * torch.randn(image.shape, generator=generator)
        images.append(image)
    return torch.cat(images).round().clamp(0, 255).to(torch.uint8)
