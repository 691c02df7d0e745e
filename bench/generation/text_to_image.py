"""Latents of Stable Diffusion's text-to-image model, by diffusers' own pipeline."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from bench.data.items import Item
from bench.errors import BadInputError
from bench.generation.latents import LatentDiffusion, noise_sources, start_noise
from bench.generation.pipelines import TEXT_TO_IMAGE, text_parts
from bench.generation.quiet import quiet
from bench.generation.sampling import check_sampling, ddim, one_of, plms

__all__ = ["TextToImageGenerator"]

SCHEDULERS = {"plms": plms, "ddim": ddim}


class TextToImageGenerator(LatentDiffusion):
    """Deterministic sampling by each item's caption, with classifier-free guidance away from the empty one."""

    def __init__(
        self,
        pipeline: str,
        *,
        steps: int,
        guidance_scale: float,
        device: torch.device,
        scheduler: str = "plms",
        precision: str = "float32",
        tokenizer: str | None = None,
        vae: str | None = None,
    ) -> None:
        """Load the pipeline.

        Args:
            pipeline: a folder of diffusers' `StableDiffusionPipeline`, the id of one in the hub's local cache, or a
                checkpoint file of Stable Diffusion 1.
            steps: of sampling.
            guidance_scale: 1 is none.
            device: where to run.
            scheduler: `plms` or `ddim`, without noise in its steps.
            precision: of the UNet and the text encoder: `float32`, `bfloat16`, or on a GPU `float16`; or `autocast`,
                with which the UNet alone computes in half precision, on a GPU.
            tokenizer: folder or hub id of CLIP's tokenizer, for a checkpoint file, which has none.
            vae: folder or hub id of an autoencoder in place of the pipeline's own.

        Raises:
            BadInputError: there is no whole text-to-image pipeline, or a value is out of its range.
        """
        check_sampling(steps=steps, guidance_scale=guidance_scale)
        one_of("scheduler", scheduler, tuple(SCHEDULERS))
        parts = text_parts(pipeline, tokenizer, channels=TEXT_TO_IMAGE, precision=precision, device=device, vae=vae)
        super().__init__(parts["vae"], device=device, unet_weights=parts.pop("unet_weights"))
        with quiet():
            self.pipeline = StableDiffusionPipeline(
                **{**parts, "scheduler": SCHEDULERS[scheduler](parts["scheduler"])},
                safety_checker=None, feature_extractor=None, requires_safety_checker=False,
            )  # fmt: skip
        self.pipeline.set_progress_bar_config(disable=True)
        self.steps, self.guidance_scale = steps, guidance_scale

    @torch.inference_mode()
    def sample(self, items: Sequence[Item], seed: int) -> Tensor:
        """Latents B×4×h×w float32, scaled as the diffusion model has them, for images of the items' size.

        Args:
            items: with captions; what goes beyond the tokenizer's length is cut off.
            seed: the run's; the start is drawn from it and the item's id alone.

        Raises:
            BadInputError: an item has no caption.
        """
        for item in items:
            if not item.caption.strip():
                raise BadInputError(f"item {item.id}: expected a caption to generate by, found none")
        shape = self.latent_shape(items)
        start = start_noise(noise_sources(items, seed), shape)
        height, width = items[0].mask.shape
        with quiet():
            latents: Tensor = self.pipeline(
                prompt=[item.caption for item in items],
                negative_prompt=[""] * len(items),
                height=height,
                width=width,
                num_inference_steps=self.steps,
                guidance_scale=self.guidance_scale,
                latents=start.to(self.pipeline.unet.dtype),
                output_type="latent",
            ).images
        return latents.float()

    def truncated(self, captions: Sequence[str]) -> int:
        """How many of the captions have more tokens than the text encoder takes, and lose their ends."""
        tokenizer = self.pipeline.tokenizer
        with quiet():
            return sum(len(tokenizer(caption).input_ids) > tokenizer.model_max_length for caption in captions)
