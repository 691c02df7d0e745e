"""Part: the first stage, a KL autoencoder in diffusers' own format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from bench.models.checkpoints import note_training
from bench.models.first_stage import FirstStage, KLFirstStage
from bench.training.objective import feature_distance, reconstruction_loss
from bench.training.starting import start_readout
from bench.training.trainer import Schedule, fit, seeded, torch_generator
from bench.training.workshop import Outcome, Workshop

__all__ = ["FirstStagePart", "reconstruction_figures"]


@dataclass(frozen=True)
class FirstStagePart:
    """The autoencoder, trained as a whole; part `vanilla` trains its decoder on until that no longer helps."""

    channels: Sequence[int]
    layers: int
    groups: int
    schedule: Schedule
    perceptual_weight: float
    kl_weight: float
    readout_constant: float
    """See `bench.training.starting`."""
    log_variance: float = -5.0
    """Where the posterior's log-variance starts; at 0 noise would drown the latents."""

    @property
    def needs(self) -> tuple[str, ...]:
        return ("loss_features",)

    @property
    def steps(self) -> int:
        return self.schedule.steps

    def make(self, name: str, settings: str, workshop: Workshop, folder: Path) -> Outcome:
        images = workshop.images()
        perceptual = feature_distance(str(workshop.part("loss_features"))).to(workshop.device)
        with seeded(workshop.seed, name, "weights"):
            vae = self._fresh()
        vae.to(workshop.device, memory_format=torch.channels_last)

        def loss(step: int) -> dict[str, Tensor]:
            seeds = (workshop.seed, name, "whole", step)
            pictures, _ = images.batch(self.schedule.batch_size, *seeds)
            pictures = pictures.to(workshop.device, memory_format=torch.channels_last)
            with workshop.autocast():
                posterior = vae.encode(pictures).latent_dist
                noise = torch.randn(posterior.mean.shape, generator=torch_generator(*seeds))
                output = vae.decode(posterior.mean + posterior.std * noise.to(workshop.device)).sample
                terms = reconstruction_loss(output, pictures, perceptual, weight=self.perceptual_weight)
            mean, log_variance = posterior.mean.float(), posterior.logvar.float()
            terms["kl"] = self.kl_weight * 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
            return terms

        seconds = fit(vae, loss, self.schedule, checkpoint=workshop.checkpoint(name), settings=settings)
        with torch.no_grad():
            pictures, _ = images.batch(512, "scaling")
            spread = float(_encode(vae, pictures.to(workshop.device)).std())
        vae.register_to_config(scaling_factor=round(1 / spread, 5))
        vae.save_pretrained(folder)
        note_training(folder, str(self.steps))
        figures = reconstruction_figures(KLFirstStage(vae), vae.decoder, workshop)
        return Outcome({**figures, "latent_std_train": spread}, seconds)

    def _fresh(self) -> AutoencoderKL:
        levels = len(self.channels)
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=tuple(self.channels),
            layers_per_block=self.layers,
            norm_num_groups=self.groups,
            sample_size=64,
        )
        with torch.no_grad():
            vae.quant_conv.bias[vae.config.latent_channels :] = self.log_variance
        start_readout(vae.decoder, constant=self.readout_constant)
        return vae


def _encode(vae: AutoencoderKL, pictures: Tensor) -> Tensor:
    mean: Tensor = torch.cat([vae.encode(batch).latent_dist.mean for batch in torch.split(pictures, 64)])
    return mean


@torch.no_grad()
def reconstruction_figures(first_stage: FirstStage, decoder: nn.Module, workshop: Workshop) -> dict[str, float]:
    """Errors of Dec(Enc(x)) on the development split, x in [-1, 1], without noise and without mask."""
    images = workshop.dev_images()
    pictures, _ = images.batch(min(256, len(images)), "reconstruction")
    squared, absolute = [], []
    for batch in torch.split(pictures, 64):
        x = batch.to(workshop.device)
        output = decoder(first_stage.latents(x)).clamp(-1, 1)
        squared.append((output - x).square().mean())
        absolute.append((output - x).abs().mean())
    return {"mse": float(torch.stack(squared).mean()), "l1": float(torch.stack(absolute).mean())}
