"""The interface of every autoencoder: an encoder and a decoder of one latent space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import BadInputError
from bench.models.autoencoders.space import LatentSpace
from bench.models.checkpoints import TRAINING

__all__ = ["Autoencoder", "Latents", "padded"]

ENCODING = ("encoder", "quant_conv")
"""Names of the modules of diffusers' autoencoders that only the encoder needs."""


@dataclass(frozen=True, eq=False)
class Latents:
    """Latents together with the space to which they belong.

    `Autoencoder.decode` compares the spaces, so that it never decodes latents of another space.
    """

    values: Tensor
    """Latents B×C×h×w of the space's encoder, without any scaling and before `post_quant_conv`."""
    space: LatentSpace

    def for_diffusion(self) -> Tensor:
        """Return the latents with the scaling that diffusion models of this space use, as `LatentSpace.to_diffusion`
        does.
        """
        return self.space.to_diffusion(self.values)


class Autoencoder(nn.Module, ABC):
    """An encoder and a decoder of one latent space. Their networks come from diffusers or from this project.

    Every subclass overrides `space_of`, `encoded` and `decoded`. A subclass whose encoder computes a posterior also
    overrides `sampled`. A subclass whose network applies layers to latents before its decoder also overrides
    `input_layers` and `decodable`. The weights are fixed, and `encode` and `decode` compute no gradients.
    """

    has_posterior: bool = False
    """Whether the encoder computes a normal distribution of latents, from which `sampled` takes a sample."""
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
        self.found_name = space.name
        """Name of the space without regard to a name that the user chose: that of a known space, or one made from the
        encoder's weights."""

    @classmethod
    @abstractmethod
    def space_of(cls, network: Any) -> LatentSpace:
        """Return the latent space that the network's settings describe, with an empty name."""

    @property
    def divisor(self) -> int:
        """Number by which both sides of a picture must be divisible."""
        return self.space.divisor

    @property
    def precision(self) -> str:
        """Number type in which the network should compute: `float32` or `any`.

        The value is `float32` if the network's configuration sets `force_upcast`, because such a network needs float32.
        Otherwise the value is `any`.
        """
        return "float32" if getattr(getattr(self.network, "config", None), "force_upcast", False) else "any"

    @property
    def training_note(self) -> str:
        """Text that says how long the decoder was trained; empty if `config.json` does not contain such a text."""
        return str(self.network.config.get(TRAINING, ""))

    @property
    def input_layers(self) -> tuple[str, ...]:
        """Names of the network's layers that `decodable` applies to latents, in their order; () if there are none."""
        return ()

    @property
    def decoder_network(self) -> nn.Module:
        """Network that computes most of the decoding, which a caller may compile in place."""
        decoder: nn.Module = self.network.decoder
        return decoder

    def use_tiles(self, side: int) -> None:
        """Let all later calls of `decode` work in parts, to save memory. The base class always raises an error.

        An autoencoder of diffusers decodes overlapping square tiles and blends them. A decoder of this project decodes
        horizontal strips.

        Args:
            side: side of a tile in pixels, or height of a strip in rows of pixels. A picture that is not larger than a
                tile is decoded as a whole.

        Raises:
            BadInputError: the decoder cannot decode in parts, or the side does not fit it.
        """
        raise BadInputError(
            f"tiles: expected a decoder that can decode in tiles, found {type(self.network).__name__}, which cannot"
        )

    @torch.no_grad()
    def encode(self, image: Tensor, noise: Tensor | None = None) -> Latents:
        """Encode pictures.

        Args:
            image: pictures B×3×H×W in [-1, 1]. H and W are multiples of `divisor`. If `side` is not None, both are
                equal to `side`.
            noise: standard normal values in the shape of the latents, with which the encoder's posterior is sampled.
                With None, the latents are the mean of the posterior. If `has_posterior` is False, noise has no effect.

        Raises:
            BadInputError: `image` has a wrong type or shape.
        """
        self._check_pictures(image)
        return Latents(self.encoded(image) if noise is None else self.sampled(image, noise), self.space)

    @torch.no_grad()
    def decode(
        self,
        z: Latents,
        image: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        seeds: Sequence[int] = (),
    ) -> Tensor:
        """Decode latents into pictures B×3×H×W, roughly in [-1, 1].

        Args:
            z: latents of this autoencoder's space.
            image: true pictures B×3×H×W in [-1, 1]; None if no pixel is known. Only a decoder that is `conditioned`
                uses them.
            mask: masks B×1×H×W, 1 = hole; None if `image` is None. Only a decoder that is `conditioned` uses them.
            seeds: one seed for each item. Only a decoder that is `stochastic` uses and requires them.

        Raises:
            BadInputError: the latents belong to another space; an argument that the decoder uses has a wrong type or
                shape; only one of `image` and `mask` is given; or there is not one seed for each item.
        """
        self._check_latents(z, image, mask)
        if self.stochastic and len(seeds) != len(z.values):
            raise BadInputError(f"seeds: expected {len(z.values)} seeds, one for each item, found {len(seeds)}")
        return self.decoded(z.values, image, mask, seeds)

    def drop_encoder(self) -> Self:
        """Remove the networks that only `encode` uses, to save memory, and return this autoencoder.

        Afterwards, `parameters()` are those of the decoder, and `encode` must not be called.
        """
        for name in ENCODING:
            if getattr(self.network, name, None) is not None:
                setattr(self.network, name, None)
        return self

    @abstractmethod
    def encoded(self, image: Tensor) -> Tensor:
        """Return unscaled latents B×C×h×w, before `post_quant_conv`, of pictures that `encode` has checked."""

    def sampled(self, image: Tensor, noise: Tensor) -> Tensor:
        """Return latents B×C×h×w that are a sample of the encoder's posterior, in the form that `encoded` returns.

        If the encoder has no posterior, ignore the noise and return the result of `encoded`.

        Args:
            image: pictures that `encode` has checked.
            noise: standard normal values B×C×h×w on any device.
        """
        return self.encoded(image)

    def decodable(self, z: Tensor) -> Tensor:
        """Convert latents B×C×h×w of the encoder to the input of the network's decoder. The shape does not change."""
        return z

    @abstractmethod
    def decoded(self, z: Tensor, image: Tensor | None, mask: Tensor | None, seeds: Sequence[int]) -> Tensor:
        """Return the pictures B×3×H×W of latents `z`. `decode` has checked the arguments."""

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
            raise BadInputError(
                f"latents: expected latents of the space {self.space.name}, found latents of the space {z.space.name}"
            )
        side = None if self.side is None else self.side // self.space.factor
        _check_tensor("latents", z.values, (None, self.space.channels, side, side))
        if not self.conditioned:
            return
        if (image is None) != (mask is None):
            raise BadInputError("the arguments image and mask: expected both or neither of them, found only one")
        if image is not None and mask is not None:
            count, height, width = len(z.values), *(self.space.factor * size for size in z.values.shape[-2:])
            _check_tensor("image", image, (count, 3, height, width))
            _check_tensor("mask", mask, (count, 1, height, width))


