"""Reconstruction in any latent space: a generator that only encodes, and a method that only decodes.

Both use an autoencoder of `bench.models.autoencoders`. The latents of a run are those of one encoder, unscaled and
before `post_quant_conv`. Every decoder of the same latent space takes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from bench.config.schema import PRECISIONS
from bench.data.items import Item
from bench.generation.generator import Generator, float_images, image_batch
from bench.generation.method import Batch, Method, checked_image
from bench.models.autoencoders import Autoencoder, Latents, padded
from bench.runtime.copies import moved
from bench.runtime.seeding import seed_for

__all__ = ["DecodedByAutoencoder", "EncodingGenerator"]


class EncodingGenerator(Generator):
    """A generator whose latents are the whole pictures, encoded by an autoencoder in float32.

    If the sides of a picture are not multiples of the autoencoder's divisor, the picture is extended by reflection.
    """

    def __init__(self, autoencoder: Autoencoder, *, device: torch.device) -> None:
        """Set the autoencoder, of which only the encoder is used, and the device to run on."""
        self.autoencoder, self.device = autoencoder.to(device), device

    def sample(self, items: Sequence[Item], seed: int) -> Tensor:
        """Encode the items' images, and return latents B×C×h×w. Masks, ids and the seed have no effect."""
        return self.encode(image_batch(items))

    def encode(self, image: Tensor) -> Tensor:
        """Return the unscaled latents B×C×h×w of images B×3×H×W, which are uint8 or float in [-1, 1]."""
        pictures = padded(float_images(moved(image, self.device)), self.autoencoder.divisor)
        return self.autoencoder.encode(pictures).values

    def latent_shape(self, items: Sequence[Item]) -> tuple[int, int, int]:
        """Return channels, height and width of one item's latents. All items must have images of equal size."""
        space, (height, width) = self.autoencoder.space, items[0].mask.shape
        tall, wide = self._whole(height, width)
        return space.channels, tall // space.factor, wide // space.factor

    def _whole(self, *sides: int) -> list[int]:
        """Return each side in pixels, rounded up to a multiple of the autoencoder's divisor."""
        return [side + -side % self.autoencoder.divisor for side in sides]

    def decodable(self, latents: Tensor) -> Tensor:
        """Return the latents on the generator's device, otherwise unchanged."""
        return moved(latents, self.device)


class DecodedByAutoencoder(Method):
    """A method that decodes latents with an autoencoder's decoder. The latents must be in the autoencoder's space."""

    decodes = True

    def __init__(
        self,
        autoencoder: Autoencoder,
        *,
        space: str = "",
        masked: bool = False,
        precision: str = "float32",
        seed: int = 0,
    ) -> None:
        """Set the autoencoder, of which only the decoder is used.

        Args:
            autoencoder: autoencoder in float32. It is changed in place: its encoder is removed, and its weights are
                converted to the type that `precision` names.
            space: name of the space of the latents that are decoded; empty to accept any space.
            masked: True if the decoder gets the true image and the mask.
            precision: number type in which the decoder computes, one of `bench.config.schema.PRECISIONS`.
            seed: seed of the noise, for a decoder that draws noise. The noise of an item also depends on its id.

        Raises:
            ValueError: the precision is unknown, the latents are of another space, or `masked` is True for a decoder
                that takes no mask.
        """
        if precision not in PRECISIONS:
            raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, found {precision}")
        if masked and not autoencoder.conditioned:
            raise ValueError("masked=true: expected a decoder that takes a mask, found a decoder that takes no mask")
        if space and autoencoder.space.name != space:
            raise ValueError(
                f"space: expected {autoencoder.space.name}, the latent space of the decoder, found {space}"
            )
        self.dtype: torch.dtype = getattr(torch, precision)
        self.autoencoder = autoencoder.drop_encoder().to(self.dtype)
        self.masked, self.seed = masked, seed
        self.training = autoencoder.training_note

    @property
    def counted_network(self) -> nn.Module:
        return self.autoencoder

    def to(self, device: torch.device) -> Self:
        self.autoencoder.to(device)
        return self

    def __call__(self, batch: Batch) -> Tensor:
        """Return images B×3×H×W float32, roughly in [-1, 1], in the size of the batch's images.

        If the decoder makes larger images, because sides were extended to multiples of the divisor, they are cropped.
        """
        height, width = batch.image.shape[-2:]
        shown: tuple[Tensor, ...] = ()
        if self.masked:
            sides = batch.image, batch.mask
            shown = tuple(padded(side, self.autoencoder.divisor).to(self.dtype) for side in sides)
        seeds = [seed_for(self.seed, item, "decoding") for item in batch.ids] if self.autoencoder.stochastic else ()
        z = Latents(batch.z.to(self.dtype), self.autoencoder.space)
        image = self.autoencoder.decode(z, *shown, seeds=seeds)[..., :height, :width]
        return checked_image(image, len(batch.ids), None, "decoder").float()
