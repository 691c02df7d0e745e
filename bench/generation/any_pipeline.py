"""The generator that samples latents with diffusers' inpainting pipeline of SDXL or of FLUX.1 Fill.

The mapping `KINDS` in `bench/generation/pipeline_kinds.py` describes these two pipelines; a further one is added there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, InitVar, dataclass
from itertools import count

import torch
from torch import Tensor

from bench.data.items import Item
from bench.errors import BadInputError
from bench.generation.compiling import compile_forward
from bench.generation.generator import Generator, float_images, image_batch, mask_batch, noise_sources
from bench.generation.local_files import KEY
from bench.generation.schedulers import check_sampling
from bench.generation.unet_weights import of_folder
from bench.models.autoencoders.space import known_name
from bench.runtime.copies import moved
from bench.runtime.libraries import quiet

__all__ = ["PipelineGenerator"]

GREY = 0.5
"""Value in [0, 1] of the pixels in the hole, which is 0 in [-1, 1]."""


@dataclass(eq=False)
class PipelineGenerator(Generator):
    """A generator that runs a pipeline of diffusers with the pipeline's own scheduler.

    The pipeline gets the known pixels, the mask and one prompt. The hole is grey, so that the true pixels of the hole
    do not change the latents, even if `strength` is below 1.

    Raises:
        BadInputError: there is no complete pipeline of a supported class, or a value is out of its range.
    """

    pipeline: InitVar[str]
    """A folder of a pipeline, or the id of one in the hub's local cache. The class in its `model_index.json` must be
    one of `bench.generation.pipeline_kinds.KINDS`."""
    prompt: str
    """Text prompt that is used for every item."""
    _: KW_ONLY
    steps: int
    """Number of sampling steps. If `strength` is below 1, only the last of them are run."""
    guidance_scale: float
    """Scale of the guidance, as the pipeline defines it."""
    device: torch.device
    """Device of the networks."""
    strength: float = 1.0
    """Share of the steps that are run, in (0, 1]: 1 starts from noise, less starts from the noisy known pixels."""
    precision: InitVar[str] = "float32"
    """Precision of all networks except the first stage: `float32`, `bfloat16`, `float16` or `autocast`.

    `float16` is allowed only on a GPU. With `autocast`, all weights stay in float32, and on a GPU, the denoising
    network alone computes in half precision.
    """

    def __post_init__(self, pipeline: str, precision: str) -> None:
        # Imported here, because diffusers takes seconds, and a run whose latents are stored does not need it.
        from bench.generation.pipeline_kinds import load_pipeline

        check_sampling(steps=self.steps, guidance_scale=self.guidance_scale)
        if not (isinstance(self.strength, int | float) and 0 < self.strength <= 1):
            raise BadInputError(f"generator.strength: expected a number in (0, 1], found {self.strength}")
        self._fewest = next(steps for steps in count(math.floor(1 / self.strength)) if int(steps * self.strength) >= 1)
        if self.steps < self._fewest:
            raise BadInputError(
                f"generator.steps: expected {self._fewest} or more, so that a strength of {self.strength} leaves one "
                f"step to run, found {self.steps}"
            )
        self._loaded = load_pipeline(pipeline, precision=precision, device=self.device)
        self.first_stage = self._loaded.first_stage
        if self._loaded.kind.denoiser == "unet":
            self.unet_weights = of_folder(self._loaded.folder / "unet")

    @torch.inference_mode()
    def sample(self, items: Sequence[Item], seed: int) -> Tensor:
        """Sample latents B×C×h×w float32, in the scale of the diffusion model.

        Args:
            items: items with image and mask.
            seed: seed of the run. The noise of an item depends only on the seed and on the item's id.

        Raises:
            BadInputError: the sides of the images do not fit the pipeline; or the pipeline's scheduler draws noise that
                depends on the other items.
        """
        shape, mask = self.latent_shape(items), mask_batch(items)
        known = torch.where(mask > 0, GREY, image_batch(items) / 255)
        with quiet(), self._no_shared_noise():
            latents: Tensor = self._loaded.run(
                prompt=[self.prompt] * len(items),
                image=known,
                mask_image=mask,
                height=known.shape[-2],
                width=known.shape[-1],
                num_inference_steps=max(self.steps, self._fewest),  # a trial of the run may set fewer steps
                guidance_scale=self.guidance_scale,
                strength=self.strength,
                generator=noise_sources(items, seed),
                output_type="latent",
            ).images
        return self._loaded.kind.grid(latents, shape).float()

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Tensor:
        """Return the means of the latents of images, in the scale of the diffusion model.

        Args:
            image: B×3×H×W, uint8 or float in [-1, 1].
        """
        return self.first_stage.encode(float_images(moved(image, self.device))).for_diffusion()

    @torch.inference_mode()
    def decodable(self, latents: Tensor) -> Tensor:
        """Convert latents to a decoder's input: undo the scaling, and apply `post_quant_conv` if there is one."""
        z = self.first_stage.space.from_diffusion(moved(latents, self.device))
        return self.first_stage.decodable(z)

    @property
    def space_name(self) -> str:
        return known_name(self.first_stage.space)

    def latent_shape(self, items: Sequence[Item]) -> tuple[int, int, int]:
        """Return channels, height and width of one item's latents. All items must have images of equal size.

        Raises:
            BadInputError: the pipeline would resize or crop images of this size.
        """
        space, (height, width) = self.first_stage.space, items[0].mask.shape
        divisor = space.factor * self._loaded.kind.patch
        if height % divisor or width % divisor:
            raise BadInputError(
                f"profile.resolution: expected a multiple of {divisor} for this pipeline, found items of "
                f"{width}×{height} pixels"
            )
        return space.channels, height // space.factor, width // space.factor

    def compile(self, mode: str) -> None:
        """Make the denoising network compile itself at its first call.

        Args:
            mode: one of `bench.config.schema.COMPILE`.
        """
        compile_forward(self._loaded.denoiser, mode)

    @contextmanager
    def _no_shared_noise(self) -> Iterator[None]:
        """Require that no noise is drawn from PyTorch's shared random generators during the `with` block.

        Some schedulers cannot use the random generators of the items.

        Raises:
            BadInputError: noise was drawn from a shared random generator.
        """
        before = self._shared_states()
        yield
        if not all(torch.equal(old, new) for old, new in zip(before, self._shared_states(), strict=True)):
            raise BadInputError(
                f"{KEY}: {self._loaded.folder / 'scheduler' / 'scheduler_config.json'}: expected a scheduler whose "
                f"noise can be drawn for each item separately, found {type(self._loaded.run.scheduler).__name__} with "
                "settings for which it draws noise for the whole batch"
            )

    def _shared_states(self) -> list[Tensor]:
        on_gpu = [torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else []
        return [torch.get_rng_state(), *on_gpu]