def _check_tensor(name: str, found: object, shape: tuple[int | None, ...]) -> None:
    """Require that an object is a float32, float16 or bfloat16 tensor with a given shape.

    Args:
        name: name of the object in messages.
        found: the object.
        shape: expected sizes. None allows any size above 0.

    Raises:
        BadInputError: the object is not such a tensor.
    """
    wanted = "×".join("any" if size is None else str(size) for size in shape)
    if not isinstance(found, Tensor) or found.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        kind = str(found.dtype).removeprefix("torch.") if isinstance(found, Tensor) else type(found).__name__
        raise BadInputError(
            f"{name}: expected a float32, float16 or bfloat16 tensor of the shape {wanted}, found {kind}"
        )
    fits = found.ndim == len(shape) and found.numel() > 0
    if not fits or any(size not in (None, own) for size, own in zip(shape, found.shape, strict=True)):
        raise BadInputError(
            f"{name}: expected a tensor of the shape {wanted}, found {'×'.join(map(str, found.shape)) or 'one number'}"
        )


def padded(image: Tensor, divisor: int) -> Tensor:
    """Extend pictures to the right and below by reflection, so that both sides become multiples of `divisor`.

    Crop the decoded pictures with `[..., :H, :W]` afterwards. The padding belongs to the protocol of a metric, because
    the decoder sees the reflected pixels.

    Args:
        image: pictures B×3×H×W.
        divisor: number by which both sides are divisible afterwards.

    Raises:
        BadInputError: a side of the pictures is too short for the reflection.
    """
    height, width = image.shape[-2:]
    below, right = -height % divisor, -width % divisor
    if below >= height or right >= width:
        raise BadInputError(f"pictures: expected sides of more than {divisor // 2} pixels, found {width}×{height}")
    return functional.pad(image, (0, right, 0, below), mode="reflect") if below or right else image
