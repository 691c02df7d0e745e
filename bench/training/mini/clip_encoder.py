"""A mini model: an image encoder with similar embeddings for crops of the same thing, for the mini CLIP score.

A thing is a shape in a colour. The loss is InfoNCE (van den Oord et al. 2018, "Representation Learning with Contrastive
Predictive Coding", eq. 4), in both directions as in CLIP. A batch contains each thing at most once, because the loss
moves the crops of different pairs apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bench.data.mini.scenes import COLOURS, SIDE
from bench.models.image_encoder import ImageEncoder, save_image_encoder
from bench.runtime.seeding import numpy_generator
from bench.training.mini.build import Outcome, ScheduledPart, Workshop
from bench.training.mini.exemplar_scenes import THINGS, scene_of, thing_crop
from bench.training.mini.fit import Schedule, fit, seeded

__all__ = ["ClipEncoderPart", "normalised", "similarities"]

TURNS = 4
SMALLEST = {"sharp": SIDE, "coarse": SIDE // 2}
"""Smallest side in pixels to which a scene is reduced before a crop is cut out, for each kind of crop."""


@dataclass(frozen=True, kw_only=True)
class ClipEncoderPart(ScheduledPart):
    """The recipe of the image encoder, which is trained on pairs of crops of the same thing.

    In each pair, the first crop is as sharp as an exemplar, and the second crop is as coarse as a generated picture.
    """

    widths: Sequence[int]
    dimension: int
    image_side: int
    temperature: float
    views_per_thing: int
    """Number of sharp training crops of each thing. There are as many coarse crops."""
    dev_views_per_thing: int
    schedule: Schedule
    """Schedule of the training. Its `batch_size` is a number of pairs. No two pairs of a batch show the same thing."""

    def __post_init__(self) -> None:
        if self.schedule.batch_size > len(THINGS):
            raise ValueError(f"batch_size: expected {len(THINGS)} or less, found {self.schedule.batch_size}")

    def make(self, name: str, settings: str, workshop: Workshop, folder: Path) -> Outcome:
        with seeded(workshop.seed, name, "weights"):
            net = ImageEncoder(self.widths, dimension=self.dimension, resolution=self.image_side)
        net.to(workshop.device)
        sharp, coarse = (self._views(kind, "train", self.views_per_thing, name, workshop) for kind in SMALLEST)

        def loss(step: int) -> dict[str, Tensor]:
            generator = numpy_generator(workshop.seed, name, step)
            size = self.schedule.batch_size
            things = torch.from_numpy(generator.permutation(len(THINGS))[:size])
            pixels = []
            for views in (sharp, coarse):
                chosen = torch.from_numpy(generator.integers(self.views_per_thing, size=size))
                pixels.append(_augmented(views[things, chosen], generator))
            x = normalised(torch.cat(pixels), net).to(workshop.device)
            with workshop.autocast():
                embeddings = net(x)
            first, second = functional.normalize(embeddings.float()).chunk(2)
            logits = first @ second.T / self.temperature
            own = torch.arange(size, device=logits.device)
            both = functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)
            return {"contrast": both / 2}

        seconds = fit(net, loss, self.schedule, checkpoint=workshop.checkpoint(name), settings=settings)
        save_image_encoder(net, folder)
        views = [self._views(kind, "dev", self.dev_views_per_thing, name, workshop) for kind in SMALLEST]
        return Outcome(similarities(*(_embedded(net, crops, workshop) for crops in views)), seconds)

    def _views(self, kind: str, split: str, count: int, name: str, workshop: Workshop) -> Tensor:
        """Return crops of all things, 72×V×3×s×s uint8; the first index is the index of the thing in `THINGS`.

        Args:
            kind: kind of the crops, a key of `SMALLEST`.
            split: split from which the scenes are drawn.
            count: number V of crops of each thing.
            name: name of the model, for the seeds.
            workshop: settings with the seed of the run.
        """
        crops = []
        for number in range(len(THINGS) * count):
            generator = numpy_generator(workshop.seed, name, split, kind, number)
            scene = scene_of(THINGS[number // count], generator, split=split)
            crops.append(thing_crop(scene, generator, self.image_side, smallest=SMALLEST[kind]))
        stacked = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
        return stacked.reshape(len(THINGS), count, *stacked.shape[1:]).contiguous()


def normalised(pixels: Tensor, net: ImageEncoder) -> Tensor:
    """Convert uint8 pixels B×3×r×r to the input of the encoder `net`.

    The pixels are scaled to [0, 1]. Then the mean `net.mean` is subtracted, and the result is divided by the standard
    deviation `net.std`, for each colour channel.
    """
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (net.mean, net.std))
    return (pixels.float() / 255 - mean) / std


def _augmented(pixels: Tensor, generator: np.random.Generator) -> Tensor:
    """Rotate each picture by a random multiple of a right angle, and mirror it with probability 0.5."""
    turns = generator.integers(TURNS, size=len(pixels)).tolist()
    mirrored = generator.random(len(pixels)) < 0.5
    turned = [torch.rot90(picture, turn, (1, 2)) for picture, turn in zip(pixels, turns, strict=True)]
    return torch.stack([picture.flip(2) if flip else picture for picture, flip in zip(turned, mirrored, strict=True)])


@torch.no_grad()
def _embedded(net: ImageEncoder, views: Tensor, workshop: Workshop) -> Tensor:
    """Encode crops 72×V×3×s×s, and return their embeddings V×72×d on the CPU. Each embedding has unit length."""
    batches = [normalised(batch, net).to(workshop.device) for batch in views.unbind(1)]
    return torch.stack([functional.normalize(net(batch)).cpu() for batch in batches])


def similarities(first: Tensor, second: Tensor) -> dict[str, float]:
    """Compare two sets of crops by their embeddings.

    Args:
        first: embeddings V×72×d of unit length: V crops of each thing.
        second: embeddings of other crops, in the same shape. Only crops with an equal first index are compared.

    Returns:
        `accuracy_nearest` is the fraction of the crops in `first` for which the most similar crop in `second` shows the
        same thing. `similarity_same`, `similarity_shape`, `similarity_colour` and `similarity_other` are the mean
        cosine similarities of two crops that share the shape and the colour, only the shape, only the colour, or
        neither.
    """
    similarity = first @ second.transpose(1, 2)
    numbers = torch.arange(len(THINGS))
    shapes, colours = numbers // len(COLOURS), numbers % len(COLOURS)
    shape, colour = shapes[:, None] == shapes, colours[:, None] == colours
    pairs = {"same": shape & colour, "shape": shape & ~colour, "colour": ~shape & colour, "other": ~shape & ~colour}
    return {
        "accuracy_nearest": float((similarity.argmax(2) == numbers).float().mean()),
        **{f"similarity_{kind}": float(similarity[:, chosen].mean()) for kind, chosen in pairs.items()},
    }
