"""The generator that samples latents with Stable Diffusion's inpainting model, by diffusers' own pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, InitVar, dataclass

import numpy as np
import torch
from torch import Tensor

from bench.data.items import Item
from bench.generation.generator import LatentDiffusion, image_batch, mask_batch, noise_sources, start_noise
from bench.generation.schedulers import check_sampling, ddim, one_of
from bench.runtime.libraries import quiet

__all__ = ["InpaintingGenerator"]


@dataclass(eq=False)
class InpaintingGenerator(LatentDiffusion):
    """A generator that samples by DDIM with classifier-free guidance, from the known pixels and one prompt.

    Raises:
        BadInputError: there is no complete inpainting pipeline, or a value is out of its range.
    """

    pipeline: InitVar[str]
    """A folder of diffusers' `StableDiffusionInpaintPipeline`, the id of one in the hub's local cache, or a checkpoint
    file of Stable Diffusion 1 inpainting."""
    prompt: str
    """Text prompt that is used for every item."""
    _: KW_ONLY
    steps: int
    """Number of sampling steps."""
    guidance_scale: float
    """Scale of the classifier-free guidance; 1 means no guidance."""
    eta: float
    """Amount of noise in each sampling step, in [0, 1]: 0 is deterministic DDIM, 1 has as much noise as DDPM."""
    device: torch.device
    """Device of the networks."""
    start_noise: str = "item"
    """Way to draw the noise from which sampling starts: `item` draws it for each item separately.

    `shared` uses equal noise for all items, like the released script. The noise that later steps add is drawn for each
    item separately in both cases.
    """
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
        from bench.generation.inpainting_pipeline import InpaintingPipeline
        from bench.generation.pipelines import INPAINTING, text_parts

        check_sampling(steps=self.steps, guidance_scale=self.guidance_scale, eta=self.eta)
        one_of("start_noise", self.start_noise, ("item", "shared"))
        device = self.device
        parts = text_parts(pipeline, tokenizer, channels=INPAINTING, precision=precision, device=device, vae=vae)
        super().__init__(parts["vae"], device=device, unet_weights=parts.pop("unet_weights"))
        with quiet():
            self._pipeline = InpaintingPipeline(
                **{**parts, "scheduler": ddim(parts["scheduler"])},
                safety_checker=None, feature_extractor=None, requires_safety_checker=False,
            )  # fmt: skip
        self._pipeline.set_progress_bar_config(disable=True)

    @torch.inference_mode()
    def sample(self, items: Sequence[Item], seed: int) -> Tensor:
        """Sample latents B×4×h×w float32, in the scale of the diffusion model.

        Args:
            items: items with image and mask.
            seed: seed of the run. The noise of an item depends only on the seed and on the item's id. If `start_noise`
                is `shared`, this holds only for the noise of later steps; the start noise is equal for all items and
                seeds.
        """
        image, mask = image_batch(items), mask_batch(items)
        sources = noise_sources(items, seed)
        start = start_noise(sources, self.latent_shape(items))
        if self.start_noise == "shared":
            start = _released_noise(self.latent_shape(items)).expand_as(start)
        with quiet():
            latents: Tensor = self._pipeline(
                prompt=[self.prompt] * len(items),
                image=image.float() / 255,
                mask_image=mask,
                height=image.shape[-2],
                width=image.shape[-1],
                num_inference_steps=self.steps,
                guidance_scale=self.guidance_scale,
                eta=self.eta,
                latents=start.to(self._pipeline.unet.dtype),
                generator=sources,
                output_type="latent",
            ).images
        return latents.float()


def _released_noise(shape: tuple[int, int, int]) -> Tensor:
    """Return the start noise 1×C×h×w that the released script uses for every image.

    The script is `inpaint_st.py` of buxiangzhiren/Asymmetric_VQGAN at 406c5cd.

    Args:
        shape: shape C×h×w of one item's latents.
    """
    drawn = np.random.RandomState(0).randn(1, *shape)  # the script's generator
    return torch.from_numpy(drawn.astype(np.float32))
