"""Where the models of the mini profile are made, part by part: each part once, in a folder of its own."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch

from bench.errors import BadInputError
from bench.results import environment
from bench.store import content_key, file_sha256
from bench.training.images import TrainingImages
from bench.whole import whole_folder

__all__ = ["Outcome", "Part", "Shipped", "Workshop", "make_part"]

log = logging.getLogger(__name__)

DONE = "part.json"


@dataclass(frozen=True)
class Shipped:
    """The parts that the repository carries, which stand in for parts that were not made here.

    Their weights were rounded to half precision when they were packed.
    """

    folder: Path
    """Holds `card.json` and a folder for each part."""
    inside: Mapping[str, str] = field(default_factory=dict)
    """Parts that lie inside another part's folder, by name: the path below `folder`."""

    def part(self, name: str) -> Path | None:
        """The folder of a part, or None where the repository does not carry it."""
        folder = self.folder / self.inside.get(name, name)
        return folder if name in self._parts and folder.is_dir() else None

    def settings(self, name: str) -> str:
        """What a part was made with, as a hash."""
        return str(self._parts[name]["settings"])

    @cached_property
    def _parts(self) -> Mapping[str, Any]:
        parts: dict[str, Any] = json.loads((self.folder / "card.json").read_text())["parts"]
        return parts


@dataclass(frozen=True)
class Workshop:
    """The folder, the seed and the data that all parts share."""

    out: Path
    """Finished parts lie in `out/NAME`, checkpoints of unfinished ones in `out/checkpoints`."""
    seed: int
    train: Path
    """Synset folders to train on."""
    dev: Path
    """Synset folders to choose recipes by; never those that a table is made of."""
    resolution: int
    device: torch.device
    bfloat16: bool = True
    """Whether networks train under autocast to bfloat16."""
    shipped: Shipped | None = None
    """What stands in for parts that were not made in `out`; None where every part must have been made there."""

    def part(self, name: str) -> Path:
        """The folder of a finished part.

        Raises:
            BadInputError: it is not finished.
        """
        folder = self.out / name
        if (folder / DONE).is_file():
            return folder
        shipped = self.shipped.part(name) if self.shipped is not None else None
        if shipped is None:
            raise BadInputError(f"part={name} must be made first: found no {folder / DONE}")
        return shipped

    def settings(self, name: str) -> str:
        """What a finished part was made with, as a hash.

        Raises:
            BadInputError: it is not finished.
        """
        folder = self.part(name)
        if self.shipped is not None and folder == self.shipped.part(name):
            return self.shipped.settings(name)
        made: dict[str, Any] = json.loads((folder / DONE).read_text())
        return str(made["settings"])

    def checkpoint(self, name: str) -> Path:
        return self.out / "checkpoints" / f"{name}.pt"

    def images(self, *, smallest_crop: float = 0.5) -> TrainingImages:
        return TrainingImages(self.train, resolution=self.resolution, smallest_crop=smallest_crop)

    def dev_images(self, *, smallest_crop: float = 0.5) -> TrainingImages:
        return TrainingImages(self.dev, resolution=self.resolution, smallest_crop=smallest_crop)

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)


@dataclass(frozen=True)
class Outcome:
    """What making a part came to."""

    figures: dict[str, float]
    """Measured on the development split, unless the name ends in `_train`."""
    seconds: float
    """Spent on its steps, interrupted ones included as far as they were saved."""


class Part(Protocol):
    """A model to make: the fields of the class are its recipe."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the parts that must be finished before."""

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""

    def make(self, name: str, settings: str, workshop: Workshop, folder: Path) -> Outcome:
        """Train the model and write it into the folder."""


def make_part(name: str, part: Part, recipe: dict[str, Any], workshop: Workshop) -> dict[str, Any]:
    """Make a part unless it is there, and return what its `part.json` says.

    Args:
        name: of the part and its folder.
        part: the recipe as an object.
        recipe: the same as plain data; a finished part or a checkpoint of another recipe is refused.
        workshop: where to make it.

    Raises:
        BadInputError: a part that it needs is missing, or what lies there was made with other settings.
    """
    settings = content_key(
        {
            "recipe": recipe,
            "seed": workshop.seed,
            "resolution": workshop.resolution,
            "bfloat16": workshop.bfloat16,
            "pictures": file_sha256(workshop.train / "scenes.jsonl"),
            "needs": {needed: workshop.settings(needed) for needed in part.needs},
        }
    )
    target = workshop.out / name
    if (target / DONE).is_file():
        made: dict[str, Any] = json.loads((target / DONE).read_text())
        if made["settings"] != settings:
            raise BadInputError(f"{target}: made with another recipe or seed; remove it or choose another out=")
        log.info("%s: already there", name)
        return made
    with whole_folder(target) as partial:
        outcome = part.make(name, settings, workshop, partial)
        made = {
            "part": name,
            "settings": settings,
            "seed": workshop.seed,
            "steps": part.steps,
            "seconds": round(outcome.seconds),
            "threads": torch.get_num_threads(),
            "figures": outcome.figures,
            "recipe": recipe,
            **environment(),
        }
        (partial / DONE).write_text(json.dumps(made, indent=2) + "\n")
    workshop.checkpoint(name).unlink(missing_ok=True)
    shutil.rmtree(workshop.out / "checkpoints" / name, ignore_errors=True)
    return made
