"""The interface of every autoencoder: an encoder and a decoder of one latent space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import BadInputError
from bench.models.autoencoders.space import LatentSpace

__all__ = ["Autoencoder", "Latents", "padded"]


@dataclass(frozen=True, eq=False)
class Latents:
    """Latents together with the space to which they belong, so that no decoder of another space gets them."""

    values: Tensor
    """Latents B×C×h×w of the space's encoder, without any scaling and before `post_quant_conv`."""
    space: LatentSpace

    def for_diffusion(self) -> Tensor:
        """Return the latents as a diffusion model of the space sees them."""
        return self.space.to_diffusion(self.values)


class Autoencoder(nn.Module, ABC):
    """An encoder and a decoder of one latent space, with the network of diffusers that computes them.

    A subclass overrides `encoded` and `decoded`. Weights are fixed, and no method records gradients.
    """

    conditioned: bool = False
    """Whether the decoder also uses the true image and the mask of the hole."""
    stochastic: bool = False
    """Whether the decoder draws noise. Each item then has a seed of its own."""
    imitates: bool = False
    """Whether the network was trained on the latents of another autoencoder, which its configuration does not name."""
    side: int | None = None
    """Side of the pictures in pixels if the network takes no others; None if any multiple of the divisor fits."""

    def __init__(self, network: Any, space: LatentSpace) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.space = space

    @classmethod
    @abstractmethod
    def space_of(cls, network: Any) -> LatentSpace:
        """Return the sizes and the convention of a network's latents, as its configuration has them, without a name."""

    @property
    def divisor(self) -> int:
        """Number by which both sides of a picture must be divisible."""
        return self.space.divisor

    @property
    def precision(self) -> str:
        """Number type in which the network should compute: `float32` if its configuration asks for it on half
        precision hardware (`force_upcast`), and otherwise `any`.
        """
        return "float32" if getattr(getattr(self.network, "config", None), "force_upcast", False) else "any"

    @torch.no_grad()
    def encode(self, image: Tensor) -> Latents:
        """Encode pictures, without noise: the result is the mean of the posterior if there is one.

        Args:
            image: B×3×H×W in [-1, 1]; both sides are multiples of `divisor`.

        Raises:
            BadInputError: a side does not fit.
        """
        self._check_pictures(image)
        return Latents(self.encoded(image), self.space)

    @torch.no_grad()
    def decode(
        self,
        z: Latents,
        image: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        seeds: Sequence[int] = (),
    ) -> Tensor:
        """Decode latents of this space into pictures B×3×H×W, roughly in [-1, 1].

        Args:
            z: latents of this space.
            image: true pictures B×3×H×W in [-1, 1], for a decoder that is `conditioned`; others do not use them.
            mask: B×1×H×W, 1 = hole, likewise.
            seeds: seed of each item, for a decoder that is `stochastic`.

        Raises:
            BadInputError: the latents are of another space; or an argument that the decoder needs is missing.
        """
        self._check_latents(z, image, mask)
        if self.stochastic and len(seeds) != len(z.values):
            raise BadInputError(f"seeds: expected one for each of {len(z.values)} items, found {len(seeds)}")
        return self.decoded(z.values, image, mask, seeds)

    @abstractmethod
    def encoded(self, image: Tensor) -> Tensor:
        """Return the latents B×C×h×w of pictures whose sides fit, unscaled and before `post_quant_conv`."""

    @abstractmethod
    def decoded(self, z: Tensor, image: Tensor | None, mask: Tensor | None, seeds: Sequence[int]) -> Tensor:
        """Return the pictures of latents of this space, with the arguments of `decode`, which are checked."""

    def _check_pictures(self, image: Tensor) -> None:
        _check_tensor("pictures", image, (None, 3, None, None))
        height, width = image.shape[-2:]
        if self.side is not None and (height, width) != (self.side, self.side):
            raise BadInputError(f"pictures: expected {self.side}×{self.side} pixels, found {width}×{height}")
        if height % self.divisor or width % self.divisor:
            raise BadInputError(
                f"pictures: expected sides that are multiples of {self.divisor}, found {width}×{height}; pad them "
                "first, or crop them"
            )

    def _check_latents(self, z: Latents, image: Tensor | None, mask: Tensor | None) -> None:
        if z.space.name != self.space.name:
            raise BadInputError(f"latents: expected those of the space {self.space.name}, found {z.space.name}")
        side = None if self.side is None else self.side // self.space.factor
        _check_tensor("latents", z.values, (None, self.space.channels, side, side))
        if not self.conditioned:
            return
        if (image is None) != (mask is None):
            raise BadInputError("image, mask: expected both or none of them, found only one")
        if image is not None and mask is not None:
            count, height, width = len(z.values), *(self.space.factor * size for size in z.values.shape[-2:])
            _check_tensor("image", image, (count, 3, height, width))
            _check_tensor("mask", mask, (count, 1, height, width))


def _check_tensor(name: str, found: object, shape: tuple[int | None, ...]) -> None:
    """Require a float32, float16 or bfloat16 tensor of a shape, in which None allows any size above 0.

    Raises:
        BadInputError: the object is not such a tensor.
    """
    wanted = "×".join("N" if size is None else str(size) for size in shape)
    if not isinstance(found, Tensor) or found.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        kind = str(found.dtype).removeprefix("torch.") if isinstance(found, Tensor) else type(found).__name__
        raise BadInputError(f"{name}: expected a float tensor {wanted}, found {kind}")
    fits = found.ndim == len(shape) and found.numel() > 0
    if not fits or any(size not in (None, own) for size, own in zip(shape, found.shape, strict=True)):
        raise BadInputError(
            f"{name}: expected a tensor {wanted}, found {'×'.join(map(str, found.shape)) or 'one number'}"
        )


def padded(image: Tensor, divisor: int) -> Tensor:
    """Extend pictures to the right and below by reflection, so that their sides become multiples of a number.

    Cut the decoded pictures back with `[..., :H, :W]`. This belongs to the protocol of a measurement, because a
    decoder sees the reflected pixels.

    Args:
        image: B×3×H×W.
        divisor: number by which both sides are divisible afterwards.

    Raises:
        BadInputError: the pictures are so small that there is not enough to reflect.
    """
    height, width = image.shape[-2:]
    below, right = -height % divisor, -width % divisor
    if below >= height or right >= width:
        raise BadInputError(f"pictures: expected sides of more than {divisor // 2} pixels, found {width}×{height}")
    return functional.pad(image, (0, right, 0, below), mode="reflect") if below or right else image
