"""The generator that samples latents with Stable Diffusion's text-to-image model, by diffusers' own pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, InitVar, dataclass

import torch
from torch import Tensor

from bench.data.items import Item
from bench.errors import BadInputError
from bench.generation.generator import LatentDiffusion, noise_sources, start_noise
from bench.generation.schedulers import check_sampling, ddim, one_of, plms
from bench.runtime.libraries import quiet

__all__ = ["TextToImageGenerator"]

SCHEDULERS = {"plms": plms, "ddim": ddim}


@dataclass(eq=False)
class TextToImageGenerator(LatentDiffusion):
    """A generator that samples from each item's caption. The first latents are noise, and the steps add no noise.

    Classifier-free guidance compares the caption with an empty caption.

    Raises:
        BadInputError: there is no complete text-to-image pipeline, or a value is out of its range.
    """

    pipeline: InitVar[str]
    """A folder of diffusers' `StableDiffusionPipeline`, the id of one in the hub's local cache, or a checkpoint file of
    Stable Diffusion 1."""
    _: KW_ONLY
    steps: int
    """Number of sampling steps."""
    guidance_scale: float
    """Scale of the classifier-free guidance; 1 means no guidance."""
    device: torch.device
    """Device of the networks."""
    scheduler: str = "plms"
    """Sampling method, `plms` or `ddim`. Both add no noise in their steps."""
    precision: InitVar[str] = "float32"
    """Precision of the UNet and the text encoder: `float32`, `bfloat16`, `float16` or `autocast`.

    `float16` is allowed only on a GPU. With `autocast`, all weights stay in float32, and on a GPU, the UNet alone
    computes in half precision.
    """
    tokenizer: InitVar[str | None] = None
    """Folder or hub id of CLIP's tokenizer; None for the pipeline's own, or for CLIP's own if `pipeline` is a file."""
    vae: InitVar[str | None] = None
    """Folder or hub id of an autoencoder that replaces the pipeline's own; None for the pipeline's own."""

    def __post_init__(self, pipeline: str, precision: str, tokenizer: str | None, vae: str | None) -> None:
        # Imported here, because diffusers takes seconds, and a run whose latents are stored does not need it.
        from diffusers import StableDiffusionPipeline

        from bench.generation.pipelines import TEXT_TO_IMAGE, text_parts

        check_sampling(steps=self.steps, guidance_scale=self.guidance_scale)
        one_of("scheduler", self.scheduler, tuple(SCHEDULERS))
        device = self.device
        parts = text_parts(pipeline, tokenizer, channels=TEXT_TO_IMAGE, precision=precision, device=device, vae=vae)
        super().__init__(parts["vae"], device=device, unet_weights=parts.pop("unet_weights"))
        with quiet():
            self._pipeline = StableDiffusionPipeline(
                **{**parts, "scheduler": SCHEDULERS[self.scheduler](parts["scheduler"])},
                safety_checker=None, feature_extractor=None, requires_safety_checker=False,
            )  # fmt: skip
        self._pipeline.set_progress_bar_config(disable=True)

    @torch.inference_mode()
    def sample(self, items: Sequence[Item], seed: int) -> Tensor:
        """Sample latents B×4×h×w float32, in the scale of the diffusion model, for images of the items' size.

        Args:
            items: items with captions. A caption with more tokens than the text encoder takes is cut off.
            seed: seed of the run. The start noise of an item depends only on the seed and on the item's id.

        Raises:
            BadInputError: an item has no caption.
        """
        for item in items:
            if not item.caption.strip():
                raise BadInputError(f"item {item.id}: expected a caption, found an empty text")
        shape = self.latent_shape(items)
        start = start_noise(noise_sources(items, seed), shape)
        height, width = items[0].mask.shape
        with quiet():
            latents: Tensor = self._pipeline(
                prompt=[item.caption for item in items],
                negative_prompt=[""] * len(items),
                height=height,
                width=width,
                num_inference_steps=self.steps,
                guidance_scale=self.guidance_scale,
                latents=start.to(self._pipeline.unet.dtype),
                output_type="latent",
            ).images
        return latents.float()

    def truncated(self, captions: Sequence[str]) -> int:
        """Return how many captions are cut off, because they have more tokens than the text encoder takes."""
        tokenizer = self._pipeline.tokenizer
        with quiet():
            return sum(len(tokenizer(caption).input_ids) > tokenizer.model_max_length for caption in captions)
