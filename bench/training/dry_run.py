"""A trial that predicts the time, the memory and the disk space of a decoder's training.

It makes a few updates on noise, and saves nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.utils.data import Dataset

from bench.checking.estimate import Meter, duration
from bench.checking.report import gigabytes
from bench.data.imagenet_train import TrainingItem
from bench.errors import BadInputError
from bench.models import Decoder, DecoderConfig
from bench.models.discriminator import PatchDiscriminator
from bench.results.run_folder import Forecast
from bench.runtime.device import describe
from bench.runtime.machine import free_disk
from bench.runtime.seeding import numpy_generator
from bench.training.recipe import AUTO, DecoderRecipe
from bench.training.trainer import DecoderTraining

__all__ = ["NoiseItems", "Space", "TrainingTrial", "before_trial", "estimate_training", "forecast_training", "try_out"]

PATIENCE = 60.0
"""Limit in seconds. If a pass of the run is expected to take longer, the trial only times an update with one item."""
BYTES = 4
"""Bytes of a saved weight, which has the type float32."""
MOMENTS = 2
"""Numbers that the optimiser keeps for each weight."""


class NoiseItems(Dataset[TrainingItem]):
    """Training items whose pictures are noise. The content of the pictures does not affect the time of an update."""

    def __init__(self, resolution: int) -> None:
        """Set the side of the items in pixels."""
        self.resolution = resolution

    def __getitem__(self, position: int) -> TrainingItem:
        draw, side = numpy_generator(0, "trial", str(position)), self.resolution
        mask = torch.zeros(1, side, side)
        mask[:, side // 4 : side // 2, side // 4 : 3 * side // 4] = 1
        image = torch.from_numpy(draw.uniform(-1, 1, (3, side, side))).float()
        return {"position": position, "image": image, "mask": mask}


@dataclass(frozen=True)
class Space:
    """The space in bytes that a training needs on the disk."""

    checkpoints: int
    """All checkpoints that exist at one time: those that are kept, and the one that is being written."""
    state: int
    """The weights and the optimiser's numbers. Gradients and the optimiser's numbers need as many bytes of memory."""
    weights: int
    """The last and the best weights, in the store and in the folder of the run."""

    @classmethod
    def of(cls, sizes: DecoderConfig, recipe: DecoderRecipe) -> Space:
        """Return the space that the training of a decoder needs, without the files of losses and of pictures."""
        with torch.device("meta"):
            decoder = _numbers(Decoder(sizes))
            discriminator = _numbers(PatchDiscriminator()) if _has_discriminator(recipe) else 0
        state = BYTES * (1 + MOMENTS) * (decoder + discriminator)
        saved = 1 + -(-recipe.steps // recipe.save_every)
        return cls(min(recipe.keep + 1, saved) * state, state, 4 * BYTES * decoder)

    @property
    def all(self) -> int:
        return self.checkpoints + self.weights

    def described(self) -> str:
        """Return the space as text."""
        return f"{gigabytes(self.checkpoints)} of checkpoints, {gigabytes(self.weights)} of weights"


@dataclass(frozen=True)
class TrainingTrial:
    """The time and the memory of a training's updates, which a trial in one process measured or calculated."""

    tried: int
    """Number of items in the pass that was timed."""
    at_once: int
    """Number of items in one pass of the run, in each process."""
    seconds: float
    """Seconds of an update before the discriminator takes part."""
    adversarial: float
    """Seconds of an update in which the discriminator takes part; equal to `seconds` if there is none."""
    memory: int
    """Expected peak memory in bytes: of the GPU, or of this process if the device is not a CUDA GPU."""
    device: str


def _numbers(network: torch.nn.Module) -> int:
    return sum(value.numel() for value in network.state_dict().values())


def _has_discriminator(recipe: DecoderRecipe) -> bool:
    return recipe.objective.adversary != "none" and recipe.objective.adversary_from < recipe.steps


def before_trial(sizes: DecoderConfig, recipe: DecoderRecipe) -> list[str]:
    """Return lines of text that say how much disk space a training needs.

    These lines are for a training that lacks some of its files. Its time and memory cannot be measured yet.
    """
    return [
        f"Disk for {recipe.steps:,} updates: {Space.of(sizes, recipe).described()}.",
        "Memory and time can be estimated once no file is missing, because the estimate makes some updates on noise.",
    ]


