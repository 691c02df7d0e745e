"""Diffusers' pipeline for inpainting, with images encoded in the precision of the first stage."""

from __future__ import annotations

from typing import Any

from diffusers import StableDiffusionInpaintPipeline
from torch import Tensor

__all__ = ["InpaintingPipeline"]


class InpaintingPipeline(StableDiffusionInpaintPipeline):  # type: ignore[misc]  # diffusers has no types
    """A pipeline that encodes images in the precision of the first stage, even if the UNet has another precision."""

    def _encode_vae_image(self, image: Tensor, generator: Any) -> Tensor:
        return super()._encode_vae_image(image.to(self.vae.dtype), generator)  # type: ignore[no-any-return]
