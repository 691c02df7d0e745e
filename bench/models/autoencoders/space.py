"""Latent spaces: the conversion of an encoder's latents to the latents of a diffusion model, and the known spaces."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["KNOWN", "LatentSpace", "alike", "known_name"]

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class LatentSpace:
    """The name and the sizes of an encoder's latents, and the numbers by which diffusion models scale these latents.

    Two decoders may get the same latents only if their spaces have the same name. Equal shapes do not suffice: the
    spaces of Stable Diffusion 1 and of SDXL have latents of the same shape, but the decoder of one space fails on the
    latents of the other space.
    """

    name: str
    """Name of the space, such as `sd1`."""
    channels: int
    """Number of channels of the encoder's latents."""
    factor: int
    """Side of the square of pixels that one position of the latents stands for."""
    scale: float = 1.0
    """Factor by which latents are multiplied for a diffusion model, after the shift is subtracted."""
    shift: float = 0.0
    """Number that is subtracted from latents for a diffusion model."""
    mean: Numbers = ()
    """Mean of each channel, which is subtracted for a diffusion model; empty for a mean of 0. After patchifying, there
    is one for each of the `channels` times `patch` squared channels."""
    deviation: Numbers = ()
    """Standard deviation of each channel, by which latents are divided for a diffusion model; empty for 1."""
    patch: int = 1
    """Side of the square of positions whose channels are joined for a diffusion model; 1 if nothing is joined."""

    @property
    def divisor(self) -> int:
        """Number by which both sides of a picture must be divisible, so that no pixel is cut off."""
        return self.factor * self.patch

    def to_diffusion(self, z: Tensor) -> Tensor:
        """Convert an encoder's latents to the latents that a diffusion model of this space uses.

        Args:
            z: latents B×C×h×w of the encoder, unscaled and before `post_quant_conv`.

        Returns:
            Latents B×(C·p²)×(h/p)×(w/p), where p is `patch`.
        """
        joined = torch.pixel_unshuffle(z, self.patch) if self.patch > 1 else z
        return (joined - self.shift - _by_channel(self.mean, joined, 0.0)) * (
            self.scale / _by_channel(self.deviation, joined, 1.0)
        )

    def from_diffusion(self, latents: Tensor) -> Tensor:
        """Convert a diffusion model's latents to the latents of the encoder. This is the inverse of `to_diffusion`."""
        ratio = _by_channel(self.deviation, latents, 1.0) / self.scale
        joined = latents * ratio + _by_channel(self.mean, latents, 0.0) + self.shift
        return torch.pixel_shuffle(joined, self.patch) if self.patch > 1 else joined


def _by_channel(numbers: Numbers, like: Tensor, default: float) -> Tensor:
    """Return `numbers` as a tensor 1×C×1×1. If `numbers` is empty, return `default` as a tensor 1×1×1×1.

    The result has the type and the device of `like`.
    """
    return torch.tensor(numbers or (default,), dtype=like.dtype, device=like.device).view(1, -1, 1, 1)


WAN21 = LatentSpace(
    "wan21",
    16,
    8,
    mean=(
        -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632, -0.1922,
        -0.9497, 0.2503, -0.2921,
    ),
    deviation=(
        2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253,
        2.8251, 1.9160,
    ),
)  # fmt: skip
"""Space of Wan 2.1 and of Qwen-Image, with the statistics of diffusers' `AutoencoderKLWan`."""
KNOWN: Mapping[str, LatentSpace] = {
    space.name: space
    for space in (
        LatentSpace("sd1", 4, 8, scale=0.18215),
        LatentSpace("sdxl", 4, 8, scale=0.13025),
        LatentSpace("eq-sdxl", 4, 8, scale=0.1275, shift=0.8640),
        LatentSpace("sd3", 16, 8, scale=1.5305, shift=0.0609),
        LatentSpace("flux1", 16, 8, scale=0.3611, shift=0.1159),
        WAN21,
        LatentSpace("dc-ae-f32c32-sana", 32, 32, scale=0.41407),
    )
}
"""Spaces whose convention is written in the configuration of their autoencoder, by name."""


def known_name(space: LatentSpace) -> str:
    """Return the name of the space in `KNOWN` that has the same sizes and the same scaling as `space`.

    Return "" if no known space fits. The name of `space` itself is not used.
    """
    return next((name for name, known in KNOWN.items() if alike(space, known)), "")


def alike(one: LatentSpace, other: LatentSpace) -> bool:
    """Return True if two spaces have the same sizes and the same scaling. Their names are not compared.

    Numbers that differ by less than 1e-4 count as equal, because published configurations round them differently.
    """
    first, second = (
        (space.channels, space.factor, space.patch, len(space.mean), len(space.deviation)) for space in (one, other)
    )
    numbers = zip(
        (one.scale, one.shift, *one.mean, *one.deviation),
        (other.scale, other.shift, *other.mean, *other.deviation),
        strict=False,  # if the lengths differ, so do the sizes
    )
    return first == second and all(math.isclose(mine, theirs, abs_tol=1e-4) for mine, theirs in numbers)
