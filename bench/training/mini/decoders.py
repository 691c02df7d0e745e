"""A mini model: a decoder for the frozen first stage, with or without a branch (section 3 of the paper)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.data.imagenet_train import ImageNetTrain
from bench.models.checkpoints import load_decoder, save_decoder
from bench.models.decoder import DecoderConfig
from bench.models.first_stage import load_first_stage
from bench.runtime.seeding import seed_for
from bench.training.initialization import examples_of, started_decoder
from bench.training.mini.build import Outcome, Part, Workshop
from bench.training.mini.first_stage import reconstruction_figures
from bench.training.objective import feature_distance
from bench.training.recipe import DecoderRecipe
from bench.training.trainer import DecoderTraining
from bench.training.validation import Validation

__all__ = ["DecoderPart"]

log = logging.getLogger(__name__)

LOG_EVERY = 100


@dataclass(frozen=True)
class DecoderPart(Part):
    """The recipe of a decoder that starts with the weights of another model's decoder.

    With these weights, both decoders make the same images. If only the new decoder has a branch, and the branch blends
    by addition, `bench.training.initialization.start_branch` then changes some weights of the new decoder. If
    `training.fresh` is True, the new decoder starts with random weights instead.
    """

    start: str
    """Name of the model whose decoder this one starts from: `first_stage`, or the name of another decoder."""
    channels: Sequence[int]
    layers: int
    groups: int
    conditioned: bool
    training: DecoderRecipe
    blending: str = "add"
    branch: str = "plain"
    first_stage: str = "first_stage"
    """Name of the model whose encoder makes the latents that the decoder is trained on."""

    @property
    def needs(self) -> tuple[str, ...]:
        return "loss_features", self.first_stage, self.start

    @property
    def steps(self) -> int:
        return self.training.steps

    def make(self, name: str, settings: str, workshop: Workshop, folder: Path) -> Outcome:
        recipe, device, seed = self.training, workshop.device, seed_for(workshop.seed, name)
        perceptual = feature_distance(str(workshop.part("loss_features"))).to(device)
        first_stage = load_first_stage(workshop.part(self.first_stage)).to(device)
        start = load_decoder(workshop.part(self.start))
        sizes = DecoderConfig(
            tuple(self.channels),
            self.layers,
            self.conditioned,
            self.groups,
            latent_channels=start.config.latent_channels,
            blending=self.blending,
            branch=self.branch,
        )
        data = ImageNetTrain(workshop.train, **recipe.drawing(), smallest_crop=recipe.smallest_crop, seed=seed)
        examples = examples_of(data, first_stage, seed=seed, device=device)
        started = started_decoder(sizes, None if recipe.fresh else start, seed=seed, device=device, examples=examples)
        training = DecoderTraining(
            started.decoder,
            first_stage,
            data,
            perceptual,
            recipe,
            seed=seed,
            device=device,
            folder=workshop.out / "checkpoints" / name,
            settings=settings,
            pretrained=started.pretrained,
        )
        decoder = training.decoder
        for update in training.updates():
            if update.step % LOG_EVERY == 0 or update.step == recipe.steps:
                losses = "  ".join(f"{term} {value:.4f}" for term, value in update.losses.items())
                log.info("%s  step %d/%d  %s  %.0f s", name, update.step, recipe.steps, losses, training.seconds)
        decoder.training_note = str(self.steps) if recipe.fresh else f"{start.training_note} + {self.steps}"
        save_decoder(decoder, folder)
        before = reconstruction_figures(first_stage, start.to(device), workshop)
        after = reconstruction_figures(first_stage, decoder, workshop)
        change = {f"{figure}_change": after[figure] / before[figure] - 1 for figure in after}
        dev = ImageNetTrain(workshop.dev, **recipe.drawing(validation=True))
        validation = Validation.of(
            dev, recipe.validation_items, first_stage=first_stage, perceptual=perceptual, device=device
        )
        return Outcome({**after, **change, **validation(decoder)}, training.seconds)
