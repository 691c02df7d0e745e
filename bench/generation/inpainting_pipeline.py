"""Diffusers' pipelines for inpainting, with images encoded in the precision of the first stage."""

from __future__ import annotations

from typing import Any

from diffusers import FluxFillPipeline, StableDiffusionInpaintPipeline, StableDiffusionXLInpaintPipeline
from torch import Tensor

__all__ = ["FluxPipeline", "InpaintingPipeline", "XLPipeline"]


class _FirstStagePrecision:
    """A base class that encodes images in the precision of the first stage, even if other parts have another precision.

    The latents have the type of the images, so that the pipeline can combine them with its other tensors.
    """

    vae: Any

    def _encode_vae_image(self, image: Tensor, generator: Any) -> Tensor:
        encode = super()._encode_vae_image  # type: ignore[misc]  # the pipeline has the method
        return encode(image.to(self.vae.dtype), generator).to(image.dtype)  # type: ignore[no-any-return]


class InpaintingPipeline(_FirstStagePrecision, StableDiffusionInpaintPipeline):  # type: ignore[misc]  # no types
    """The inpainting pipeline of Stable Diffusion 1."""


class XLPipeline(_FirstStagePrecision, StableDiffusionXLInpaintPipeline):  # type: ignore[misc]
    """The inpainting pipeline of SDXL."""


class FluxPipeline(_FirstStagePrecision, FluxFillPipeline):  # type: ignore[misc]
    """The inpainting pipeline of FLUX.1 Fill."""

    def prepare_mask_latents(self, mask: Tensor, masked_image: Tensor, *others: Any) -> Any:
        """Encode the image without its hole, and return the mask and the latents as tokens; see `FluxFillPipeline`."""
        return super().prepare_mask_latents(mask, masked_image.to(self.vae.dtype), *others)
