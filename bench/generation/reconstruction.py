"""Latents of the pictures themselves, from the encoder without a diffusion model, for the test of reconstructions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.data.items import Item
from bench.generation.generator import Generator, float_images, image_batch
from bench.models.first_stage import load_first_stage
from bench.runtime.device import moved

__all__ = ["ReconstructionGenerator"]


class ReconstructionGenerator(Generator):
    """Means of the first stage's latents of whole pictures; takes the place of a generator."""

    def __init__(self, path: str, *, device: torch.device) -> None:
        """Load the first stage.

        Args:
            path: a folder of diffusers' `AutoencoderKL` or `VQModel`.
            device: device to run on.

        Raises:
            BadInputError: the folder holds no complete first stage.
        """
        self.first_stage = load_first_stage(path).to(device)
        self.device = device

    def sample(self, items: Sequence[Item], seed: int) -> Tensor:
        """Return decoder inputs B×C×h×w for the items' images; masks, ids and the seed have no effect."""
        return self.encode(image_batch(items))

    def encode(self, image: Tensor) -> Tensor:
        """Encode images B×3×H×W, uint8 or in [-1, 1]."""
        return self.first_stage.latents(float_images(moved(image, self.device)))

    def decodable(self, latents: Tensor) -> Tensor:
        """Return the latents unchanged, on the device."""
        return moved(latents, self.device)
