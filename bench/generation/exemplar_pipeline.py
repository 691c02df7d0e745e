"""Diffusers' pipeline for Paint-by-Example, with masks resized as in the original program of Paint-by-Example."""

from __future__ import annotations

from typing import Any

from diffusers import PaintByExamplePipeline
from torch import Tensor
from torch.nn import functional

__all__ = ["ExemplarPipeline"]


class ExemplarPipeline(PaintByExamplePipeline):  # type: ignore[misc]  # diffusers has no types
    """A pipeline that encodes images in the first stage's precision, and can resize masks by bilinear interpolation.

    If `mask_resize` is not `bilinear`, masks are resized as in diffusers.
    """

    mask_resize = "bilinear"

    def prepare_mask_latents(
        self, mask: Tensor, masked_image: Tensor, batch_size: int, height: int, width: int, *others: Any
    ) -> Any:
        if self.mask_resize == "bilinear":
            size = (height // self.vae_scale_factor, width // self.vae_scale_factor)
            mask = functional.interpolate(mask, size=size, mode="bilinear", align_corners=False, antialias=False)
        return super().prepare_mask_latents(mask, masked_image, batch_size, height, width, *others)

    def _encode_vae_image(self, image: Tensor, generator: Any) -> Tensor:
        return super()._encode_vae_image(image.to(self.vae.dtype), generator)  # type: ignore[no-any-return]
