"""A mini model: a text-to-image diffusion model with its text encoder, saved as a pipeline of Stable Diffusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch import Tensor, nn
from transformers import CLIPTokenizer

from bench.data.mini.captions import captions
from bench.data.mini.scenes import Scene, numbered_scene
from bench.models.checkpoints import load_feature_network
from bench.runtime.seeding import numpy_generator
from bench.training.mini.attribute_accuracy import accuracies
from bench.training.mini.build import Outcome, Part, Workshop
from bench.training.mini.caption_pretraining import Naming, named_facts
from bench.training.mini.diffusion import (
    ENCODED_AT_ONCE,
    SAMPLED_AT_ONCE,
    Noised,
    TextRecipe,
    encode_means,
    noise_scheduler,
    plain_attention,
    text_pipeline,
    tokenize,
    velocity_figures,
    velocity_loss,
)
from bench.training.mini.exemplar_scenes import scene_pictures
from bench.training.mini.fit import Schedule, fit, seeded, torch_generator

__all__ = ["TextToImagePart"]


@dataclass(frozen=True, kw_only=True)
class TextToImagePart(TextRecipe, Part):
    """The recipe of a text-to-image model: a UNet that predicts the velocity for whole scenes, and its text encoder."""

    naming: Schedule
    """Schedule of the training of the text encoder alone, which takes place before the UNet is trained."""
    scenes: int
    """Number of training scenes. All captions of each scene are used."""
    dev_scenes: int
    """Number of scenes of the development split on which the model is measured."""
    sampled: int
    """Number of these development scenes for which pictures are sampled from a caption, to measure the model."""
    sampling_steps: int
    guidance_scales: Sequence[float]

    @property
    def needs(self) -> tuple[str, ...]:
        return ("first_stage", "loss_features")

    @property
    def steps(self) -> int:
        return self.naming.steps + self.schedule.steps

    def make(self, name: str, settings: str, workshop: Workshop, folder: Path) -> Outcome:
        vae = AutoencoderKL.from_pretrained(workshop.part("first_stage")).to(workshop.device).requires_grad_(False)
        scenes = _scenes(self.scenes, name, "train", workshop)
        tokenizer = self.tokenizer([text for scene in scenes for text in captions(scene)])
        empty = tokenize(tokenizer, [""])[0]
        with seeded(workshop.seed, name, "weights"):
            unet = self.unet(inputs=4, condition_width=self.text_width, side=workshop.resolution // 4)
            text_encoder = self.text_encoder(tokenizer)
            naming = Naming(text_encoder)
        plain_attention(unet)
        model = nn.ModuleDict({"unet": unet, "text_encoder": text_encoder}).to(workshop.device)
        scheduler = noise_scheduler()
        dev_scenes = _scenes(self.dev_scenes, name, "dev", workshop)
        train, dev = (_Cache.encode(drawn, tokenizer, vae, workshop) for drawn in (scenes, dev_scenes))

        def named(step: int) -> dict[str, Tensor]:
            generator = numpy_generator(workshop.seed, name, "naming", step)
            pictures, phrases = train.draw(self.naming.batch_size, generator)
            return naming.losses(
                train.tokens[pictures, phrases].to(workshop.device), train.facts[pictures, phrases].to(workshop.device)
            )

        def velocity(cache: _Cache, *seeds: int | str) -> Tensor:
            generator = numpy_generator(workshop.seed, name, *seeds)
            size = self.schedule.batch_size
            pictures, phrases = cache.draw(size, generator)
            times = torch.from_numpy(generator.integers(scheduler.config.num_train_timesteps, size=size))
            emptied = torch.from_numpy(generator.random(size) < self.empty_share)
            ids = torch.where(emptied[:, None], empty, cache.tokens[pictures, phrases])
            latents = cache.latents[pictures]
            noise = torch.randn(latents.shape, generator=torch_generator(workshop.seed, name, *seeds))
            with workshop.autocast():
                condition = text_encoder(ids.to(workshop.device)).last_hidden_state
            return velocity_loss(unet, scheduler, Noised(latents, times, noise), condition=condition, workshop=workshop)

        pretrained = workshop.out / "checkpoints" / name / "naming.pt"
        seconds = fit(naming.to(workshop.device), named, self.naming, checkpoint=pretrained, settings=settings)
        named_right = naming.accuracy(*(table.flatten(0, 1).to(workshop.device) for table in (dev.tokens, dev.facts)))
        seconds += self.fit_velocity(model, partial(velocity, train), workshop.checkpoint(name), settings)
        pipeline = text_pipeline(
            StableDiffusionPipeline,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
        )
        pipeline.save_pretrained(folder)
        figures = {"accuracy_naming": named_right, **velocity_figures(velocity, train, dev)}
        return Outcome(figures | self._agreement(pipeline, dev_scenes[: self.sampled], name, workshop), seconds)

    @torch.no_grad()
    def _agreement(
        self, pipeline: StableDiffusionPipeline, scenes: Sequence[Scene], name: str, workshop: Workshop
    ) -> dict[str, float]:
        """Measure how often sampled pictures show the attributes that their captions name.

        Results whose names end in `_at_SCALE` are measured on pictures that were sampled with the guidance scale SCALE.
        For comparison, results whose names end in `_true` are measured on the scenes that the captions describe.
        """
        pipeline.set_progress_bar_config(disable=True)
        network = load_feature_network(workshop.part("loss_features")).to(workshop.device)
        texts = [captions(scene)[number % len(captions(scene))] for number, scene in enumerate(scenes)]
        wanted = [
            {key: fact for key, fact in scene.facts.items() if fact in text.split()}
            for scene, text in zip(scenes, texts, strict=True)
        ]
        true = scene_pictures(scenes, workshop.resolution).to(workshop.device)
        figures = accuracies(network, true, wanted, ending="_true")
        for scale in self.guidance_scales:
            pictures = []
            for first in range(0, len(texts), SAMPLED_AT_ONCE):
                batch = texts[first : first + SAMPLED_AT_ONCE]
                places = range(first, first + len(batch))
                latents = pipeline(
                    batch,
                    num_inference_steps=self.sampling_steps,
                    guidance_scale=scale,
                    generator=[torch_generator(workshop.seed, name, "sampled", place) for place in places],
                    output_type="latent",
                ).images
                pictures.append(pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample.clamp(-1, 1))
            figures |= accuracies(network, torch.cat(pictures), wanted, ending=f"_at_{scale:g}")
        return figures


def _scenes(count: int, name: str, split: str, workshop: Workshop) -> list[Scene]:
    return [numbered_scene(number, workshop.seed, data_set=name, split=split) for number in range(count)]


@dataclass(frozen=True)
class _Cache:
    """N encoded scenes, with P captions for each scene and F labels for each caption.

    `latents` N×4×h×w are in the scale of the UNet, `tokens` N×P×L are the captions as token indices, and `facts` N×P×F
    are the captions' labels from `named_facts`.
    """

    latents: Tensor
    tokens: Tensor
    facts: Tensor

    @classmethod
    def encode(
        cls, scenes: Sequence[Scene], tokenizer: CLIPTokenizer, vae: AutoencoderKL, workshop: Workshop
    ) -> _Cache:
        latents = [
            encode_means(vae, scene_pictures(scenes[first : first + ENCODED_AT_ONCE], workshop.resolution), workshop)
            for first in range(0, len(scenes), ENCODED_AT_ONCE)
        ]
        tokens = tokenize(tokenizer, [text for scene in scenes for text in captions(scene)])
        facts = [[named_facts(scene, text) for text in captions(scene)] for scene in scenes]
        return cls(torch.cat(latents), tokens.view(len(scenes), -1, tokens.shape[-1]), torch.tensor(facts))

    def draw(self, size: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draw `size` scenes and one caption of each, and return the indices of the scenes and of the captions."""
        pictures = torch.from_numpy(generator.integers(len(self.latents), size=size))
        phrases = torch.from_numpy(generator.integers(self.tokens.shape[1], size=size))
        return pictures, phrases
