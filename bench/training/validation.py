"""Validation of a decoder on pictures that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from bench.data.imagenet_train import TrainingItem
from bench.models.decoder import Decoder
from bench.models.first_stage import FirstStage
from bench.training.objective import Perceptual

__all__ = ["Validation"]

AT_ONCE = 32


@dataclass(frozen=True)
class Validation:
    """A fixed set of items with free-form masks, on which decoders are measured during training.

    Decoders get the mean of the first stage's posterior as latents, so that a validation has no random noise.
    """

    images: Tensor
    """Pictures N×3×R×R in [-1, 1]."""
    masks: Tensor
    """Masks N×1×R×R, 1 = hole; none of them is full."""
    first_stage: FirstStage
    perceptual: Perceptual
    device: torch.device

    @classmethod
    def of(cls, data: Dataset[TrainingItem], count: int, **parts: Any) -> Validation:
        """Create a validation from the first items of a data set.

        Args:
            data: data set that draws no full masks.
            count: number of items.
            parts: the fields `first_stage`, `perceptual` and `device` of the validation.
        """
        items = [data[position] for position in range(count)]
        return cls(
            torch.stack([item["image"] for item in items]), torch.stack([item["mask"] for item in items]), **parts
        )

    @torch.no_grad()
    def __call__(self, decoder: Decoder) -> dict[str, float]:
        """Measure a decoder, and return the mean of each metric over the items.

        `lpips` is the perceptual distance that the training uses, and `mse` is the mean squared error for values in
        [-1, 1]. For these two metrics, the decoder gets only latents. If the decoder has a branch, there are two
        further metrics, for which the decoder also gets the image and the mask. They are `lpips_mask`, the perceptual
        distance, and `known_mse01`, the mean squared error over known pixels for values in [0, 1].
        """
        training = decoder.training
        decoder.eval()
        sums: dict[str, float] = {}
        for start in range(0, len(self.images), AT_ONCE):
            image, mask = (part[start : start + AT_ONCE].to(self.device) for part in (self.images, self.masks))
            z = self.first_stage.latents(image)
            plain = decoder(z).clamp(-1, 1)
            values = {"lpips": self.perceptual(plain, image), "mse": (plain - image).square().mean((1, 2, 3))}
            if decoder.condition_encoder is not None:
                shown = decoder(z, image, mask).clamp(-1, 1)
                squared = ((shown - image) / 2).square() * (1 - mask)
                values["lpips_mask"] = self.perceptual(shown, image)
                values["known_mse01"] = squared.sum((1, 2, 3)) / (3 * (1 - mask).sum((1, 2, 3))).clamp(min=1)
            for name, found in values.items():
                sums[name] = sums.get(name, 0.0) + float(found.sum())
        decoder.train(training)
        return {name: total / len(self.images) for name, total in sums.items()}

    @torch.no_grad()
    def grid(self, decoder: Decoder, count: int, sampled: Tensor | None = None) -> list[tuple[str, Tensor]]:
        """Return rows of pictures that show what a decoder does.

        Each row is a label and pictures count×3×R×R in [-1, 1].

        Args:
            decoder: the decoder to show.
            count: number of pictures in each row.
            sampled: latents that a diffusion model sampled for the first items. The pictures that the decoder makes
                from these latents are a further row. None for no such row.
        """
        training = decoder.training
        decoder.eval()
        image, mask = self.images[:count].to(self.device), self.masks[:count].to(self.device)
        z = self.first_stage.latents(image)
        rows = [("input", image), ("masked", torch.where(mask == 1, torch.ones_like(image), image))]
        if decoder.condition_encoder is not None:
            rows.append(("with mask", decoder(z, image, mask)))
        rows.append(("without mask", decoder(z)))
        if sampled is not None:
            latents = sampled[:count].to(self.device)
            shown: Sequence[Tensor] = (image, mask) if decoder.condition_encoder is not None else ()
            rows.append(("sampled", decoder(latents, *shown)))
        decoder.train(training)
        return [(label, pictures.float().clamp(-1, 1).cpu()) for label, pictures in rows]
