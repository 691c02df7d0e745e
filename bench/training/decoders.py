"""Part: a decoder for the frozen first stage, with or without the branch for known pixels (paper, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from bench.data.masks import preset
from bench.models.checkpoints import load_decoder, load_feature_network, save_decoder
from bench.models.decoder import Decoder, DecoderConfig
from bench.models.widen import widen
from bench.training.first_stage import reconstruction_figures
from bench.training.images import training_masks
from bench.training.objective import reconstruction_loss
from bench.training.readout import start_branch
from bench.training.trainer import Schedule, fit, seeded, torch_generator
from bench.training.workshop import Outcome, Workshop

__all__ = ["DecoderPart"]

FULL_SHARE = 0.5
"""Share of full masks, as the released code draws them."""
EXAMPLES = 64
"""Pictures at once from which the branch's start is computed."""


@dataclass(frozen=True)
class DecoderPart:
    """A decoder that starts by decoding as another part does, and is trained on from there.

    Half of its masks are full: then the branch is off, and the decoder learns to stand alone. A branch starts as the
    linear prediction of the decoder's own finest features from the picture.
    """

    start: str
    """The part to start from: `first_stage`, or another decoder."""
    channels: Sequence[int]
    layers: int
    groups: int
    conditioned: bool
    schedule: Schedule
    masks: str
    perceptual_weight: float

    @property
    def needs(self) -> tuple[str, ...]:
        return "loss_features", "first_stage", self.start

    @property
    def steps(self) -> int:
        return self.schedule.steps

    def make(self, name: str, settings: str, workshop: Workshop, folder: Path) -> Outcome:
        images = workshop.images()
        network = load_feature_network(workshop.part("loss_features")).to(workshop.device).requires_grad_(False)
        vae = AutoencoderKL.from_pretrained(workshop.part("first_stage")).to(workshop.device).requires_grad_(False)
        kind = preset(self.masks)
        start = load_decoder(workshop.part(self.start))
        with seeded(workshop.seed, name, "weights"):
            decoder = Decoder(DecoderConfig(tuple(self.channels), self.layers, self.conditioned, self.groups))
            widen(start, decoder)
        decoder.to(workshop.device).to(memory_format=torch.channels_last)

        def encoded(size: int, *seeds: int | str) -> tuple[Tensor, Tensor]:
            pictures, _ = images.batch(size, *seeds)
            pictures = pictures.to(workshop.device, memory_format=torch.channels_last)
            posterior = vae.encode(pictures).latent_dist
            noise = torch.randn(posterior.mean.shape, generator=torch_generator(*seeds))
            return vae.post_quant_conv(posterior.mean + posterior.std * noise.to(workshop.device)), pictures

        def loss(step: int) -> dict[str, Tensor]:
            seeds = (workshop.seed, name, step)
            size = self.schedule.batch_size
            with workshop.autocast():
                z, pictures = encoded(size, *seeds)
                if self.conditioned:
                    mask = training_masks(kind, size, workshop.resolution, *seeds, full_share=FULL_SHARE)
                    output = decoder(z, pictures, mask.to(workshop.device))
                else:
                    output = decoder(z)
                return reconstruction_loss(output, pictures, network, perceptual_weight=self.perceptual_weight)

        if self.conditioned:
            start_branch(decoder, (encoded(EXAMPLES, workshop.seed, name, "start", number) for number in range(8)))
        seconds = fit(decoder, loss, self.schedule, checkpoint=workshop.checkpoint(name), settings=settings)
        decoder.training_note = f"{start.training_note} + {self.steps}"
        save_decoder(decoder, folder)
        before = reconstruction_figures(vae, start.to(workshop.device), workshop)
        after = reconstruction_figures(vae, decoder, workshop)
        change = {f"{figure}_change": after[figure] / before[figure] - 1 for figure in after}
        return Outcome({**after, **change, **self._known_region(vae, decoder, workshop)}, seconds)

    @torch.no_grad()
    def _known_region(self, vae: AutoencoderKL, decoder: Decoder, workshop: Workshop) -> dict[str, float]:
        """Mean squared error in [0, 1] on known pixels of the development split, with the branch."""
        if not self.conditioned:
            return {}
        images = workshop.dev_images()
        pictures, _ = images.batch(min(256, len(images)), "known region")
        masks = training_masks(preset(self.masks), len(pictures), workshop.resolution, "known region", full_share=0.0)
        total, count = 0.0, 0
        for batch, mask in zip(torch.split(pictures, 64), torch.split(masks, 64), strict=True):
            x, hole = batch.to(workshop.device), mask.to(workshop.device)
            z = vae.post_quant_conv(vae.encode(x * (1 - hole)).latent_dist.mean)
            squared = ((decoder(z, x, hole).clamp(-1, 1) - x) / 2).square() * (1 - hole)
            total += float(squared.sum())
            count += int((1 - hole).sum()) * 3
        return {"known_mse01": total / count}
