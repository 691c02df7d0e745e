"""LPIPS with VGG16 and the learned heads of version 0.1, from weight files on this machine (Zhang et al., 2018).

The heads travel with the `lpips` package; the backbone is torchvision's `vgg16-397923af.pth`.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.errors import BadInputError

__all__ = ["LPIPSVGG"]


class LPIPSVGG(nn.Module):
    """Called with two batches of images B×3×H×W in [-1, 1]; returns B distances."""

    def __init__(self, backbone: str | Path) -> None:
        """Load both parts.

        Args:
            backbone: torchvision's VGG16 weights for ImageNet, a state dict in a `.pth` file.

        Raises:
            BadInputError: the file is missing, or holds no VGG16.
        """
        super().__init__()
        import lpips

        path = Path(backbone)
        try:
            weights: dict[str, Tensor] = torch.load(path, weights_only=True, map_location="cpu")
        except Exception as error:  # torch raises many kinds for what is no checkpoint
            raise BadInputError(f"{path}: expected VGG16's weights, found {error}") from None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lpips calls torchvision in a way of the past
            self.net = lpips.LPIPS(net="vgg", version="0.1", pnet_rand=True, verbose=False)
        found = self.net.net.state_dict()
        # lpips cuts torchvision's `features` into five slices and keeps each layer's number.
        wanted = {name: f"features.{name.split('.', 1)[1]}" for name in found}
        missing = [source for source in wanted.values() if source not in weights]
        if missing:
            raise BadInputError(f"{path}: expected torchvision's VGG16, found no {missing[0]} in it")
        self.net.net.load_state_dict({name: weights[source] for name, source in wanted.items()})
        self.net.eval().requires_grad_(False)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Distances B of images to targets; the targets' features get no graph."""
        net = self.net
        distance = torch.zeros(len(image), device=image.device)
        with torch.no_grad():
            wanted = [_unit(level.float()) for level in net.net(net.scaling_layer(target))]
        found = [_unit(level.float()) for level in net.net(net.scaling_layer(image))]
        for head, first, second in zip(net.lins, found, wanted, strict=True):
            distance = distance + head((first - second).square()).mean((1, 2, 3))
        return distance


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)
