"""LPIPS with VGG16 and the learned heads of version 0.1, from weight files on this machine (Zhang et al., 2018).

The heads travel with the `lpips` package; the backbone is torchvision's `vgg16-397923af.pth`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from bench.errors import BadInputError
from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Extra

__all__ = ["LPIPSVGG", "LPIPSMeasure"]


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
        with torch.no_grad():
            wanted = self.levels(target)
        return self.between(self.levels(image), wanted)

    def levels(self, image: Tensor) -> list[Tensor]:
        """Features B×C×h×w of five levels, of unit length at each position, of images B×3×H×W in [-1, 1]."""
        net = self.net
        return [_unit(level.float()) for level in net.net(net.scaling_layer(image))]

    def between(self, levels: list[Tensor], others: list[Tensor]) -> Tensor:
        """Distances B of two batches from what `levels` gives for them."""
        distance = torch.zeros(len(levels[0]), device=levels[0].device)
        for head, first, second in zip(self.net.lins, levels, others, strict=True):
            distance = distance + head((first - second).square()).mean((1, 2, 3))
        return distance


class LPIPSMeasure:
    """Keeps `lpips` of whole images as they are saved, as LaMa's evaluation measures it.

    advimman/lama at 786f593: saicinpainting/evaluation/losses/lpips.py, whose inputs in [0, 1] become [-1, 1].
    """

    protocol: Mapping[str, Any] = {
        "image": "uint8 RGB, truncated, at the items' own size; 2x - 1",
        "network": "VGG16, learned heads of LPIPS 0.1",
        "version": 1,
    }

    def __init__(self, backbone: str | Path) -> None:
        """Load both parts, as `LPIPSVGG` does."""
        self.network = LPIPSVGG(backbone)

    def to(self, device: torch.device | str) -> Self:
        self.network.to(device)
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, list[Tensor]]:
        with torch.inference_mode():
            return {}, self._levels(truth)

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: list[Tensor], extra: Extra) -> Arrays:
        with torch.inference_mode():
            levels = self._levels(to_uint8(image, rounding="truncate"))
            return {"lpips": self.network.between(levels, kept).double().cpu().numpy()}

    def _levels(self, image: Tensor) -> list[Tensor]:
        return self.network.levels(2 * (image.float() / 255) - 1)


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)
