"""The interface of generators, the base class of latent diffusion models, and functions that several generators use.

The functions convert items to tensors, and draw the noise of each item.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.data.items import Item
from bench.generation.compiling import compile_forward
from bench.models.autoencoders.adapters import Normal
from bench.models.autoencoders.space import known_name
from bench.runtime.copies import moved
from bench.runtime.seeding import seed_for

__all__ = ["Generator", "LatentDiffusion", "float_images", "image_batch", "mask_batch", "noise_sources", "start_noise"]


class Generator(ABC):
    """A model that samples or encodes the latents of each item. All rows of a table share these latents.

    The class of a generator need not inherit from this class. If such a class lacks a member that has a default here, a
    run adds the member with this default. The three abstract methods have no default.
    """

    unet_weights: str = ""
    """Text that tells whether the UNet has raw weights or their moving average; empty if this is unknown."""

    @abstractmethod
    def sample(self, items: Sequence[Item], seed: int) -> Tensor:
        """Sample latents B×C×h×w float32, in the scale of the diffusion model if there is one.

        The noise of an item must depend only on the run's seed and on the item's id, not on the other items. A
        generator without a diffusion model encodes the items' images instead of sampling.

        Args:
            items: the B items.
            seed: seed of the run.
        """

    @abstractmethod
    def encode(self, image: Tensor) -> Tensor:
        """Encode images, and return the means of their latents, in the form in which `sample` returns latents.

        Args:
            image: B×3×H×W, uint8 or float in [-1, 1].
        """

    @abstractmethod
    def decodable(self, latents: Tensor) -> Tensor:
        """Convert latents to the input of a decoder, on the generator's device.

        The conversion undoes the diffusion model's scaling, and applies the first stage's `post_quant_conv` if there
        is one. If the methods of a run decode a generator's latents as they are, the latents' values stay unchanged.

        Args:
            latents: result of `sample` or of `encode`.
        """

    @property
    def space_name(self) -> str:
        """Name of the known latent space of the latents; empty if it is not known."""
        return ""

    def latent_shape(self, items: Sequence[Item]) -> tuple[int, int, int] | None:
        """Return channels, height and width of one item's latents; None if they are not known before sampling."""
        return None

    def truncated(self, captions: Sequence[str]) -> int | None:
        """Return how many captions are too long for the text encoder; None if the generator reads no captions."""
        return None

    def compile(self, mode: str) -> None:
        """Make networks compile themselves at their first call. By default, a generator compiles nothing.

        Args:
            mode: one of `bench.config.schema.COMPILE`.
        """
        return None


class LatentDiffusion(Generator):
    """The base class of generators that are latent diffusion models. It encodes images with the first stage.

    The first stage computes in float32, even if the diffusion model has another precision.
    """

    _pipeline: Any
    """A pipeline of diffusers, with a part `unet`."""

    def __init__(self, vae: Any, *, device: torch.device, unet_weights: str) -> None:
        """Set the first stage, the device and the text about the UNet's weights.

        Args:
            vae: the first stage, diffusers' `AutoencoderKL`, which is already on the device.
            device: device on which all networks run.
            unet_weights: text that tells whether the UNet has raw weights or their moving average.
        """
        self.vae, self.device, self.unet_weights = vae, device, unet_weights

    def compile(self, mode: str) -> None:
        """Make the UNet compile itself at its first call.

        Args:
            mode: one of `bench.config.schema.COMPILE`.
        """
        compile_forward(self._pipeline.unet, mode)

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Tensor:
        """Return the means of the latents of images, in the scale of the diffusion model.

        Args:
            image: B×3×H×W, uint8 or float in [-1, 1].
        """
        mean: Tensor = self.vae.encode(float_images(moved(image, self.device))).latent_dist.mean
        return mean * self.vae.config.scaling_factor  # type: ignore[no-any-return]

    @torch.inference_mode()
    def decodable(self, latents: Tensor) -> Tensor:
        """Convert latents to a decoder's input: undo the scaling, and apply the first stage's `post_quant_conv`."""
        z: Tensor = self.vae.post_quant_conv(moved(latents, self.device) / self.vae.config.scaling_factor)
        return z

    @property
    def space_name(self) -> str:
        return known_name(Normal.space_of(self.vae))

    def latent_shape(self, items: Sequence[Item]) -> tuple[int, int, int]:
        """Return channels, height and width of one item's latents. All items must have images of equal size."""
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        height, width = items[0].mask.shape
        return self.vae.config.latent_channels, height // factor, width // factor


def image_batch(items: Sequence[Item]) -> Tensor:
    """Return the images of items as B×3×H×W uint8."""
    return picture_batch([item.image for item in items])


def picture_batch(pictures: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
    """Return pictures H×W×3 of equal size as B×3×H×W uint8."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def mask_batch(items: Sequence[Item]) -> Tensor:
    """Return the masks of items as B×1×H×W float32, 1 = hole."""
    return torch.from_numpy(np.stack([item.mask for item in items])).unsqueeze(1).float()


def float_images(image: Tensor) -> Tensor:
    """Scale uint8 images to [-1, 1]; return float images unchanged."""
    return image if image.is_floating_point() else image.float().div(127.5).sub(1)


def noise_sources(items: Sequence[Item], seed: int) -> list[torch.Generator]:
    """Return one random generator for each item, which is seeded by the run's seed and the item's id.

    The random generators are on the CPU, so that they draw equal numbers for every device.
    """
    return [torch.Generator().manual_seed(seed_for(seed, item.id, "sampling")) for item in items]


def start_noise(sources: Sequence[torch.Generator], shape: tuple[int, ...]) -> Tensor:
    """Draw the noise from which sampling starts: B×C×h×w float32, standard normal.

    Args:
        sources: one random generator for each item. No number may have been drawn from it before.
        shape: shape C×h×w of one item's latents.
    """
    return torch.cat([torch.randn((1, *shape), generator=source) for source in sources])
