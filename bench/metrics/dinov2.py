"""An encoder that computes the features of DINOv2 for FD-DINOv2, with weights from a file on this machine.

FD-DINOv2 is the Fréchet distance of Stein et al., "Exposing flaws of generative model evaluation metrics and their
unfair treatment of diffusion models" (2023). The preparation of the images is that of layer6ai-labs/dgm-eval at d57a6d2
(dgm_eval/models/dinov2.py): Pillow's bicubic resize to 224×224 pixels, rounded to 8 bits, and ImageNet's mean and
standard deviation. The features are the class token of ViT-L/14 after the last normalisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from bench.errors import BadInputError
from bench.metrics.clip_score import ImageEncoder
from bench.metrics.networks.dinov2 import HEAD, DINOv2Network
from bench.metrics.networks.local_weights import misfit, read_tensors

__all__ = ["DINOv2Encoder"]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of each channel of ImageNet's pictures, in [0, 1]."""


class DINOv2Encoder(ImageEncoder):
    """The class token of DINOv2 for images of 224×224 pixels, computed in float32."""

    resolution = 224
    mean, std = MEAN, STD

    def __init__(self, path: str | Path, width: int = 1024, blocks: int = 24) -> None:
        """Load the weights.

        Args:
            path: path of `dinov2_vitl14_pretrain.pth`, or of a state dict with the same tensor names, saved as
                `.safetensors` or by `torch.save`.
            width: number of channels of the features, a multiple of 64. FD-DINOv2 is defined with the default.
            blocks: number of transformer blocks. FD-DINOv2 is defined with the default.

        Raises:
            BadInputError: the file is missing or broken, its weights are not those of such a network, or `width` is not
                a multiple of 64.
        """
        if width < HEAD or width % HEAD:
            raise BadInputError(f"width: expected a multiple of {HEAD}, found {width}")
        path, what = Path(path), f"weights of DINOv2 with {blocks} blocks of width {width}"
        tensors = read_tensors(path, what)
        try:
            self._network = DINOv2Network(tensors, width=width, blocks=blocks, side=self.resolution)
        except RuntimeError as error:
            raise misfit(path, what, error) from None
        self._device = torch.device("cpu")
        self._name = f"DINOv2, {blocks} blocks of width {width}, patches of 14 pixels, without registers, fp32"

    @property
    def protocol(self) -> Mapping[str, Any]:
        """The network's name, and the way in which its features are computed, as plain data."""
        return {
            "network": self._name,
            "features": "class token after the last layer norm",
            "positions": "bicubic from the trained grid, scale of the grid plus 0.1, no antialiasing",
        }

    def to(self, device: torch.device | str) -> Self:
        """Move the network to a device, and return the encoder."""
        self._network.to(device)
        self._device = torch.device(device)
        return self

    def __call__(self, x: Tensor) -> Tensor:
        """Return the features B×width of normalised images B×3×224×224, on the encoder's device."""
        features: Tensor = self._network(x.to(self._device))
        return features
