"""The generator that samples latents with Paint-by-Example, by diffusers' pipeline.

Masks and exemplars are processed as in the original program, Fantasy-Studio/Paint-by-Example at 0c34124
(`scripts/inference_test_bench.py` and `ldm/data/test_bench_dataset.py`). The original program differs from diffusers in
two ways. It scales the mask to the latents' size by bilinear interpolation, but diffusers uses nearest neighbours. It
stretches the exemplar to a square of the image encoder's size, but diffusers crops a square. The argument
`mask_resize` can select the nearest neighbours of diffusers instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from bench.data.items import Item
from bench.errors import BadInputError
from bench.generation.generator import (
    LatentDiffusion,
    float_images,
    image_batch,
    mask_batch,
    noise_sources,
    start_noise,
)
from bench.generation.schedulers import check_sampling, one_of, plms
from bench.runtime.libraries import quiet

__all__ = ["PaintByExampleGenerator"]


class PaintByExampleGenerator(LatentDiffusion):
    """A generator that samples by PLMS from the known pixels and each item's exemplar.

    Classifier-free guidance compares the exemplar with a learned vector that means "no exemplar".
    """

    def __init__(
        self,
        pipeline: str,
        *,
        steps: int,
        guidance_scale: float,
        device: torch.device,
        mask_resize: str = "bilinear",
        precision: str = "float32",
        vae: str | None = None,
    ) -> None:
        """Load the pipeline.

        Args:
            pipeline: a folder of diffusers' `PaintByExamplePipeline`, or the hub id of one that is in the local cache.
            steps: number of sampling steps.
            guidance_scale: scale of the classifier-free guidance; 1 means no guidance.
            device: device on which all networks run.
            mask_resize: interpolation that resizes masks to the latents' size. `bilinear` makes soft edges, as in the
                original program. `nearest` makes hard edges, as in diffusers.
            precision: precision of the UNet and the image encoder: `float32`, `bfloat16`, `float16` or `autocast`.
                `float16` is allowed only on a GPU. With `autocast`, all weights stay in float32, and on a GPU, the UNet
                alone computes in half precision.
            vae: folder or hub id of an autoencoder that replaces the pipeline's autoencoder; None to keep the latter.

        Raises:
            BadInputError: the pipeline does not exist or is not complete, or an argument has a value that is not
                allowed.
        """
        # Imported here, because diffusers takes seconds, and a run whose latents are stored does not need it.
        from diffusers.pipelines.deprecated.paint_by_example import PaintByExampleImageEncoder
        from transformers import CLIPImageProcessor

        from bench.generation.exemplar_pipeline import ExemplarPipeline
        from bench.generation.pipelines import exemplar_parts

        check_sampling(steps=steps, guidance_scale=guidance_scale)
        one_of("mask_resize", mask_resize, ("bilinear", "nearest"))
        parts = exemplar_parts(
            pipeline, PaintByExampleImageEncoder, CLIPImageProcessor, precision=precision, device=device, vae=vae
        )
        super().__init__(parts["vae"], device=device, unet_weights=parts.pop("unet_weights"))
        with quiet():
            self._pipeline = ExemplarPipeline(**{**parts, "scheduler": plms(parts["scheduler"])}, safety_checker=None)
        self._pipeline.mask_resize = mask_resize
        self._pipeline.set_progress_bar_config(disable=True)
        self.steps, self.guidance_scale = steps, guidance_scale

    @torch.inference_mode()
    def sample(self, items: Sequence[Item], seed: int) -> Tensor:
        """Sample latents B×4×h×w float32, in the scale of the diffusion model.

        Args:
            items: items with image, mask and exemplar.
            seed: seed of the run. The noise of an item depends only on the seed and on the item's id.

        Raises:
            BadInputError: an item has no exemplar.
        """
        sources = noise_sources(items, seed)
        start = start_noise(sources, self.latent_shape(items))
        with quiet():
            latents: Tensor = self._pipeline(
                example_image=self._examples(items),
                image=float_images(image_batch(items)),
                mask_image=mask_batch(items),
                num_inference_steps=self.steps,
                guidance_scale=self.guidance_scale,
                latents=start.to(self._pipeline.unet.dtype),
                generator=sources,
                output_type="latent",
            ).images
        return latents.float()

    def _examples(self, items: Sequence[Item]) -> Tensor:
        """Return the items' exemplars as the input of the image encoder: B×3×s×s, with the encoder's image size s."""
        side = self._pipeline.image_encoder.config.image_size
        squares = []
        for item in items:
            if item.exemplar is None:
                raise BadInputError(f"item {item.id}: expected an exemplar, found no exemplar")
            squares.append(Image.fromarray(item.exemplar).resize((side, side), Image.Resampling.BICUBIC))
        pixels: Tensor = self._pipeline.feature_extractor(
            images=squares, do_resize=False, do_center_crop=False, return_tensors="pt"
        ).pixel_values
        return pixels
