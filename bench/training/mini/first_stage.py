"""Mini models: the KL autoencoder, and the base class of all first stages. All are saved in diffusers' format."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from bench.models.checkpoints import note_training
from bench.models.first_stage import FirstStage, first_stage_of
from bench.training.initialization import start_readout
from bench.training.mini.build import Outcome, ScheduledPart, Workshop
from bench.training.mini.fit import Schedule, fit, seeded, torch_generator
from bench.training.mini.images import TrainingImages
from bench.training.objective import feature_distance, reconstruction_loss

__all__ = ["FirstStagePart", "FirstStageRecipe", "reconstruction_figures"]


@dataclass(frozen=True)
class FirstStageRecipe(ScheduledPart):
    """The recipe of an autoencoder that is trained as a whole. Subclasses differ in how they regularise the latents."""

    channels: Sequence[int]
    layers: int
    groups: int
    schedule: Schedule
    perceptual_weight: float
    readout_constant: float
    """The argument `constant` of `bench.training.initialization.start_readout`."""
    latent_channels: int = field(default=4, kw_only=True)

    purpose: ClassVar[tuple[str, ...]] = ()
    """Words that are part of the seeds of each training step, in addition to the model's name and the step."""

    @property
    def needs(self) -> tuple[str, ...]:
        return ("loss_features",)

    def make(self, name: str, settings: str, workshop: Workshop, folder: Path) -> Outcome:
        images = workshop.images()
        perceptual = feature_distance(str(workshop.part("loss_features"))).to(workshop.device)
        with seeded(workshop.seed, name, "weights"):
            network = self.fresh(workshop.resolution)
        network.to(workshop.device, memory_format=torch.channels_last)

        def loss(step: int) -> dict[str, Tensor]:
            seeds: tuple[int | str, ...] = (workshop.seed, name, *self.purpose, step)
            pictures, _ = images.batch(self.schedule.batch_size, *seeds)
            pictures = pictures.to(workshop.device, memory_format=torch.channels_last)
            with workshop.autocast():
                output, latents = self.reconstruct(network, pictures, seeds)
                terms = reconstruction_loss(output, pictures, perceptual, weight=self.perceptual_weight)
            return terms | self.regularisation(*latents)

        seconds = fit(network, loss, self.schedule, checkpoint=workshop.checkpoint(name), settings=settings)
        measured = self.measure(network, images, workshop)
        network.save_pretrained(folder)
        note_training(folder, str(self.steps))
        figures = reconstruction_figures(first_stage_of(network), network.decoder, workshop)
        return Outcome({**figures, **measured}, seconds)

    def sizes(self, resolution: int) -> dict[str, Any]:
        """Return the keyword arguments that determine the sizes of an autoencoder of diffusers.

        Args:
            resolution: side of the pictures in pixels.
        """
        levels = len(self.channels)
        return {
            "down_block_types": ("DownEncoderBlock2D",) * levels,
            "up_block_types": ("UpDecoderBlock2D",) * levels,
            "block_out_channels": tuple(self.channels),
            "layers_per_block": self.layers,
            "norm_num_groups": self.groups,
            "latent_channels": self.latent_channels,
            "sample_size": resolution,
        }

    @abstractmethod
    def fresh(self, resolution: int) -> Any:
        """Return the autoencoder with its initial weights."""

    @abstractmethod
    def reconstruct(
        self, network: Any, pictures: Tensor, seeds: Sequence[int | str]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the reconstructions of pictures B×3×H×W, and the two tensors that `regularisation` takes.

        Args:
            network: the autoencoder.
            pictures: B×3×H×W in [-1, 1].
            seeds: seeds of the noise in the latents. An autoencoder without such noise ignores them.
        """

    @abstractmethod
    def regularisation(self, first: Tensor, second: Tensor, /) -> dict[str, Tensor]:
        """Return the terms of the loss that regularise the latents, each a scalar. The keys are the names of the terms.

        The two arguments are the tensors that `reconstruct` returns in addition to the reconstructions.
        """

    @abstractmethod
    def measure(self, network: Any, images: TrainingImages, workshop: Workshop) -> dict[str, float]:
        """Measure the latents of the trained network, before the network is written, and return the numbers by name."""


@dataclass(frozen=True)
class FirstStagePart(FirstStageRecipe):
    """The recipe of the KL autoencoder.

    Later, another recipe, such as `vanilla`, continues the training of this autoencoder's decoder.
    """

    kl_weight: float
    log_variance: float = -5.0
    """Initial logarithm of the posterior's variance. With 0, the noise would be so large that it hides the latents."""

    purpose: ClassVar[tuple[str, ...]] = ("whole",)

    def fresh(self, resolution: int) -> AutoencoderKL:
        vae = AutoencoderKL(**self.sizes(resolution))
        with torch.no_grad():
            vae.quant_conv.bias[vae.config.latent_channels :] = self.log_variance
        start_readout(vae.decoder, constant=self.readout_constant)
        return vae

    def reconstruct(
        self, network: AutoencoderKL, pictures: Tensor, seeds: Sequence[int | str]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        posterior = network.encode(pictures).latent_dist
        first, *others = seeds
        noise = torch.randn(posterior.mean.shape, generator=torch_generator(int(first), *others))
        output = network.decode(posterior.mean + posterior.std * noise.to(pictures.device)).sample
        return output, (posterior.mean, posterior.logvar)

    def regularisation(self, mean: Tensor, log_variance: Tensor, /) -> dict[str, Tensor]:
        mean, log_variance = mean.float(), log_variance.float()
        return {"kl": self.kl_weight * 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()}

    @torch.no_grad()
    def measure(self, network: AutoencoderKL, images: TrainingImages, workshop: Workshop) -> dict[str, float]:
        """Return the standard deviation of training pictures' latents, and save its inverse as the network's scale.

        Diffusion models multiply latents by this scale, so that the scaled latents have a standard deviation of 1.
        """
        pictures, _ = images.batch(512, "scaling")
        batches = torch.split(pictures.to(workshop.device), 64)
        spread = float(torch.cat([network.encode(batch).latent_dist.mean for batch in batches]).std())
        network.register_to_config(scaling_factor=round(1 / spread, 5))
        return {"latent_std_train": spread}


@torch.no_grad()
def reconstruction_figures(first_stage: FirstStage, decoder: nn.Module, workshop: Workshop) -> dict[str, float]:
    """Measure how exactly pictures of the development split are reconstructed, for values in [-1, 1].

    The results are the mean squared error `mse` and the mean absolute error `l1`, over up to 256 random crops. A crop
    is encoded without noise and decoded without a mask.

    Args:
        first_stage: the first stage that encodes.
        decoder: the decoder, called with latents only.
        workshop: settings with the pictures and the device.
    """
    images = workshop.dev_images()
    pictures, _ = images.batch(min(256, len(images)), "reconstruction")
    squared, absolute = [], []
    for batch in torch.split(pictures, 64):
        x = batch.to(workshop.device)
        output = decoder(first_stage.latents(x)).clamp(-1, 1)
        squared.append((output - x).square().mean())
        absolute.append((output - x).abs().mean())
    return {"mse": float(torch.stack(squared).mean()), "l1": float(torch.stack(absolute).mean())}
