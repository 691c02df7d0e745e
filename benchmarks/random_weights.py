"""Make random weights of networks, and random pictures, for comparisons with other packages.

Two programs that should compute the same can be compared with random weights, so no published weights are needed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models import alexnet, inception_v3, vgg16

from bench.metrics.networks.inception import InceptionNetwork
from bench.metrics.networks.inception_input import lama

__all__ = ["backbone_weights", "inception_weights", "random_images"]

SPREAD = 20.0
"""Factor of the classes' weights, with which `random_images` have an Inception Score between 2 and 50."""


def inception_weights(seed: int = 0) -> dict[str, Tensor]:
    """Return weights by the names of the published file, scaled so that activations neither explode nor vanish."""
    with torch.device("meta"):
        network = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    # The published file has no counts of batches.
    shapes = {name: x.shape for name, x in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        if len(shape) > 1:
            tensors[name] = torch.randn(shape, generator=generator) * (2 / shape[1:].numel()) ** 0.5
        elif name.endswith(("bn.weight", "running_var")):
            tensors[name] = torch.rand(shape, generator=generator) + 0.5
        else:
            tensors[name] = 0.1 * torch.randn(shape, generator=generator)
    # The common part of all images has no information on classes.
    with torch.inference_mode():
        common = InceptionNetwork(tensors)(lama(random_images(8, 64, 64, seed=1))).mean(0)
    classes = tensors["fc.weight"]
    tensors["fc.weight"] = SPREAD * (classes - torch.outer(classes @ common / common.square().sum(), common))
    return tensors


def backbone_weights(net: str, seed: int = 0) -> dict[str, Tensor]:
    """Return convolutions of torchvision's VGG16 (`vgg`) or AlexNet (`alex`) by the names of their files."""
    with torch.device("meta"):
        network = {"vgg": vgg16, "alex": alexnet}[net](weights=None)
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(x.shape, generator=generator) * ((2 / x[0].numel()) ** 0.5 if x.ndim > 1 else 0.1)
        for name, x in network.state_dict().items()
        if name.startswith("features.")
    }


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
