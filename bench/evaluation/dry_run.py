"""A trial that predicts the time and the memory of a whole run.

It samples, decodes and scores a few items of noise with all rows, and saves nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from bench.checking.estimate import Meter, Trial, trial_items
from bench.errors import BadInputError
from bench.evaluation.sampling import Sampling
from bench.evaluation.scoring import Scoring
from bench.generation.method import made_beforehand
from bench.runtime.device import describe
from bench.runtime.progress import Progress
from bench.store import Arrays

__all__ = ["try_out"]

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Limit in seconds. If a whole batch is expected to take longer, the trial does not process it."""
STEPS = (1, 3)
"""Numbers of sampling steps that are timed. The time of all steps follows from the difference of the two times."""


def try_out(sampling: Sampling, scoring: Scoring, *, resolution: int, device: torch.device) -> Trial:
    """Measure the time that a run needs for one item, and the memory that it needs for a batch.

    A row is left out if all of its images are made before the scoring stage, for example by another program.

    The trial first processes one item that is not timed, because PyTorch chooses its kernels in this call. Then it
    times one item, which is sampled with all steps of the generator. There is an exception: if the generator has more
    steps than the larger number in `STEPS`, the item is sampled once with each of the two numbers in `STEPS`, and the
    time of all steps is calculated from the two times.

    If a whole batch would take at most `PATIENCE`, the trial then processes a batch, as the run will, and divides its
    times by the number of items. Otherwise, the result has the times of the single item, and the memory of a batch is
    extrapolated from the memory of this item.

    Args:
        sampling: sampling stage of the run.
        scoring: scoring stage of the run.
        resolution: side of the items in pixels.
        device: device of the run.

    Raises:
        BadInputError: a single item does not fit the device's memory.
    """
    made = {row for row, method in scoring.methods.items() if made_beforehand(method)}
    cells = [cell for cell in scoring.cells if cell.row not in made]
    batch, meter = sampling.batches.most, Meter(device)
    log.info("a few trial items are processed on %s to estimate the time and the memory of the run", describe(device))

    def sampled(count: int) -> tuple[Arrays, float]:
        block = trial_items(resolution, count)
        return meter.timed(lambda: sampling.block(block, Progress("trial", count)))  # this bar is never shown

    def tried(count: int) -> Trial:
        latents, seconds = sampled(count)
        block, progress = trial_items(resolution, count), Progress("trial", count)
        scores, scored = meter.timed(lambda: scoring.block(block, latents, cells, progress))
        return Trial(
            tried=count,
            batch=count,
            steps=0,
            sampling=seconds / count,
            scoring=scored / count,
            latents=_bytes(latents) / count,
            scores=sum(_bytes(arrays) for arrays in scores.values()) / count,
            memory=meter.memory(),
            device=describe(device),
        )

    def tried_in_few_steps(steps: int) -> Trial:
        least, more = STEPS
        with _steps(sampling.generator, least):
            tried(1)  # PyTorch chooses its kernels, so this is not timed
            _, short = sampled(1)
        with _steps(sampling.generator, more):
            found = tried(1)
        each = max(0.0, found.sampling - short) / (more - least)
        return replace(found, sampling=short + each * (steps - least), steps=more)

    try:
        steps = getattr(sampling.generator, "steps", 0)
        if isinstance(steps, int) and steps > max(STEPS):
            one = tried_in_few_steps(steps)
        else:
            tried(1)
            one = tried(1)
        if batch * (one.sampling + one.scoring) <= PATIENCE:
            if sampling.batches.size is None or scoring.batches.size is None:
                tried(batch)  # this call includes the probe of the batch size, so it is not timed
            return replace(tried(batch), batch=sampling.batch_size)
    except torch.OutOfMemoryError as error:
        raise BadInputError(
            f"device: expected enough memory for one item, found too little memory on {describe(device)}"
        ) from error
    memory = meter.before + batch * (one.memory - meter.before)
    return replace(one, batch=batch, memory=memory)


@contextmanager
def _steps(generator: Any, count: int) -> Iterator[None]:
    """Let a generator sample with `count` steps during the `with` block."""
    kept, generator.steps = generator.steps, count
    try:
        yield
    finally:
        generator.steps = kept


def _bytes(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())
