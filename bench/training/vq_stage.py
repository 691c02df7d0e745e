"""Part: a first stage with a codebook (paper, section 3.1, eqs. 1 and 2), in diffusers' own format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import VQModel
from torch import Tensor
from torch.nn import functional

from bench.models.checkpoints import note_training
from bench.models.first_stage import VQFirstStage
from bench.training.first_stage import reconstruction_figures
from bench.training.objective import feature_distance, reconstruction_loss
from bench.training.starting import start_readout
from bench.training.trainer import Schedule, fit, seeded
from bench.training.workshop import Outcome, Workshop

__all__ = ["VQFirstStagePart", "codebook_terms"]


def codebook_terms(encoded: Tensor, entries: Tensor, *, beta: float) -> dict[str, Tensor]:
    """The last two terms of eq. 2, as means: entries are drawn to what is encoded, and, by beta, the other way round.

    Args:
        encoded: B×C×h×w, before the codebook.
        entries: the nearest entries, B×C×h×w.
        beta: weight of the commitment; 0.25 in CompVis/taming-transformers.
    """
    return {
        "codebook": functional.mse_loss(entries, encoded.detach()),
        "commitment": beta * functional.mse_loss(encoded, entries.detach()),
    }


@dataclass(frozen=True)
class VQFirstStagePart:
    """Trained as a whole; what the codebook cuts off passes gradients straight through."""

    channels: Sequence[int]
    layers: int
    groups: int
    entries: int
    """Of the codebook."""
    schedule: Schedule
    perceptual_weight: float
    readout_constant: float
    beta: float = 0.25

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
            vq = VQModel(
                down_block_types=("DownEncoderBlock2D",) * len(self.channels),
                up_block_types=("UpDecoderBlock2D",) * len(self.channels),
                block_out_channels=tuple(self.channels),
                layers_per_block=self.layers,
                norm_num_groups=self.groups,
                latent_channels=4,
                num_vq_embeddings=self.entries,
                sample_size=workshop.resolution,
            )
            start_readout(vq.decoder, constant=self.readout_constant)
            torch.nn.init.normal_(vq.quantize.embedding.weight)
        vq.to(workshop.device, memory_format=torch.channels_last)

        def loss(step: int) -> dict[str, Tensor]:
            pictures, _ = images.batch(self.schedule.batch_size, workshop.seed, name, step)
            pictures = pictures.to(workshop.device, memory_format=torch.channels_last)
            with workshop.autocast():
                encoded = vq.encode(pictures).latents.float()
                entries = vq.quantize.embedding(_nearest(encoded, vq.quantize.embedding.weight)).permute(0, 3, 1, 2)
                through = encoded + (entries - encoded).detach()
                output = vq.decoder(vq.post_quant_conv(through))
                terms = reconstruction_loss(output, pictures, perceptual, weight=self.perceptual_weight)
            return terms | codebook_terms(encoded, entries, beta=self.beta)

        seconds = fit(vq, loss, self.schedule, checkpoint=workshop.checkpoint(name), settings=settings)
        vq.save_pretrained(folder)
        note_training(folder, str(self.steps))
        first_stage = VQFirstStage(vq)
        figures = reconstruction_figures(first_stage, vq.decoder, workshop)
        with torch.no_grad():
            pictures, _ = workshop.dev_images().batch(256, "codebook")
            used = _nearest(vq.encode(pictures.to(workshop.device)).latents, vq.quantize.embedding.weight).unique()  # type: ignore[no-untyped-call]
        return Outcome({**figures, "entries_used": float(len(used))}, seconds)


def _nearest(encoded: Tensor, codebook: Tensor) -> Tensor:
    """Eq. 1: the index B×h×w of the codebook's (K×C) nearest entry for each position of B×C×h×w."""
    flat = encoded.permute(0, 2, 3, 1).reshape(-1, encoded.shape[1])
    nearest = torch.cdist(flat.detach().float(), codebook.detach().float()).argmin(1)
    return nearest.view(len(encoded), *encoded.shape[2:])