def try_out(
    create: Callable[[DecoderRecipe, Path], DecoderTraining],
    recipe: DecoderRecipe,
    *,
    most: int | None,
    processes: int,
    state: int,
    device: torch.device,
) -> TrainingTrial:
    """Measure the time and the memory of a training's updates.

    An update with one item is timed first, and the time of a pass of the run is predicted from this time. If the
    predicted time is at most `PATIENCE`, an update with as many items as a pass of the run is timed as well, and its
    time and memory are the result. Otherwise the result is calculated from the update with one item. If the training
    uses a discriminator, each of these updates is timed once without it and once with it. Before each timed update, one
    update runs that is not timed, because PyTorch chooses its kernels during the first update.

    Args:
        create: function that creates a training on noise. Its arguments are a recipe and an empty folder, which is
            removed after the updates.
        recipe: recipe of the training.
        most: largest number of items at once if `recipe.at_once` is `auto`; None for no limit.
        processes: number of processes that will share the items.
        state: bytes of the gradients and the optimiser's numbers, which do not grow with the items of a pass.
        device: device of the training.

    Raises:
        BadInputError: the items of one pass do not fit the device's memory.
    """
    each = max(1, recipe.sizes_at_once(most)[0] // processes)
    share = recipe.batch_size / processes
    meter = Meter(device)

    def timed(count: int, *, adversarial: bool) -> tuple[float, int]:
        """Time an update of `count` items. Return its seconds divided by `count`, and the number of items in a pass."""
        objective = replace(recipe.objective, adversary_from=0)
        if not adversarial:
            objective = replace(objective, adversary="none")
        at_once = AUTO if recipe.at_once == AUTO else count
        short = replace(recipe, steps=3, batch_size=count, at_once=at_once, objective=objective)
        with tempfile.TemporaryDirectory() as folder:
            training = create(short, Path(folder))
            updates = training.updates()
            try:
                next(updates)
                _, seconds = meter.timed(lambda: next(updates))
            finally:
                updates.close()  # type: ignore[attr-defined]  # it is a generator
        return seconds / count, training.at_once

    kinds = [False, *([True] if _has_discriminator(recipe) else [])]
    try:
        one = {kind: timed(1, adversarial=kind)[0] for kind in kinds}
        least = meter.memory()
        if max(one.values()) * each <= PATIENCE:
            many = {kind: timed(each, adversarial=kind) for kind in kinds}
            seconds, used = {kind: found[0] for kind, found in many.items()}, min(found[1] for found in many.values())
            tried, memory = used, meter.memory()
        else:
            seconds, used, tried = one, each, 1
            memory = meter.before + state + each * max(0, least - meter.before - state)
    except torch.OutOfMemoryError as error:
        raise BadInputError(
            f"training.at_once: expected items that fit into the memory of {describe(device)}, found {recipe.at_once} "
            f"with processes={processes}; choose a smaller number, or auto if only one process trains"
        ) from error
    return TrainingTrial(
        tried, used, share * seconds[False], share * seconds[kinds[-1]], memory=memory, device=describe(device)
    )


def forecast_training(sizes: DecoderConfig, recipe: DecoderRecipe, trial: TrainingTrial) -> Forecast:
    """Return the time, the memory and the disk space that a training is expected to need."""
    late = max(0, recipe.steps - recipe.objective.adversary_from) if _has_discriminator(recipe) else 0
    return Forecast(
        seconds=(recipe.steps - late) * trial.seconds + late * trial.adversarial,
        memory=trial.memory,
        disk=Space.of(sizes, recipe).all,
    )


def estimate_training(sizes: DecoderConfig, recipe: DecoderRecipe, trial: TrainingTrial, store: Path) -> list[str]:
    """Return lines of text that say how much time, memory and disk space a training is expected to need.

    Args:
        sizes: sizes of the decoder.
        recipe: recipe of the training.
        trial: time and memory that the trial measured.
        store: folder of the store, for its free disk space.
    """
    found = forecast_training(sizes, recipe, trial)
    free = gigabytes(free_disk(store))
    reckoned = "" if trial.tried == trial.at_once else f", calculated from an update with {trial.tried} item"
    update = f"{trial.seconds:.3g} s for an update"
    if _has_discriminator(recipe):
        update += f", {trial.adversarial:.3g} s with the discriminator"
    lines = {
        "updates": f"{recipe.steps:,} of {recipe.batch_size} items",
        "disk": f"{Space.of(sizes, recipe).described()}; {free} are free at {store}",
        "memory": f"{gigabytes(trial.memory)} on {trial.device} with {trial.at_once} items at once{reckoned}",
        "time": f"{duration(found.seconds)}: {update}{reckoned}",
        "from": "a trial on noise in one process; reading pictures, validations and figures need further time",
    }
    return [f"  {title:<8} {text}" for title, text in lines.items()]
