"""A mini model: a feature network that is trained to classify the content of scenes."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bench.data.mini.scenes import COLOURS, SHAPES, TEXTURES
from bench.models.checkpoints import save_feature_network
from bench.models.feature_network import FeatureNetwork
from bench.runtime.strict_json import parse_json
from bench.training.mini.build import Outcome, ScheduledPart, Workshop
from bench.training.mini.fit import Schedule, fit, seeded
from bench.training.mini.images import TrainingImages

__all__ = ["FeaturesPart"]

UNKNOWN = -100
"""Label of an attribute that a picture does not have. Attributes with this label have no effect on the loss."""
LETTERS = string.ascii_uppercase


@dataclass(frozen=True)
class FeaturesPart(ScheduledPart):
    """The recipe of a classifier of scenes.

    It recognises the texture, the main shape and its colour, and the letters of the word in a scene. For a picture
    without a word, it recognises the photograph from which the picture comes.
    """

    widths: Sequence[int]
    schedule: Schedule
    smallest_crop: float = 0.5

    def make(self, name: str, settings: str, workshop: Workshop, folder: Path) -> Outcome:
        images = workshop.images(smallest_crop=self.smallest_crop)
        labels = _Labels.read(workshop.train, images)
        with seeded(workshop.seed, name, "weights"):
            network = FeatureNetwork(self.widths, labels.sizes)
        network.to(workshop.device).to(memory_format=torch.channels_last)

        def loss(step: int) -> dict[str, Tensor]:
            pictures, indices = images.batch(self.schedule.batch_size, workshop.seed, name, step)
            with workshop.autocast():
                logits = network(pictures.to(workshop.device, memory_format=torch.channels_last))
            return labels.losses(logits, indices)

        seconds = fit(network, loss, self.schedule, checkpoint=workshop.checkpoint(name), settings=settings)
        save_feature_network(network, folder)
        return Outcome(_accuracy(network, workshop), seconds)


@dataclass(frozen=True)
class _Labels:
    sizes: dict[str, int]
    classes: dict[str, Tensor]
    letters: Tensor

    @classmethod
    def read(cls, root: Path, images: TrainingImages) -> _Labels:
        scenes = root / "scenes.jsonl"
        lines = [parse_json(line, str(scenes)) for line in scenes.read_text(encoding="utf-8").splitlines()]
        facts = {line["file"]: line for line in lines}
        notes = [facts[path.relative_to(root).as_posix()] for path in images.paths]
        photos = sorted({note["source"] for note in notes if "word" not in note})

        def classes(key: str, names: Sequence[str]) -> Tensor:
            return torch.tensor([names.index(note[key]) if note.get(key) in names else UNKNOWN for note in notes])

        names_of = {
            "texture": list(TEXTURES),
            "shape": list(SHAPES),
            "colour": list(COLOURS),
            "source": photos,
        }
        letters = np.array([[letter in note.get("word", "") for letter in LETTERS] for note in notes])
        return cls(
            {**{key: len(names) for key, names in names_of.items()}, "letters": len(LETTERS)},
            {key: classes(key, names) for key, names in names_of.items()},
            torch.from_numpy(letters).float(),
        )

    def losses(self, logits: Mapping[str, Tensor], indices: np.ndarray) -> dict[str, Tensor]:
        chosen = torch.from_numpy(indices)
        device = logits["letters"].device
        terms = {}
        for key, classes in self.classes.items():
            target = classes[chosen].to(device)
            # The sum is divided by a count of at least one, so that the loss is 0 if no picture of the batch has the
            # attribute.
            total = functional.cross_entropy(logits[key].float(), target, ignore_index=UNKNOWN, reduction="sum")
            terms[key] = total / (target != UNKNOWN).sum().clamp(min=1)
        letters = self.letters[chosen].to(device)
        terms["letters"] = 4 * functional.binary_cross_entropy_with_logits(logits["letters"].float(), letters)
        return terms


@torch.no_grad()
def _accuracy(network: FeatureNetwork, workshop: Workshop) -> dict[str, float]:
    images = workshop.dev_images()
    labels = _Labels.read(workshop.dev, images)
    pictures, indices = images.batch(2 * len(images), "accuracy")
    logits = network(pictures.to(workshop.device))
    figures = {}
    for key in ("texture", "shape", "colour"):
        target = labels.classes[key][torch.from_numpy(indices)]
        labelled = target != UNKNOWN
        figures[f"accuracy_{key}"] = float((logits[key].cpu().argmax(1) == target)[labelled].float().mean())
    letters = labels.letters[torch.from_numpy(indices)].bool()
    figures["recall_letters"] = float((logits["letters"].cpu() > 0)[letters].float().mean())
    return figures
