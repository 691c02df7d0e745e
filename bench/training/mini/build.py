"""Training of the mini profile's models. Each model is trained once, as a `Part` describes, and saved in a folder."""

from __future__ import annotations

import json
import logging
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import ConfigDict
from typing_extensions import TypedDict

from bench.errors import BadInputError
from bench.results.environment import environment
from bench.runtime.atomic import whole_folder
from bench.runtime.strict_json import read_json_as
from bench.store import content_key, file_sha256
from bench.training.mini.fit import Schedule
from bench.training.mini.images import TrainingImages

__all__ = ["DONE", "Made", "Outcome", "Part", "ScheduledPart", "Shipped", "Workshop", "make_part", "read_made"]

log = logging.getLogger(__name__)

DONE = "part.json"


class Made(TypedDict):
    """The content of `part.json`, the file that is written when a model is finished."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    part: str
    settings: str
    seed: int
    steps: int
    seconds: int
    threads: int
    figures: dict[str, float | None]
    recipe: dict[str, Any]
    source: dict[str, Any]


class _CardPart(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    settings: str


class _Card(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    parts: dict[str, _CardPart]


def read_made(folder: Path) -> Made:
    """Read the `part.json` in the folder of a finished model.

    Raises:
        BadInputError: the file is damaged.
    """
    return read_json_as(folder / DONE, Made)


@dataclass(frozen=True)
class Shipped:
    """The finished models that the repository contains. They replace models that the user has not trained.

    The weights of these models were rounded to half precision when they were added to the repository.
    """

    folder: Path
    """Folder that contains `card.json` and one folder for each part."""
    inside: Mapping[str, str] = field(default_factory=dict)
    """Path below `folder` of each model that is stored inside the folder of another model, by the model's name."""

    def part(self, name: str) -> Path | None:
        """Return the folder of a model, or None if the repository does not contain it."""
        folder = self.folder / self.inside.get(name, name)
        return folder if name in self._parts and folder.is_dir() else None

    def settings(self, name: str) -> str:
        """Return the hash of the settings with which the model `name` was made."""
        return self._parts[name]["settings"]

    @cached_property
    def _parts(self) -> Mapping[str, _CardPart]:
        return read_json_as(self.folder / "card.json", _Card)["parts"]


@dataclass(frozen=True)
class Workshop:
    """Settings that are equal in the trainings of all models: folders, seed, data and device."""

    out: Path
    """Folder of results: `out/NAME` holds a finished model, `out/checkpoints` the checkpoints of unfinished ones."""
    seed: int
    train: Path
    """Folder of the training pictures, with one subfolder for each synset (class)."""
    dev: Path
    """Folder of the development split, with one subfolder for each synset.

    These pictures are for selecting recipes; tables never use them.
    """
    resolution: int
    device: torch.device
    bfloat16: bool = True
    """True if networks are trained under autocast to bfloat16, False for float32."""
    shipped: Shipped | None = None
    """Models that are used if they were not made in `out`; None if every needed model must exist in `out`."""

    def part(self, name: str) -> Path:
        """Return the folder of a finished model. If `out` does not contain the model, use the shipped model.

        Raises:
            BadInputError: the model is neither finished in `out` nor shipped.
        """
        folder = self.out / name
        if (folder / DONE).is_file():
            return folder
        shipped = self.shipped.part(name) if self.shipped is not None else None
        if shipped is None:
            raise BadInputError(
                f"{folder / DONE}: expected this file of the trained model {name}, found no such file; part={name} "
                "trains it"
            )
        return shipped

    def settings(self, name: str) -> str:
        """Return the hash of the settings with which a finished model was made.

        Raises:
            BadInputError: the model is neither finished in `out` nor shipped.
        """
        folder = self.part(name)
        if self.shipped is not None and folder == self.shipped.part(name):
            return self.shipped.settings(name)
        return read_made(folder)["settings"]

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
    """The result of the training of one model."""

    figures: dict[str, float]
    """Measured numbers, by name. They come from the development split, unless the name ends in `_train`."""
    seconds: float
    """Seconds that all steps took. After an interruption, only the time up to the last checkpoint is included."""


class Part(ABC):
    """Base class of a model that can be trained. The fields of a subclass are the settings of the model's recipe."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the models that must be finished before this model is trained; by default none."""
        return ()

    @property
    @abstractmethod
    def steps(self) -> int:
        """Total number of optimiser steps of the training."""

    @abstractmethod
    def make(self, name: str, settings: str, workshop: Workshop, folder: Path) -> Outcome:
        """Train the model and write it to a folder.

        Args:
            name: name of the model.
            settings: hash of the settings. If there is a checkpoint, it must have an equal hash.
            workshop: seed, data and device of the training.
            folder: folder in which the finished model is written.
        """


class ScheduledPart(Part):
    """Base class of a model that is trained by the schedule in its field `schedule`."""

    schedule: Schedule

    @property
    def steps(self) -> int:
        return self.schedule.steps


def make_part(name: str, part: Part, recipe: dict[str, Any], workshop: Workshop) -> None:
    """Train a model, unless a finished model with this name exists in `workshop.out`.

    Args:
        name: name of the model and of the model's folder.
        part: the recipe of the model as an object.
        recipe: the recipe as plain data. If a model or a checkpoint with this name exists, it must have been made with
            an equal recipe.
        workshop: folder, seed, data and device of the training.

    Raises:
        BadInputError: a model that this model needs is missing; or a model or a checkpoint with this name exists that
            was made with another recipe, seed, resolution, precision or data, or with other needed models.
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
        earlier = read_made(target)
        if earlier["settings"] != settings:
            raise BadInputError(
                f"{target}: expected a model with the recipe, the seed, the pictures and the needed models of this "
                "training, found a model with other settings; remove this folder or set another out=DIR"
            )
        log.info("%s: this model is already trained", name)
        return
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
        (partial / DONE).write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    workshop.checkpoint(name).unlink(missing_ok=True)
    shutil.rmtree(workshop.out / "checkpoints" / name, ignore_errors=True)
