"""Latents of the pictures themselves, without any diffusion model: what a decoder makes of what the encoder saw."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.data.items import Item
from bench.device import moved
from bench.generation.latents import float_images, image_batch
from bench.models.first_stage import load_first_stage

__all__ = ["ReconstructionGenerator"]


class ReconstructionGenerator:
    """Means of the first stage's latents of whole pictures; takes the place of a generator."""

    def __init__(self, path: str, *, device: torch.device) -> None:
        """Load the first stage.

        Args:
            path: a folder of diffusers' `AutoencoderKL` or `VQModel`.
            device: where to run.

        Raises:
            BadInputError: the folder holds no whole first stage.
        """
        self.first_stage = load_first_stage(path).to(device)
        self.device = device

    def sample(self, items: Sequence[Item], seed: int) -> Tensor:
        """Latents B×C×h×w of the items' images, as a decoder takes them; masks, ids and the seed change nothing."""
        return self.encode(image_batch(items))

    def encode(self, image: Tensor) -> Tensor:
        """The same of images B×3×H×W, uint8 or in [-1, 1]."""
        return self.first_stage.latents(float_images(moved(image, self.device)))

    def decodable(self, latents: Tensor) -> Tensor:
        """Latents as they are."""
        return moved(latents, self.device)
