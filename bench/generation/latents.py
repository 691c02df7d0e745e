"""What every generator promises, and what they share: items as tensors, noise of each item's own, the first stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.data.items import Item
from bench.device import moved
from bench.seeding import seed_for

__all__ = ["Generator", "LatentDiffusion", "float_images", "image_batch", "mask_batch", "noise_sources", "start_noise"]


class Generator(Protocol):
    """Whatever makes the latents that all rows of a table share."""

    def sample(self, items: Sequence[Item], seed: int) -> Tensor:
        """Latents B×4×h×w float32, scaled as the diffusion model has them.

        Every item's noise depends on the run's seed and the item's id alone, whatever batch it is in.
        """

    def encode(self, image: Tensor) -> Tensor:
        """Means of the first stage's posterior, scaled likewise.

        Args:
            image: B×3×H×W, uint8 or float in [-1, 1].
        """

    def decodable(self, latents: Tensor) -> Tensor:
        """Latents as a decoder takes them: unscaled, after the first stage's `post_quant_conv`, on the device."""


class LatentDiffusion:
    """A diffusion model's first stage, in float32 whatever the model's precision."""

    def __init__(self, vae: Any, *, device: torch.device, unet_weights: str) -> None:
        """Take what the kinds of diffusion model have in common.

        Args:
            vae: diffusers' `AutoencoderKL`, on the device.
            device: where to run.
            unet_weights: which weights the UNet has, raw or a moving average, in words.
        """
        self.vae, self.device, self.unet_weights = vae, device, unet_weights

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Tensor:
        """Means of the posterior of images B×3×H×W, uint8 or in [-1, 1], scaled as the diffusion model has them."""
        mean: Tensor = self.vae.encode(float_images(moved(image, self.device))).latent_dist.mean
        return mean * self.vae.config.scaling_factor  # type: ignore[no-any-return]

    @torch.inference_mode()
    def decodable(self, latents: Tensor) -> Tensor:
        """Latents as a decoder takes them: unscaled, after the first stage's `post_quant_conv`."""
        z: Tensor = self.vae.post_quant_conv(moved(latents, self.device) / self.vae.config.scaling_factor)
        return z

    def latent_shape(self, items: Sequence[Item]) -> tuple[int, int, int]:
        """Channels, height and width of the latents of items, which are of one size."""
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        height, width = items[0].mask.shape
        return self.vae.config.latent_channels, height // factor, width // factor


def image_batch(items: Sequence[Item]) -> Tensor:
    """Images B×3×H×W uint8."""
    return picture_batch([item.image for item in items])


def picture_batch(pictures: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
    """Pictures H×W×3 of one size as B×3×H×W uint8."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def mask_batch(items: Sequence[Item]) -> Tensor:
    """Masks B×1×H×W float32, 1 = hole."""
    return torch.from_numpy(np.stack([item.mask for item in items])).unsqueeze(1).float()


def float_images(image: Tensor) -> Tensor:
    """Images in [-1, 1]: uint8 ones scaled, others as they are."""
    return image if image.is_floating_point() else image.float().div(127.5).sub(1)


def noise_sources(items: Sequence[Item], seed: int) -> list[torch.Generator]:
    """One generator of random numbers for each item, on the CPU: its numbers are the same on every device."""
    return [torch.Generator().manual_seed(seed_for(seed, item.id, "sampling")) for item in items]


def start_noise(sources: Sequence[torch.Generator], shape: tuple[int, ...]) -> Tensor:
    """Where sampling starts, B×C×h×w: standard normal float32, the first that is drawn for each item."""
    return torch.cat([torch.randn((1, *shape), generator=source) for source in sources])
