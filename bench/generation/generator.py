"""The interface of generators, and what they share: items as tensors, noise for each item, the first stage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.data.items import Item
from bench.runtime.device import moved
from bench.runtime.seeding import seed_for

__all__ = ["Generator", "LatentDiffusion", "float_images", "image_batch", "mask_batch", "noise_sources", "start_noise"]


class Generator(ABC):
    """A model that makes the latents that all rows of a table share.

    A class that does not inherit from this one gets the defaults when a run makes an object of it.
    """

    unet_weights: str = ""
    """Description of the UNet's weights, raw or a moving average; empty if this is unknown."""

    @abstractmethod
    def sample(self, items: Sequence[Item], seed: int) -> Tensor:
        """Sample latents B×4×h×w float32, in the scale of the diffusion model.

        The noise of an item depends only on the run's seed and the item's id, not on its batch.
        """

    @abstractmethod
    def encode(self, image: Tensor) -> Tensor:
        """Return the means of the first stage's posterior, in the scale of the diffusion model.

        Args:
            image: B×3×H×W, uint8 or float in [-1, 1].
        """

    @abstractmethod
    def decodable(self, latents: Tensor) -> Tensor:
        """Convert latents to a decoder's input: unscaled, after the first stage's `post_quant_conv`, on the device."""

    def latent_shape(self, items: Sequence[Item]) -> tuple[int, int, int] | None:
        """Return channels, height and width of one item's latents; None if this is not known beforehand."""
        return None

    def truncated(self, captions: Sequence[str]) -> int | None:
        """Return how many captions are longer than the text encoder can read; None if no captions are read."""
        return None


class LatentDiffusion(Generator):
    """A diffusion model's first stage, which computes in float32 even if the diffusion model does not."""

    def __init__(self, vae: Any, *, device: torch.device, unet_weights: str) -> None:
        """Set the parts that all kinds of diffusion models have.

        Args:
            vae: diffusers' `AutoencoderKL`, on the device.
            device: device to run on.
            unet_weights: description of the UNet's weights, raw or a moving average.
        """
        self.vae, self.device, self.unet_weights = vae, device, unet_weights

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Tensor:
        """Return the posterior's means for images B×3×H×W, uint8 or in [-1, 1], in the scale of the diffusion model."""
        mean: Tensor = self.vae.encode(float_images(moved(image, self.device))).latent_dist.mean
        return mean * self.vae.config.scaling_factor  # type: ignore[no-any-return]

    @torch.inference_mode()
    def decodable(self, latents: Tensor) -> Tensor:
        """Convert latents to a decoder's input: unscaled, after the first stage's `post_quant_conv`."""
        z: Tensor = self.vae.post_quant_conv(moved(latents, self.device) / self.vae.config.scaling_factor)
        return z

    def latent_shape(self, items: Sequence[Item]) -> tuple[int, int, int]:
        """Return channels, height and width of the latents of items, which are of equal size."""
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
    """Return one random generator for each item, on the CPU, so that its numbers are equal for every device."""
    return [torch.Generator().manual_seed(seed_for(seed, item.id, "sampling")) for item in items]


def start_noise(sources: Sequence[torch.Generator], shape: tuple[int, ...]) -> Tensor:
    """Draw the noise at which sampling starts, B×C×h×w: standard normal float32, the first draw of each item."""
    return torch.cat([torch.randn((1, *shape), generator=source) for source in sources])
