"""What a whole run would take: disk from sizes and counts, hours and memory from a trial of two items."""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from bench.checking.report import gigabytes
from bench.data.items import Item
from bench.device import finish
from bench.seeding import numpy_generator

__all__ = ["Meter", "Trial", "Work", "before_trial", "estimate", "trial_items"]

T = TypeVar("T")

TRIED = 2
"""Items of the trial."""
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
class Trial:
    """What a few items took, all rows and metrics included."""

    items: int
    sampling: float
    """Seconds an item."""
    scoring: float
    latents: float
    """Bytes an item."""
    scores: float
    memory: int
    """Bytes at most, of the device, or of this process where that is the CPU."""
    device: str


class Meter:
    """Times and memory on one device."""

    def __init__(self, device: torch.device) -> None:
        """Start to watch the memory."""
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

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

    @property
    def name(self) -> str:
        """Of the device, in words."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else str(self.device)


def trial_items(resolution: int) -> list[Item]:
    """Items of noise with everything that a generator may want: what is in a picture changes no time."""
    made = []
    for number in range(TRIED):
        draw = numpy_generator(0, "trial", str(number))
        mask = np.zeros((resolution, resolution), np.uint8)
        mask[resolution // 4 : resolution // 2, resolution // 4 : 3 * resolution // 4] = 1
        image, exemplar = (draw.integers(0, 256, (side, side, 3), np.uint8) for side in (resolution, resolution // 2))
        made.append(Item(f"trial {number}", f"trial {number}", image, mask, "a photograph of a street", exemplar))
    return made


def before_trial(work: Work) -> list[str]:
    """What sizes alone tell, where something is missing."""
    rest = "Memory and hours are told when all is there: two items are then sampled and scored."
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
    lines = {
        "items": f"{work.count:,}" if work.count else "not known before they are made; the lines below are of one",
        "disk": f"{', '.join(sizes)}; {free} are free at {store}",
        "memory": f"{gigabytes(trial.memory)} on {trial.device} with {trial.items} items at once",
        "time": f"{total}: {trial.sampling:.3g} s an item to sample, {trial.scoring:.3g} s to score in all rows",
    }
    note = "more items at once may be faster, and what the store already has is not made again"
    lines["from"] = f"a trial of {trial.items} items; {note}"
    return [f"  {title:<7} {text}" for title, text in lines.items()]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"about {seconds:.0f} s"
    if seconds < 7200:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.3g} h"
