"""A generator without networks, for tests of the stages around it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.data.items import Item
from bench.generation.generator import Generator, noise_sources, start_noise
from bench.runtime.copies import moved


class Noise(Generator):
    """A generator whose latents are noise that depends on the item alone."""

    def __init__(self, side: int, device: torch.device) -> None:
        """Set the height and width of the latents, and the device on which decoders get them."""
        self.side, self.device = side, device

    def sample(self, items: Sequence[Item], seed: int) -> Tensor:
        return start_noise(noise_sources(items, seed), (4, self.side, self.side))

    def encode(self, image: Tensor) -> Tensor:
        return torch.zeros(len(image), 4, self.side, self.side)

    def decodable(self, latents: Tensor) -> Tensor:
        return moved(latents, self.device)
