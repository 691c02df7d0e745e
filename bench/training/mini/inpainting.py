"""A mini model: an inpainting diffusion model with its text encoder, saved as diffusers' inpainting pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionInpaintPipeline
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTokenizer

from bench.data.masks import preset
from bench.runtime.seeding import numpy_generator
from bench.runtime.strict_json import parse_json
from bench.training.mini.build import Outcome, ScheduledPart, Workshop
from bench.training.mini.diffusion import (
    ENCODED_AT_ONCE,
    Noised,
    TextRecipe,
    encode_means,
    noise_scheduler,
    text_pipeline,
    tokenize,
    velocity_figures,
    velocity_loss,
)
from bench.training.mini.fit import seeded, torch_generator
from bench.training.mini.images import TrainingImages, training_masks

__all__ = ["InpaintingPart"]


@dataclass(frozen=True, kw_only=True)
class InpaintingPart(TextRecipe, ScheduledPart):
    """The recipe of an inpainting model: a UNet that predicts the velocity, and its text encoder.

    The UNet's nine input channels are the noisy latents, the mask, and the latents of the known pixels.
    """

    masks: str
    masks_per_image: int
    full_share: float
    """Fraction of masks that are full (all ones)."""
    prompt: str
    """The prompt that the benchmark uses for all items. It replaces the captions of some of the training pictures."""
    prompt_share: float
    smallest_crop: float = 0.75

    @property
    def needs(self) -> tuple[str, ...]:
        return ("first_stage",)

    def make(self, name: str, settings: str, workshop: Workshop, folder: Path) -> Outcome:
        vae = AutoencoderKL.from_pretrained(workshop.part("first_stage")).to(workshop.device).requires_grad_(False)
        captions = sorted(set(_captions(workshop.train).values()))
        tokenizer = self.tokenizer([self.prompt] * len(captions) + captions)
        fixed = tokenize(tokenizer, [self.prompt, ""])
        with seeded(workshop.seed, name, "weights"):
            unet = self.unet(inputs=9, condition_width=self.text_width, side=workshop.resolution // 4)
            text_encoder = self.text_encoder(tokenizer)
        model = nn.ModuleDict({"unet": unet, "text_encoder": text_encoder})
        model.to(workshop.device).to(memory_format=torch.channels_last)
        scheduler = noise_scheduler()

        def velocity(cache: _Cache, *seeds: int | str) -> Tensor:
            generator = numpy_generator(workshop.seed, name, *seeds)
            size = self.schedule.batch_size
            pictures = torch.from_numpy(generator.integers(len(cache.latents), size=size))
            masks = torch.from_numpy(generator.integers(self.masks_per_image, size=size))
            times = torch.from_numpy(generator.integers(scheduler.config.num_train_timesteps, size=size))
            choice = torch.from_numpy(generator.random(size))
            ids = cache.tokens[pictures]
            ids[choice < self.prompt_share] = fixed[0]
            ids[choice >= 1 - self.empty_share] = fixed[1]
            latents, known, mask = cache.batch(pictures, masks)
            noise = torch.randn(latents.shape, generator=torch_generator(workshop.seed, name, *seeds))
            with workshop.autocast():
                condition = text_encoder(ids.to(workshop.device)).last_hidden_state
            return velocity_loss(
                unet,
                scheduler,
                Noised(latents, times, noise),
                beside=(mask, known),
                condition=condition,
                workshop=workshop,
                memory_format=torch.channels_last,
            )

        def encode(images: TrainingImages, root: Path, split: str) -> _Cache:
            return _Cache.encode(self, images, root, tokenizer, vae, workshop, name, split)

        train = encode(workshop.images(smallest_crop=self.smallest_crop), workshop.train, "train")
        seconds = self.fit_velocity(model, partial(velocity, train), workshop.checkpoint(name), settings)
        pipeline = text_pipeline(
            StableDiffusionInpaintPipeline,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
        )
        pipeline.save_pretrained(folder)
        dev = encode(workshop.dev_images(smallest_crop=self.smallest_crop), workshop.dev, "dev")
        return Outcome(velocity_figures(velocity, train, dev), seconds)


def _captions(root: Path) -> dict[str, str]:
    """Return the caption of each picture in `root`, the folder of a split. The key is the picture's path in `root`."""
    scenes = root / "scenes.jsonl"
    lines = [parse_json(line, str(scenes)) for line in scenes.read_text(encoding="utf-8").splitlines()]
    return {line["file"]: line["caption"] for line in lines}


@dataclass(frozen=True)
class _Cache:
    """N encoded crops, with M masks for each crop.

    `tokens` N×L are the captions as token indices. `latents` N×4×h×w are the latents of the whole crops. `known`
    N×M×4×h×w are the latents of crops in which the pixels in the hole of one mask were set to 0. `masks` N×M×1×h×w have
    the size of the latents, 1 = hole. All latents are in the scale of the UNet.
    """

    tokens: Tensor
    latents: Tensor
    known: Tensor
    masks: Tensor

    @classmethod
    def encode(
        cls,
        part: InpaintingPart,
        images: TrainingImages,
        root: Path,
        tokenizer: CLIPTokenizer,
        vae: AutoencoderKL,
        workshop: Workshop,
        *seeds: str,
    ) -> _Cache:
        """Encode one random crop for each picture on average. Pictures are drawn with replacement.

        The number of crops is the number of pictures, rounded up to a multiple of `ENCODED_AT_ONCE`.
        """
        kind, captions = preset(part.masks), _captions(root)
        texts: list[str] = []
        latents, known, small = [], [], []
        for number in range(-(-len(images) // ENCODED_AT_ONCE)):
            draw: tuple[int | str, ...] = (workshop.seed, *seeds, "latents", number)
            pictures, indices = images.batch(ENCODED_AT_ONCE, *draw)
            texts += [captions[images.paths[index].relative_to(root).as_posix()] for index in indices]
            latents.append(encode_means(vae, pictures, workshop))
            for variant in range(part.masks_per_image):
                mask = training_masks(
                    kind, ENCODED_AT_ONCE, workshop.resolution, *draw, variant, full_share=part.full_share
                )
                known.append(encode_means(vae, pictures * (1 - mask), workshop))
                small.append(functional.interpolate(mask, size=latents[0].shape[-2:]))

        def by_picture(parts: list[Tensor]) -> Tensor:
            # The parts hold one batch of one variant each; the result has all variants of a picture along axis 1.
            variants = [torch.cat(parts[variant :: part.masks_per_image]) for variant in range(part.masks_per_image)]
            return torch.stack(variants, 1)

        return cls(tokenize(tokenizer, texts), torch.cat(latents), by_picture(known), by_picture(small))

    def batch(self, pictures: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.latents[pictures], self.known[pictures, masks], self.masks[pictures, masks]
