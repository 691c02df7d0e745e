"""The generator for tests of reconstruction. It encodes the pictures themselves, and uses no diffusion model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.data.items import Item
from bench.generation.generator import Generator, float_images, image_batch
from bench.models.autoencoders.space import known_name
from bench.models.first_stage import load_first_stage
from bench.runtime.copies import moved

__all__ = ["ReconstructionGenerator"]


class ReconstructionGenerator(Generator):
    """A generator whose latents are the whole pictures, encoded by the first stage.

    An autoencoder with a posterior, such as `AutoencoderKL`, encodes a picture as the mean of its posterior. A
    `VQModel` encodes a picture as vectors from its codebook. The first stage's `post_quant_conv` is then applied if
    there is one. The latents are therefore a decoder's input.
    """

    def __init__(self, path: str, *, device: torch.device) -> None:
        """Load the first stage.

        Args:
            path: a folder of an autoencoder that `bench.models.load_autoencoder` reads, or a checkpoint file of Stable
                Diffusion 1 in the original layout.
            device: device on which the first stage runs.

        Raises:
            BadInputError: the folder or file does not contain a complete first stage.
        """
        self.first_stage = load_first_stage(path).to(device)
        self.device = device

    def sample(self, items: Sequence[Item], seed: int) -> Tensor:
        """Encode the items' images, and return latents B×C×h×w. Masks, ids and the seed have no effect."""
        return self.encode(image_batch(items))

    def encode(self, image: Tensor) -> Tensor:
        """Return latents B×C×h×w of images B×3×H×W, uint8 or float in [-1, 1]. The latents are a decoder's input."""
        return self.first_stage.latents(float_images(moved(image, self.device)))

    @property
    def space_name(self) -> str:
        return known_name(self.first_stage.space)

    def decodable(self, latents: Tensor) -> Tensor:
        """Move the latents to the generator's device, and change nothing else: they are already a decoder's input."""
        return moved(latents, self.device)
