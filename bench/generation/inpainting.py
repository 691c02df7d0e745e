"""Latents of Stable Diffusion's inpainting model, by diffusers' own pipeline."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from bench.errors import BadInputError
from bench.seeding import seed_for

__all__ = ["InpaintingGenerator"]


class InpaintingGenerator:
    """DDIM sampling with classifier-free guidance; every item has noise of its own, whatever batch it is in."""

    def __init__(
        self, pipeline: str, prompt: str, *, steps: int, guidance_scale: float, eta: float, device: torch.device
    ) -> None:
        """Load the pipeline.

        Args:
            pipeline: a folder of diffusers' `StableDiffusionInpaintPipeline`.
            prompt: the same for all items.
            steps: of sampling.
            guidance_scale: 1 is none.
            eta: 0 for deterministic DDIM, 1 for as much noise as DDPM.
            device: where to run.

        Raises:
            BadInputError: the folder holds no whole pipeline.
        """
        from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline
        from diffusers.utils import logging as diffusers_logging
        from transformers.utils import logging as transformers_logging

        if not (isinstance(steps, int) and steps >= 1):
            raise BadInputError(f"generator.steps: expected a whole number of 1 or more, found {steps}")
        if not (isinstance(guidance_scale, int | float) and guidance_scale >= 0):
            raise BadInputError(f"generator.guidance_scale: expected a number of 0 or more, found {guidance_scale}")
        if not (isinstance(eta, int | float) and 0 <= eta <= 1):
            raise BadInputError(f"generator.eta: expected a number in [0, 1], found {eta}")
        diffusers_logging.disable_progress_bar()
        transformers_logging.disable_progress_bar()
        if not (Path(pipeline) / "model_index.json").is_file():
            raise BadInputError(
                f"generator.pipeline: expected a pipeline's folder, found no model_index.json in {pipeline}"
            )
        try:
            self.pipeline = StableDiffusionInpaintPipeline.from_pretrained(
                pipeline, local_files_only=True, safety_checker=None
            )
        except Exception as error:  # diffusers raises many kinds for a missing, truncated or mismatched file
            raise BadInputError(f"generator.pipeline: {pipeline} does not load ({error})") from error
        # The inpainting script's scheduler: neither clipped nor rescaled to zero terminal signal.
        self.pipeline.scheduler = DDIMScheduler.from_config(
            self.pipeline.scheduler.config, clip_sample=False, set_alpha_to_one=False, timestep_spacing="leading",
            rescale_betas_zero_snr=False,
        )  # fmt: skip
        self.pipeline.set_progress_bar_config(disable=True)
        for part in (self.pipeline.vae, self.pipeline.unet, self.pipeline.text_encoder):
            torch.nn.Module.float(part)  # shipped weights are of half precision
        self.pipeline.to(device)
        self.device = device
        self.prompt, self.steps, self.guidance_scale, self.eta = prompt, steps, guidance_scale, eta

    @torch.inference_mode()
    def sample(self, image: Tensor, mask: Tensor, ids: Sequence[str], seed: int) -> Tensor:
        """Latents B×4×h×w, scaled as the diffusion model has them.

        Args:
            image: B×3×H×W uint8.
            mask: B×1×H×W, 1 = hole.
            ids: of the items; noise is drawn from the seed and the id alone.
            seed: the run's seed.
        """
        generators = [torch.Generator().manual_seed(seed_for(seed, item, "sampling")) for item in ids]
        height, width = image.shape[-2:]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            latents: Tensor = self.pipeline(
                prompt=[self.prompt] * len(ids),
                image=image.float() / 255,
                mask_image=mask.float(),
                height=height,
                width=width,
                num_inference_steps=self.steps,
                guidance_scale=self.guidance_scale,
                eta=self.eta,
                generator=generators,
                output_type="latent",
            ).images
        return latents

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Tensor:
        """Means of the first stage's latents of images B×3×H×W uint8, scaled likewise: what decoders trained on."""
        vae = self.pipeline.vae
        x = image.to(self.device).float().div(127.5).sub(1)
        mean: Tensor = vae.encode(x).latent_dist.mean * vae.config.scaling_factor
        return mean

    @torch.inference_mode()
    def decodable(self, latents: Tensor) -> Tensor:
        """Latents as a decoder takes them: unscaled, after the first stage's `post_quant_conv`."""
        vae = self.pipeline.vae
        z: Tensor = vae.post_quant_conv(latents.to(self.device) / vae.config.scaling_factor)
        return z
