"""Latents of Stable Diffusion's inpainting model, by diffusers' own pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline
from torch import Tensor

from bench.data.items import Item
from bench.generation.latents import LatentDiffusion, image_batch, mask_batch, noise_sources, start_noise
from bench.generation.pipelines import INPAINTING, text_parts
from bench.generation.quiet import quiet
from bench.generation.sampling import check_sampling, ddim, one_of

__all__ = ["InpaintingGenerator"]


class _Pipeline(StableDiffusionInpaintPipeline):  # type: ignore[misc]  # diffusers ships no types
    """Encodes in the first stage's precision, which need not be the UNet's."""

    def _encode_vae_image(self, image: Tensor, generator: Any) -> Tensor:
        return super()._encode_vae_image(image.to(self.vae.dtype), generator)  # type: ignore[no-any-return]


class InpaintingGenerator(LatentDiffusion):
    """DDIM sampling with classifier-free guidance; every item has noise of its own, whatever batch it is in."""

    def __init__(
        self,
        pipeline: str,
        prompt: str,
        *,
        steps: int,
        guidance_scale: float,
        eta: float,
        device: torch.device,
        start_noise: str = "item",
        precision: str = "float32",
        tokenizer: str | None = None,
        vae: str | None = None,
    ) -> None:
        """Load the pipeline.

        Args:
            pipeline: a folder of diffusers' `StableDiffusionInpaintPipeline`, the id of one in the hub's local cache,
                or a checkpoint file of Stable Diffusion 1 inpainting.
            prompt: the same for all items.
            steps: of sampling.
            guidance_scale: 1 is none.
            eta: 0 for deterministic DDIM, 1 for as much noise as DDPM.
            device: where to run.
            start_noise: `item` for each item's own; `shared` for one by which all start, as the released script does.
                The noise of the steps is each item's own in both, and the same.
            precision: of the UNet and the text encoder: `float32`, `bfloat16`, or on a GPU `float16`; or `autocast`,
                with which the UNet alone computes in half precision, on a GPU.
            tokenizer: folder or hub id of CLIP's tokenizer, for a checkpoint file, which has none.
            vae: folder or hub id of an autoencoder in place of the pipeline's own.

        Raises:
            BadInputError: there is no whole inpainting pipeline, or a value is out of its range.
        """
        check_sampling(steps=steps, guidance_scale=guidance_scale, eta=eta)
        one_of("start_noise", start_noise, ("item", "shared"))
        parts = text_parts(pipeline, tokenizer, channels=INPAINTING, precision=precision, device=device, vae=vae)
        super().__init__(parts["vae"], device=device, unet_weights=parts.pop("unet_weights"))
        with quiet():
            self.pipeline = _Pipeline(
                **{**parts, "scheduler": ddim(parts["scheduler"])},
                safety_checker=None, feature_extractor=None, requires_safety_checker=False,
            )  # fmt: skip
        self.pipeline.set_progress_bar_config(disable=True)
        self.prompt, self.steps, self.guidance_scale, self.eta = prompt, steps, guidance_scale, eta
        self.start_noise = start_noise

    @torch.inference_mode()
    def sample(self, items: Sequence[Item], seed: int) -> Tensor:
        """Latents B×4×h×w float32, scaled as the diffusion model has them.

        Args:
            items: with image and mask.
            seed: the run's; noise is drawn from it and the item's id alone.
        """
        image, mask = image_batch(items), mask_batch(items)
        sources = noise_sources(items, seed)
        start = start_noise(sources, self.latent_shape(items))
        if self.start_noise == "shared":
            start = _released_noise(self.latent_shape(items)).expand_as(start)
        with quiet():
            latents: Tensor = self.pipeline(
                prompt=[self.prompt] * len(items),
                image=image.float() / 255,
                mask_image=mask,
                height=image.shape[-2],
                width=image.shape[-1],
                num_inference_steps=self.steps,
                guidance_scale=self.guidance_scale,
                eta=self.eta,
                latents=start.to(self.pipeline.unet.dtype),
                generator=sources,
                output_type="latent",
            ).images
        return latents.float()


def _released_noise(shape: tuple[int, int, int]) -> Tensor:
    """The start that buxiangzhiren/Asymmetric_VQGAN's `inpaint_st.py` (406c5cd) draws anew for every image."""
    drawn = np.random.RandomState(0).randn(1, *shape)  # the script's generator
    return torch.from_numpy(drawn.astype(np.float32))
