"""Estimate of the time, memory and disk space that a run will need, and a comparison of the estimate with the run.

The estimate uses the number and size of the items, and a trial run of a few items.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from bench.checking.report import gigabytes
from bench.data.items import Item
from bench.data.words import Word
from bench.results.run_folder import Forecast
from bench.runtime.device import finish
from bench.runtime.machine import free_disk, peak_memory
from bench.runtime.seeding import numpy_generator

__all__ = [
    "Meter",
    "Planned",
    "Taken",
    "Trial",
    "Work",
    "before_trial",
    "before_trials",
    "duration",
    "estimate",
    "forecast",
    "hindsight",
    "total",
    "trial_items",
]

T = TypeVar("T")

LATENT_CHANNELS, FACTOR = 4, 8
"""Channels and downsampling factor of Stable Diffusion's latents, for an estimate before a trial has measured sizes."""


@dataclass(frozen=True)
class Work:
    """Number and size of the items that a run evaluates."""

    count: int | None
    """Number of items; None if the number is not known before the items are made."""
    resolution: int
    masks: str
    """Source of the masks: `drawn` by this project, `given` by the data set, or `whole` (the hole is the image)."""
    latents: int
    """Number of latent arrays that the store keeps for each item: the sampled latents and any encoded latents."""

    @property
    def item_bytes(self) -> int:
        """Bytes that one prepared item needs in the store.

        If masks are drawn, the store keeps the picture and the mask of the item. If masks are given, it keeps only the
        mask. If the whole image is the hole, it keeps nothing.
        """
        channels = {"drawn": 4, "given": 1}.get(self.masks, 0)
        return channels * self.resolution**2

    @property
    def latent_bytes(self) -> int:
        """Bytes that the latents of one item need in the store, if they have the size of Stable Diffusion's latents."""
        return self.latents * LATENT_CHANNELS * (self.resolution // FACTOR) ** 2 * 4


@dataclass(frozen=True)
class Planned:
    """The number and size of a planned run's items, and texts that show which runs share their items or latents."""

    work: Work
    items: str
    """Text that is equal for runs that share their items."""
    latents: str
    """Text that is equal for runs that share their sampled latents."""


@dataclass(frozen=True)
class Taken:
    """The time and the peak memory of a finished run, for all rows and metrics together."""

    sampling: float | None
    """Sampling time in seconds per item; None if the run sampled nothing."""
    scoring: float | None
    """Scoring time in seconds per item, for all rows together.

    It is None if the store already had some scores of every block, because no block then shows the whole time.
    """
    memory: int
    """Peak memory in bytes: memory of the GPU, or memory of this process if the device is not a CUDA GPU."""


@dataclass(frozen=True)
class Trial:
    """Times and sizes that a trial measured on a few items, and the expected peak memory of a batch of the run."""

    tried: int
    """Number of items that the trial sampled at once."""
    batch: int
    """Number of items that the run will sample at once."""
    steps: int
    """Number of sampling steps from which the sampling time is estimated; 0 if all steps were timed."""
    sampling: float
    """Sampling time in seconds per item."""
    scoring: float
    """Scoring time in seconds per item, for all rows together."""
    latents: float
    """Bytes that the latents of one item need in the store."""
    scores: float
    """Bytes that the scores of one item need in the store, for all rows together."""
    memory: int
    """Expected peak memory in bytes for a batch of the run.

    It is the memory of the GPU, or of this process if the device is not a CUDA GPU.
    """
    device: str

    @classmethod
    def read(cls, found: Mapping[str, Any] | None) -> Trial | None:
        """Convert the stored data of a trial to an object.

        Args:
            found: data of the trial from the store; None if the store has no such data.

        Returns:
            The trial. None if `found` is None, if a field is missing, or if a field except `device` is negative or is
                not a number.
        """
        try:
            trial = cls(**{field.name: (found or {})[field.name] for field in fields(cls)})
        except KeyError:
            return None
        numbers = [value for name, value in asdict(trial).items() if name != "device"]
        return trial if all(isinstance(number, int | float) and number >= 0 for number in numbers) else None


class Meter:
    """An object that measures the time and memory of work on one device."""

    def __init__(self, device: torch.device) -> None:
        """Set the device, and set `before` to the peak memory in bytes before the measured work.

        If the device is a CUDA device, its peak memory is reset first.
        """
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.before = self.memory()

    def timed(self, call: Callable[[], T]) -> tuple[T, float]:
        """Return the result of a call, and its time in seconds. The time ends when the device has finished its work."""
        finish(self.device)
        started = time.perf_counter()
        found = call()
        finish(self.device)
        return found, time.perf_counter() - started

    def memory(self) -> int:
        """Return the peak memory in bytes up to now.

        It is the memory of the device if this is a CUDA device, and otherwise the memory of this process.
        """
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return peak_memory(resource.getrusage(resource.RUSAGE_SELF))


def trial_items(resolution: int, count: int) -> list[Item]:
    """Return items for a trial. Each item has a mask, a caption, an exemplar and a word.

    Generators may need the caption and the exemplar, and a measure may read the word.

    The pictures are noise, because the content of pictures does not affect the time.

    Args:
        resolution: side of the pictures in pixels.
        count: number of items.
    """
    made = []
    for number in range(count):
        draw = numpy_generator(0, "trial", str(number))
        mask = np.zeros((resolution, resolution), np.uint8)
        mask[resolution // 4 : resolution // 2, resolution // 4 : 3 * resolution // 4] = 1
        image, exemplar = (draw.integers(0, 256, (side, side, 3), np.uint8) for side in (resolution, resolution // 2))
        name, words = f"trial {number}", (Word("street", 0, 0, resolution, max(1, resolution // 4), 10),)
        made.append(Item(name, name, image, mask, "a photograph of a street", exemplar, words=words))
    return made


def before_trial(work: Work) -> list[str]:
    """Return lines of text that estimate the disk space for a run while some of its external files are missing.

    Without these files, time and memory cannot be measured in a trial. If the number of items is not known, the text
    only says that the files are needed for an estimate.
    """
    rest = (
        "Time and memory can be estimated once no file is missing, because the estimate samples and scores some items."
    )
    if work.count is None:
        return [f"The estimate needs the missing files. {rest}"]
    items, latents = (gigabytes(work.count * each) for each in (work.item_bytes, work.latent_bytes))
    return [
        f"A run of {work.count:,} items at {work.resolution} pixels needs disk space: {items} for items, {latents} for "
        "latents, and a little for scores.",
        rest,
    ]


def before_trials(planned: Mapping[str, Planned]) -> list[str]:
    """Return lines of text that estimate the disk space for several runs that share a store.

    Items and latents that several runs share are counted once. Runs with an unknown number of items are left out and
    named. If all runs are left out, the result is empty.

    Args:
        planned: plan of each run. The key is the name of the run's experiment.
    """
    items: dict[str, int] = {}
    latents: dict[str, int] = {}
    unknown = []
    for name, plan in planned.items():
        work = plan.work
        if work.count is None:
            unknown.append(name)
            continue
        items[plan.items] = max(items.get(plan.items, 0), work.count * work.item_bytes)
        latents[plan.latents] = max(latents.get(plan.latents, 0), work.count * work.latent_bytes)
    if not items:
        return []
    lines = [
        f"Disk for all runs: {gigabytes(sum(items.values()))} of items, {gigabytes(sum(latents.values()))} of latents, "
        "and some for scores.",
        "This counts items and latents that runs share only once.",
    ]
    return lines + ([f"This leaves out {', '.join(unknown)}: the number of items is not known."] if unknown else [])


def estimate(work: Work, trial: Trial, store: Path) -> list[str]:
    """Return lines of text that estimate the disk space, memory and time for a run.

    If the number of items is not known, disk space and time are for one item.

    Args:
        work: items of the run.
        trial: time and memory that the trial measured.
        store: folder of the store, for its free disk space.
    """
    count = work.count or 1
    sizes = [
        f"{gigabytes(count * size)} for {what}"
        for what, size in (("items", work.item_bytes), ("latents", trial.latents), ("scores", trial.scores))
    ]
    free = gigabytes(free_disk(store))
    time_needed = duration(forecast(work, trial).seconds)
    told = "" if trial.tried >= trial.batch else f", estimated from {_items(trial.tried)}"
    timed = f", estimated from {trial.steps} sampling steps" if trial.steps else ""
    lines = {
        "items": f"{work.count:,}" if work.count else "unknown before they are made; the lines below are for one item",
        "disk": f"{', '.join(sizes)}; {free} are free at {store}",
        "memory": f"{gigabytes(trial.memory)} on {trial.device} with {_items(trial.batch)} at once{told}",
        "time": f"{time_needed}: {trial.sampling:.3g} s to sample an item, {trial.scoring:.3g} s to score it in all "
        f"rows{timed}",
        "from": f"a trial of {_items(trial.tried)} in one process; uncertainties, figures and "
        "the report need further time, "
        "and results that are already in the store need no time",
    }
    return [f"  {title:<7} {text}" for title, text in lines.items()]


def forecast(work: Work, trial: Trial) -> Forecast:
    """Return the time, memory and disk space that a run is expected to need.

    If the number of items is not known, time and disk space are for one item.
    """
    count = work.count or 1
    return Forecast(
        seconds=count * (trial.sampling + trial.scoring),
        memory=trial.memory,
        disk=count * (work.item_bytes + trial.latents + trial.scores),
    )


def total(forecasts: Sequence[Forecast]) -> str:
    """Return a text that says how much time, memory and disk space several runs need if they run one after another.

    Times and disk spaces are added. The memory is the largest memory of any run.
    """
    seconds, disk = (sum(getattr(one, name) for one in forecasts) for name in ("seconds", "disk"))
    memory = max(one.memory for one in forecasts)
    return (
        f"{duration(seconds)}, {gigabytes(memory)} of memory and {gigabytes(disk)} of disk at most; runs that share "
        "items and latents make them once"
    )


def hindsight(remembered: Mapping[str, Any] | None, taken: Taken) -> str | None:
    """Return a sentence that compares the time and memory of a finished run with the estimate for this run.

    Args:
        remembered: data of the trial from the store, with their date under `when`; None if there was no trial.
        taken: time and memory that the run needed.

    Returns:
        The sentence. None if no complete estimate was stored, or if the run measured neither a sampling time nor a
            scoring time.
    """
    trial = Trial.read(remembered)
    if remembered is None or trial is None:
        return None
    speeds = (("sampling", taken.sampling, trial.sampling), ("scoring", taken.scoring, trial.scoring))
    parts = [
        f"{verb} took {seen:.3g} s for an item instead of {foreseen:.3g} s ({_off(seen, foreseen)})"
        for verb, seen, foreseen in speeds
        if seen is not None
    ]
    if not parts:
        return None
    off = _off(taken.memory, trial.memory)
    parts.append(f"{gigabytes(taken.memory)} of memory instead of {gigabytes(trial.memory)} ({off})")
    return f"Compared with the estimate of {remembered['when']}: {', '.join(parts)}."


def _off(seen: float, foreseen: float) -> str:
    return f"{seen / foreseen - 1:+.0%}" if foreseen else "no ratio"


def _items(count: int) -> str:
    return f"{count} item{'s' if count != 1 else ''}"


def duration(seconds: float) -> str:
    """Return a time as text, such as `about 5 min`.

    Args:
        seconds: the time in seconds. The text states it in seconds, minutes or hours.
    """
    if seconds < 120:
        return f"about {seconds:.0f} s"
    if seconds < 7200:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.3g} h"
