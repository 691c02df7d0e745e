"""What a whole run would take, from sizes, counts and a trial of some items; and afterwards, how far off that was."""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from bench.checking.report import gigabytes
from bench.data.items import Item
from bench.device import finish
from bench.seeding import numpy_generator

__all__ = ["Meter", "Taken", "Trial", "Work", "before_trial", "estimate", "hindsight", "trial_items"]

T = TypeVar("T")

KEPT = 3
"""Latents of each item: the generator's, the encoded picture's, and those of its known pixels."""
LATENT_CHANNELS, FACTOR = 4, 8
"""Of Stable Diffusion's first stage, where no trial has told them."""


@dataclass(frozen=True)
class Work:
    """What there is to do."""

    count: int | None
    """Items; None where nobody knows before they are made."""
    resolution: int
    masks: str
    """`drawn`, `given` or `whole`."""

    @property
    def item_bytes(self) -> int:
        """Of one prepared item: pictures are kept where masks are drawn, masks where there are any."""
        channels = {"drawn": 4, "given": 1}.get(self.masks, 0)
        return channels * self.resolution**2


@dataclass(frozen=True)
class Taken:
    """What items took, all rows and metrics included."""

    sampling: float | None
    """Seconds an item; None where nothing was sampled."""
    scoring: float | None
    """Seconds an item in all rows; None where something of every block was scored before."""
    memory: int
    """Bytes at most, of the device, or of this process where that is the CPU."""


@dataclass(frozen=True)
class Trial:
    """What a few items took, and what it tells of a whole run's batches."""

    tried: int
    """Items that were sampled at once."""
    batch: int
    """Items that the run samples at once."""
    sampling: float
    """Seconds an item."""
    scoring: float
    """Seconds an item in all rows."""
    latents: float
    """Bytes an item."""
    scores: float
    memory: int
    """Bytes at most in a batch of the run, of the device, or of this process where that is the CPU."""
    device: str

    @classmethod
    def read(cls, found: Mapping[str, Any] | None) -> Trial | None:
        """A trial as the store remembers it; None where there is none, or something else."""
        try:
            trial = cls(**{field.name: (found or {})[field.name] for field in fields(cls)})
        except KeyError:
            return None
        numbers = [value for name, value in asdict(trial).items() if name != "device"]
        return trial if all(isinstance(number, int | float) and number >= 0 for number in numbers) else None


class Meter:
    """Times and memory on one device."""

    def __init__(self, device: torch.device) -> None:
        """Start to watch the memory."""
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.before = self.memory()

    def timed(self, call: Callable[[], T]) -> tuple[T, float]:
        """What a call returns, and the seconds that it and the device took."""
        finish(self.device)
        started = time.perf_counter()
        found = call()
        finish(self.device)
        return found, time.perf_counter() - started

    def memory(self) -> int:
        """Bytes in use at most so far."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def trial_items(resolution: int, count: int) -> list[Item]:
    """Items of noise with everything that a generator may want: what is in a picture changes no time."""
    made = []
    for number in range(count):
        draw = numpy_generator(0, "trial", str(number))
        mask = np.zeros((resolution, resolution), np.uint8)
        mask[resolution // 4 : resolution // 2, resolution // 4 : 3 * resolution // 4] = 1
        image, exemplar = (draw.integers(0, 256, (side, side, 3), np.uint8) for side in (resolution, resolution // 2))
        made.append(Item(f"trial {number}", f"trial {number}", image, mask, "a photograph of a street", exemplar))
    return made


def before_trial(work: Work) -> list[str]:
    """What sizes alone tell, where something is missing."""
    rest = "Memory and hours are told when all is there: some items are then sampled and scored."
    if work.count is None:
        return [f"The estimate needs what is missing. {rest}"]
    size = KEPT * LATENT_CHANNELS * (work.resolution // FACTOR) ** 2 * 4
    items, latents = (gigabytes(work.count * each) for each in (work.item_bytes, size))
    return [
        f"Disk for a run of {work.count:,} items at {work.resolution} pixels: {items} of items, {latents} of latents, "
        "and some for scores.",
        rest,
    ]


def estimate(work: Work, trial: Trial, store: Path) -> list[str]:
    """What the run would take, line by line."""
    count = work.count or 1
    sizes = [
        f"{gigabytes(count * size)} of {what}"
        for what, size in (("items", work.item_bytes), ("latents", trial.latents), ("scores", trial.scores))
    ]
    there = next(parent for parent in (store.absolute(), *store.absolute().parents) if parent.exists())
    free = gigabytes(shutil.disk_usage(there).free)
    total = _duration(count * (trial.sampling + trial.scoring))
    told = "" if trial.tried >= trial.batch else f", reckoned from {_items(trial.tried)}"
    lines = {
        "items": f"{work.count:,}" if work.count else "not known before they are made; the lines below are of one",
        "disk": f"{', '.join(sizes)}; {free} are free at {store}",
        "memory": f"{gigabytes(trial.memory)} on {trial.device} with {_items(trial.batch)} at once{told}",
        "time": f"{total}: {trial.sampling:.3g} s an item to sample, {trial.scoring:.3g} s to score in all rows",
        "from": f"a trial of {_items(trial.tried)} in one process; uncertainties, figures and report come on top, and "
        "what the store already has is not made again",
    }
    return [f"  {title:<7} {text}" for title, text in lines.items()]


def hindsight(remembered: Mapping[str, Any] | None, taken: Taken) -> str | None:
    """How far an estimate was off, as the store remembers it; None where there was none, or all was in the store."""
    trial = Trial.read(remembered)
    if remembered is None or trial is None:
        return None
    speeds = (("sample", taken.sampling, trial.sampling), ("score", taken.scoring, trial.scoring))
    parts = [
        f"{seen:.3g} s an item to {verb} for {foreseen:.3g} s ({_off(seen, foreseen)})"
        for verb, seen, foreseen in speeds
        if seen is not None
    ]
    if not parts:
        return None
    off = _off(taken.memory, trial.memory)
    parts.append(f"{gigabytes(taken.memory)} of memory for {gigabytes(trial.memory)} ({off})")
    return f"Against the estimate of {remembered['when']}: {', '.join(parts)}."


def _off(seen: float, foreseen: float) -> str:
    return f"{seen / foreseen - 1:+.0%}" if foreseen else "no ratio"


def _items(count: int) -> str:
    return f"{count} item{'s' if count != 1 else ''}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"about {seconds:.0f} s"
    if seconds < 7200:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.3g} h"
