"""A mini model: a tiny autoencoder that imitates the first stage, as madebyollin/taesd imitates Stable Diffusion's.

It is written in the format of diffusers' `AutoencoderTiny`. Its encoder imitates the first stage's latents in the scale
of the diffusion model. Its decoder imitates the pictures that the vanilla decoder makes from such latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor
from torch.nn import functional

from bench.models.checkpoints import load_decoder, note_training
from bench.models.decoder import Decoder
from bench.training.mini.build import Outcome, ScheduledPart, Workshop
from bench.training.mini.fit import Schedule, fit, seeded, torch_generator
from bench.training.objective import feature_distance, reconstruction_loss

__all__ = ["TinyPart"]


@dataclass(frozen=True)
class TinyPart(ScheduledPart):
    """The recipe of a tiny autoencoder that imitates the first stage and its vanilla decoder."""

    channels: int
    """Number of channels of every convolution."""
    encoder_blocks: Sequence[int]
    """Number of residual blocks of each level of the encoder, finest level first."""
    decoder_blocks: Sequence[int]
    """Number of residual blocks of each level of the decoder, coarsest level first."""
    schedule: Schedule
    perceptual_weight: float

    @property
    def needs(self) -> tuple[str, ...]:
        return "loss_features", "first_stage", "vanilla"

    def make(self, name: str, settings: str, workshop: Workshop, folder: Path) -> Outcome:
        images, device = workshop.images(), workshop.device
        perceptual = feature_distance(str(workshop.part("loss_features"))).to(device)
        teacher = Teacher.of(workshop)
        with seeded(workshop.seed, name, "weights"):
            network = AutoencoderTiny(
                encoder_block_out_channels=(self.channels,) * len(self.encoder_blocks),
                decoder_block_out_channels=(self.channels,) * len(self.decoder_blocks),
                num_encoder_blocks=tuple(self.encoder_blocks),
                num_decoder_blocks=tuple(self.decoder_blocks),
                latent_channels=teacher.vae.config.latent_channels,
            )
        network.to(device, memory_format=torch.channels_last)

        def loss(step: int) -> dict[str, Tensor]:
            pictures, _ = images.batch(self.schedule.batch_size, workshop.seed, name, step)
            pictures = pictures.to(device, memory_format=torch.channels_last)
            mean, sample = teacher.latents(pictures, torch_generator(workshop.seed, name, "noise", step))
            target = teacher.pictures(sample)
            with workshop.autocast():
                encoded = network.encode(pictures).latents
                terms = reconstruction_loss(
                    network.decode(teacher.scaled(sample)).sample, target, perceptual, weight=self.perceptual_weight
                )
            return terms | {"latents": functional.mse_loss(encoded.float(), teacher.scaled(mean))}

        seconds = fit(network, loss, self.schedule, checkpoint=workshop.checkpoint(name), settings=settings)
        network.save_pretrained(folder)
        note_training(folder, str(self.steps))
        return Outcome(imitation_figures(network, teacher, workshop), seconds)


@dataclass(frozen=True)
class Teacher:
    """The first stage with its vanilla decoder, whose latents and pictures are imitated. Its weights are fixed."""

    vae: AutoencoderKL
    decoder: Decoder

    @classmethod
    def of(cls, workshop: Workshop) -> Teacher:
        """Load the finished or shipped first stage and vanilla decoder."""
        vae = AutoencoderKL.from_pretrained(workshop.part("first_stage")).eval().requires_grad_(False)
        decoder = load_decoder(workshop.part("vanilla")).requires_grad_(False)
        return cls(vae.to(workshop.device), decoder.to(workshop.device))

    @torch.no_grad()
    def latents(self, pictures: Tensor, noise: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean and a sample of the posterior, both B×C×h×w and unscaled.

        If `noise` is None, both results are the mean.
        """
        posterior = self.vae.encode(pictures).latent_dist
        if noise is None:
            return posterior.mean, posterior.mean
        drawn = torch.randn(posterior.mean.shape, generator=noise).to(posterior.mean.device)
        return posterior.mean, posterior.mean + posterior.std * drawn

    @torch.no_grad()
    def pictures(self, z: Tensor) -> Tensor:
        """Decode unscaled latents into pictures, clamped to [-1, 1]."""
        decoded: Tensor = self.decoder(self.vae.post_quant_conv(z))
        return decoded.clamp(-1, 1)

    def scaled(self, z: Tensor) -> Tensor:
        """Return latents in the scale of the diffusion model."""
        scale: float = self.vae.config.scaling_factor
        return z * scale


@torch.no_grad()
def imitation_figures(network: AutoencoderTiny, teacher: Teacher, workshop: Workshop) -> dict[str, float]:
    """Return errors on up to 256 random crops of the development split, for values in [-1, 1].

    `mse` and `l1` compare decoded pictures with the true ones, and `mse_teacher` compares them with the teacher's. The
    decoder gets the teacher's latents. `latents_mse` is the error of the encoder, in the scale of the diffusion model.
    """
    images = workshop.dev_images()
    pictures, _ = images.batch(min(256, len(images)), "reconstruction")
    sums: dict[str, list[Tensor]] = {}
    for batch in torch.split(pictures, 64):
        x = batch.to(workshop.device)
        z, _ = teacher.latents(x)
        output = network.decode(teacher.scaled(z)).sample.clamp(-1, 1)
        found = {
            "mse": (output - x).square().mean(),
            "l1": (output - x).abs().mean(),
            "mse_teacher": (output - teacher.pictures(z)).square().mean(),
            "latents_mse": (network.encode(x).latents - teacher.scaled(z)).square().mean(),
        }
        for key, value in found.items():
            sums.setdefault(key, []).append(value)
    return {key: float(torch.stack(values).mean()) for key, values in sums.items()}
