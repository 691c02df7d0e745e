"""A mini model: a small LaMa, so that the mini profile's Table 1 has a method that paints the hole in one pass.

See Suvorov et al., "Resolution-robust large mask inpainting with Fourier convolutions" (WACV 2022). The adversarial
loss is left out. The loss is the weighted sum of three terms: the absolute error outside the hole, the absolute error
inside the hole, and the perceptual distance of the picture after the known pixels were pasted back.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from baselines.lama_network import LaMaGenerator
from bench.data.masks import MaskPreset, preset
from bench.models.checkpoints import note_training, save_network
from bench.training.mini.build import Outcome, ScheduledPart, Workshop
from bench.training.mini.fit import Schedule, fit, seeded
from bench.training.mini.images import TrainingImages, training_masks
from bench.training.objective import feature_distance

__all__ = ["LaMaPart"]


@dataclass(frozen=True)
class LaMaPart(ScheduledPart):
    """The recipe of LaMa's network `LaMaGenerator`, which is trained on free-form masks and saved as a state dict."""

    channels: int
    blocks: int
    masks: str
    known_weight: float
    """Factor of the absolute error outside the hole in the loss."""
    hole_weight: float
    """Factor of the absolute error inside the hole in the loss."""
    perceptual_weight: float
    schedule: Schedule

    @property
    def needs(self) -> tuple[str, ...]:
        return ("loss_features",)

    def make(self, name: str, settings: str, workshop: Workshop, folder: Path) -> Outcome:
        images, kind = workshop.images(), preset(self.masks)
        perceptual = feature_distance(str(workshop.part("loss_features"))).to(workshop.device)
        with seeded(workshop.seed, name, "weights"):
            network = LaMaGenerator(self.channels, self.blocks)
        network.to(workshop.device)

        def loss(step: int) -> dict[str, Tensor]:
            seeds = (workshop.seed, name, step)
            picture, hole = _batch(images, kind, self.schedule.batch_size, workshop, *seeds)
            painted = _painted(network, picture, hole)
            absolute = (painted - picture).abs()
            pasted = torch.where(hole > 0, painted, picture)
            return {
                "known": self.known_weight * (absolute * (1 - hole)).mean(),
                "hole": self.hole_weight * (absolute * hole).mean(),
                "perceptual": self.perceptual_weight * perceptual(pasted, picture).mean(),
            }

        seconds = fit(network, loss, self.schedule, checkpoint=workshop.checkpoint(name), settings=settings)
        sizes = {"channels": self.channels, "blocks": self.blocks}
        save_network(network, folder, {"_class_name": "LaMaGenerator", **sizes})
        note_training(folder, str(self.steps))
        return Outcome(self._figures(network, kind, workshop), seconds)

    @torch.no_grad()
    def _figures(self, network: LaMaGenerator, kind: MaskPreset, workshop: Workshop) -> dict[str, float]:
        """Measure the mean absolute error in the holes of up to 256 random crops of the development split.

        The values of pictures are in [-1, 1]. The error is averaged over the hole of each crop, and then over all crops
        that have a hole.

        `l1_hole` is the error of the network. For comparison, `l1_hole_of_mean` is the error if each hole is filled
        with the mean colour of the picture's known pixels.
        """
        images = workshop.dev_images()
        picture, hole = _batch(images, kind, min(256, len(images)), workshop, "development")
        sizes = hole.sum((1, 2, 3)) * 3
        pairs = zip(torch.split(picture, 64), torch.split(hole, 64), strict=True)
        painted = torch.cat([_painted(network, *pair) for pair in pairs])
        mean = (picture * (1 - hole)).sum((2, 3), keepdim=True) / (1 - hole).sum((2, 3), keepdim=True).clamp(min=1)
        has_hole = sizes > 0
        return {
            "l1_hole": float((((painted - picture).abs() * hole).sum((1, 2, 3))[has_hole] / sizes[has_hole]).mean()),
            "l1_hole_of_mean": float(
                (((mean - picture).abs() * hole).sum((1, 2, 3))[has_hole] / sizes[has_hole]).mean()
            ),
        }


def _batch(
    images: TrainingImages, kind: MaskPreset, size: int, workshop: Workshop, *seeds: int | str
) -> tuple[Tensor, Tensor]:
    """Return random pictures B×3×R×R in [-1, 1] and free-form masks B×1×R×R, 1 = hole, determined by `seeds`."""
    pictures, _ = images.batch(size, *seeds)
    masks = training_masks(kind, size, workshop.resolution, *seeds, full_share=0)
    return pictures.to(workshop.device), masks.to(workshop.device)


def _painted(network: LaMaGenerator, picture: Tensor, hole: Tensor) -> Tensor:
    """Return the picture that the network paints, in [-1, 1]. The known pixels are painted as well, not copied."""
    known = (picture + 1) / 2 * (1 - hole)
    painted: Tensor = network(torch.cat([known, hole], 1))
    return 2 * painted - 1
