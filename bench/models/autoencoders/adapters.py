"""Adapters, which make different classes of autoencoders usable through the interface `Autoencoder`.

Each supported class of diffusers has an adapter. `OwnDecoder` is the adapter for this project's decoders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from bench.errors import BadInputError
from bench.models.autoencoders.autoencoder import Autoencoder
from bench.models.autoencoders.space import LatentSpace
from bench.models.decoder import Decoder, DecoderConfig
from bench.models.strips import decode_in_strips

__all__ = [
    "ADAPTERS",
    "Asymmetric",
    "Consistency",
    "DeepCompression",
    "Flux2",
    "Normal",
    "OneFrame",
    "OwnDecoder",
    "Quantised",
    "Representation",
    "Tiny",
    "require_latents_of",
]


FEWEST_POSITIONS = 4
"""Smallest side of a tile of diffusers in positions of the latents. Tiles overlap by a quarter of their side."""


class OfDiffusers(Autoencoder):
    """Base class of the adapters for diffusers.

    By default, `decoded` calls the network's method `decode`, and `decodable` applies the network's layer
    `post_quant_conv` if there is one.
    """

    @property
    def input_layers(self) -> tuple[str, ...]:
        return () if getattr(self.network, "post_quant_conv", None) is None else ("post_quant_conv",)

    def decodable(self, z: Tensor) -> Tensor:
        return self.network.post_quant_conv(z) if self.input_layers else z

    def decoded(self, z: Tensor, image: Tensor | None, mask: Tensor | None, seeds: Sequence[int]) -> Tensor:
        sample: Tensor = self.network.decode(z).sample
        return sample

    def use_tiles(self, side: int) -> None:
        network, factor = self.network, self.space.factor
        if not (hasattr(network, "tiled_decode") or hasattr(network, "_tiled_decode")):
            super().use_tiles(side)
        if side % factor or side < FEWEST_POSITIONS * factor:
            raise BadInputError(
                f"tiles: expected a side that is a multiple of {factor} and at least {FEWEST_POSITIONS * factor} "
                f"pixels, found {side}"
            )
        if hasattr(network, "tile_latent_min_size"):
            network.tile_sample_min_size, network.tile_latent_min_size = side, side // factor
            network.enable_tiling()
        else:
            stride = 3 * (side // factor) // 4 * factor
            network.enable_tiling(side, side, stride, stride)


class Normal(OfDiffusers):
    """Adapter for diffusers' `AutoencoderKL`. The latents are the mean of the normal distribution that the encoder
    computes, or a sample of this distribution.
    """

    has_posterior = True

    @classmethod
    def space_of(cls, network: Any) -> LatentSpace:
        config = network.config
        return LatentSpace(
            "",
            config.latent_channels,
            2 ** (len(config.block_out_channels) - 1),
            scale=config.scaling_factor,
            shift=config.get("shift_factor") or 0.0,
            mean=tuple(config.get("latents_mean") or ()),
            deviation=tuple(config.get("latents_std") or ()),
        )

    def encoded(self, image: Tensor) -> Tensor:
        mode: Tensor = self.network.encode(image).latent_dist.mode()
        return mode

    def sampled(self, image: Tensor, noise: Tensor) -> Tensor:
        posterior = self.network.encode(image).latent_dist
        sample: Tensor = posterior.mean + posterior.std * noise.to(posterior.mean.device)
        return sample


class Asymmetric(Normal):
    """Adapter for diffusers' `AsymmetricAutoencoderKL`, whose decoder also uses the known pixels."""

    conditioned = True

    @classmethod
    def space_of(cls, network: Any) -> LatentSpace:
        return replace(super().space_of(network), factor=2 ** (len(network.config.down_block_out_channels) - 1))

    def decoded(self, z: Tensor, image: Tensor | None, mask: Tensor | None, seeds: Sequence[int]) -> Tensor:
        sample: Tensor = self.network.decode(z, image=image, mask=mask).sample
        return sample


class Consistency(Normal):
    """Adapter for diffusers' `ConsistencyDecoderVAE`, whose decoder draws noise.

    The noise of an item depends only on its seed.
    """

    stochastic = True

    @property
    def decoder_network(self) -> nn.Module:
        decoder: nn.Module = self.network.decoder_unet
        return decoder

    @classmethod
    def space_of(cls, network: Any) -> LatentSpace:
        config = network.config
        factor = 2 ** (len(config.encoder_block_out_channels) - 1)
        return LatentSpace("", config.latent_channels, factor, scale=config.scaling_factor)

    def decoded(self, z: Tensor, image: Tensor | None, mask: Tensor | None, seeds: Sequence[int]) -> Tensor:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        sample: Tensor = self.network.decode(z, generator=generators).sample
        return sample


