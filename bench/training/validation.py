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
    """A set of items with free-form masks, decoded from the means of their latents."""

    images: Tensor
    """Pictures N×3×R×R in [-1, 1]."""
    masks: Tensor
    """Masks N×1×R×R, 1 = hole; none of them is full."""
    first_stage: FirstStage
    perceptual: Perceptual
    device: torch.device

    @classmethod
    def of(cls, data: Dataset[TrainingItem], count: int, **parts: Any) -> Validation:
        """Return the first items of a data set that draws no full masks."""
        items = [data[position] for position in range(count)]
        return cls(
            torch.stack([item["image"] for item in items]), torch.stack([item["mask"] for item in items]), **parts
        )

    @torch.no_grad()
    def __call__(self, decoder: Decoder) -> dict[str, float]:
        """Return means over the items.

        `lpips` and `mse` (of [-1, 1]) are computed without a mask. With a branch, there are also `lpips_mask`, and
        `known_mse01`, the mean squared error in [0, 1] over known pixels. `lpips` is the training's own perceptual
        distance.
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
        """Return labelled rows of pictures, each count×3×R×R in [-1, 1].

        Args:
            decoder: the decoder to show.
            count: number of pictures in a row.
            sampled: latents of a diffusion model for the first items, as a decoder's input.
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