class Flux2(Normal):
    """Adapter for diffusers' `AutoencoderKLFlux2`.

    The pipeline of FLUX.2 joins the channels of each 2×2 positions of the latents. It then normalises the joined
    channels with the running mean and variance of the network's batch normalisation.
    """

    @classmethod
    def space_of(cls, network: Any) -> LatentSpace:
        config, norm = network.config, network.bn
        return LatentSpace(
            "",
            config.latent_channels,
            2 ** (len(config.block_out_channels) - 1),
            mean=tuple(norm.running_mean.double().tolist()),
            deviation=tuple((norm.running_var.double() + config.batch_norm_eps).sqrt().tolist()),
            patch=config.patch_size[0],
        )


class OneFrame(Normal):
    """Adapter for diffusers' `AutoencoderKLWan` and `AutoencoderKLQwenImage`, which encode videos.

    The adapter passes a picture as a video of one frame. The decoders clamp pictures to [-1, 1].
    """

    @classmethod
    def space_of(cls, network: Any) -> LatentSpace:
        config = network.config
        return LatentSpace(
            "",
            config.z_dim,
            network.spatial_compression_ratio,
            mean=tuple(config.latents_mean),
            deviation=tuple(config.latents_std),
        )

    def encoded(self, image: Tensor) -> Tensor:
        return super().encoded(image.unsqueeze(2)).squeeze(2)

    def sampled(self, image: Tensor, noise: Tensor) -> Tensor:
        return super().sampled(image.unsqueeze(2), noise.unsqueeze(2)).squeeze(2)

    def decodable(self, z: Tensor) -> Tensor:
        return super().decodable(z.unsqueeze(2)).squeeze(2)

    def decoded(self, z: Tensor, image: Tensor | None, mask: Tensor | None, seeds: Sequence[int]) -> Tensor:
        return super().decoded(z.unsqueeze(2), image, mask, seeds).squeeze(2)


class DeepCompression(OfDiffusers):
    """Adapter for diffusers' `AutoencoderDC`, whose encoder returns latents and not a distribution."""

    @classmethod
    def space_of(cls, network: Any) -> LatentSpace:
        config = network.config
        return LatentSpace("", config.latent_channels, network.spatial_compression_ratio, scale=config.scaling_factor)

    def encoded(self, image: Tensor) -> Tensor:
        latent: Tensor = self.network.encode(image).latent
        return latent


class Tiny(OfDiffusers):
    """Adapter for diffusers' `AutoencoderTiny`, a small network that was trained to imitate another autoencoder.

    The network's latents have the scaling that the diffusion model uses. This class converts them from and to the
    latents of the imitated autoencoder. The network's configuration does not name the latent space. Therefore the
    caller must name the space or give the imitated autoencoder.
    """

    imitates = True

    @classmethod
    def space_of(cls, network: Any) -> LatentSpace:
        config = network.config
        return LatentSpace("", config.latent_channels, 2 ** (len(config.encoder_block_out_channels) - 1))

    def encoded(self, image: Tensor) -> Tensor:
        config = self.network.config
        own = self.network.encode(image).latents
        return self.space.from_diffusion((own - config.shift_factor) * config.scaling_factor)

    def decoded(self, z: Tensor, image: Tensor | None, mask: Tensor | None, seeds: Sequence[int]) -> Tensor:
        config = self.network.config
        own = self.space.to_diffusion(z) / config.scaling_factor + config.shift_factor
        return super().decoded(own, image, mask, seeds)


class Quantised(OfDiffusers):
    """Adapter for diffusers' `VQModel`.

    Before latents are decoded, the vector at each of their positions is replaced by the nearest vector of a codebook.
    """

    @classmethod
    def space_of(cls, network: Any) -> LatentSpace:
        config = network.config
        return LatentSpace(
            "",
            config.vq_embed_dim or config.latent_channels,
            2 ** (len(config.block_out_channels) - 1),
            scale=config.scaling_factor,
        )

    @property
    def input_layers(self) -> tuple[str, ...]:
        return ("quantize", *super().input_layers)

    def encoded(self, image: Tensor) -> Tensor:
        latents: Tensor = self.network.encode(image).latents
        return latents

    def decodable(self, z: Tensor) -> Tensor:
        quantised, _, _ = self.network.quantize(z)
        return super().decodable(quantised)


class Representation(OfDiffusers):
    """Adapter for diffusers' `AutoencoderRAE`, whose encoder is a network that was trained for recognition.

    The network decodes to pictures of only one size. Its encoder would resize a picture of another size without a
    message. Therefore this class refuses pictures of other sizes.
    """

    def __init__(self, network: Any, space: LatentSpace) -> None:
        super().__init__(network, space)
        self.side = network.decoder_image_size

    @classmethod
    def space_of(cls, network: Any) -> LatentSpace:
        config = network.config
        if not config.reshape_to_2d:
            raise BadInputError(
                "config.json: reshape_to_2d: expected true, because only then are the latents a grid, found false"
            )
        return LatentSpace("", config.encoder_hidden_size, network.decoder_patch_size)

    def encoded(self, image: Tensor) -> Tensor:
        latent: Tensor = self.network.encode((image + 1) / 2).latent
        return latent

    def decoded(self, z: Tensor, image: Tensor | None, mask: Tensor | None, seeds: Sequence[int]) -> Tensor:
        return 2 * super().decoded(z, image, mask, seeds) - 1


class OwnDecoder(Autoencoder):
    """A decoder of this project, together with an encoder that computes the latents for this decoder."""

    def __init__(self, network: Decoder, of: Autoencoder) -> None:
        """Set the decoder, and the autoencoder whose encoder is used.

        Args:
            network: the decoder.
            of: an autoencoder of diffusers with the same latents. Its `input_layers` are applied to the latents before
                the decoder.

        Raises:
            BadInputError: the decoder expects another number of channels or another factor than the latents of `of`
                have.
        """
        super().__init__(network, of.space)
        self.of, self.side, self.conditioned = of, of.side, network.config.conditioned
        self.has_posterior, self.found_name = of.has_posterior, of.found_name
        self.strip_rows: int | None = None
        """Height of the strips in which pictures are decoded, in rows of pixels; None to decode whole pictures."""
        require_latents_of(network.config, of.space)

    @classmethod
    def space_of(cls, network: Any) -> LatentSpace:
        return LatentSpace("", network.config.latent_channels, network.config.factor)

    @property
    def input_layers(self) -> tuple[str, ...]:
        return self.of.input_layers

    @property
    def training_note(self) -> str:
        note: str = self.network.training_note
        return note

    def drop_encoder(self) -> Self:
        self.of.drop_encoder()
        self.of.network.decoder = None
        return self

    @property
    def decoder_network(self) -> nn.Module:
        return self.network  # type: ignore[no-any-return]

    def use_tiles(self, side: int) -> None:
        if side < 1:
            raise BadInputError(f"tiles: expected strips of at least 1 row, found {side}")
        self.strip_rows = side

    def encoded(self, image: Tensor) -> Tensor:
        return self.of.encoded(image)

    def sampled(self, image: Tensor, noise: Tensor) -> Tensor:
        return self.of.sampled(image, noise)

    def decodable(self, z: Tensor) -> Tensor:
        return self.of.decodable(z)

    def decoded(self, z: Tensor, image: Tensor | None, mask: Tensor | None, seeds: Sequence[int]) -> Tensor:
        inputs = self.decodable(z)
        known = (image, mask) if self.conditioned and image is not None and mask is not None else ()
        if self.strip_rows is not None:
            return decode_in_strips(self.network, inputs, *known, rows=self.strip_rows)
        decoded: Tensor = self.network(inputs, *known)
        return decoded


def require_latents_of(decoder: DecoderConfig, space: LatentSpace) -> None:
    """Require that a decoder of this project fits the latents of a space.

    Args:
        decoder: sizes of the decoder.
        space: space of the latents that the decoder is to decode.

    Raises:
        BadInputError: the decoder expects another number of channels or another factor than the latents have.
    """
    own = decoder.latent_channels, decoder.factor
    if own != (space.channels, space.factor):
        raise BadInputError(
            f"the argument encoder: expected an autoencoder whose latents have {own[0]} channels and the factor "
            f"{own[1]}, as the decoder needs them, found {space.channels} channels and the factor {space.factor}"
        )


ADAPTERS: Mapping[str, type[Autoencoder]] = {
    "AsymmetricAutoencoderKL": Asymmetric,
    "AutoencoderDC": DeepCompression,
    "AutoencoderKL": Normal,
    "AutoencoderKLFlux2": Flux2,
    "AutoencoderKLQwenImage": OneFrame,
    "AutoencoderKLWan": OneFrame,
    "AutoencoderRAE": Representation,
    "AutoencoderTiny": Tiny,
    "ConsistencyDecoderVAE": Consistency,
    "VQModel": Quantised,
}
"""Adapter of each class of diffusers, by the class's name in `config.json`."""
