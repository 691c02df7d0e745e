"""A trial before a whole run: it samples, decodes and scores items of noise with all rows, and stores nothing."""

from __future__ import annotations

import logging
from dataclasses import replace

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
"""Longest time in seconds that the trial of a whole batch may take."""


def try_out(sampling: Sampling, scoring: Scoring, *, resolution: int, device: torch.device) -> Trial:
    """Measure the time and memory of an item in a run, without the rows whose images are made beforehand.

    The trial processes one item alone, which also chooses kernels, and then a whole batch of the run. If the first item
    shows that a batch would take longer than `PATIENCE`, the batch is not tried: the times are then those of the first
    item, and the memory is extrapolated from it.

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
    log.info("trying items on %s", describe(device))

    def tried(count: int) -> Trial:
        block, progress = trial_items(resolution, count), Progress("trial", count)  # this bar is never shown
        latents, sampled = meter.timed(lambda: sampling.block(block, progress))
        scores, scored = meter.timed(lambda: scoring.block(block, latents, cells, progress))
        return Trial(
            tried=count,
            batch=count,
            sampling=sampled / count,
            scoring=scored / count,
            latents=_bytes(latents) / count,
            scores=sum(_bytes(arrays) for arrays in scores.values()) / count,
            memory=meter.memory(),
            device=describe(device),
        )

    try:
        first = tried(1)
        if batch * (first.sampling + first.scoring) <= PATIENCE:
            if sampling.batches.size is None or scoring.batches.size is None:
                tried(batch)  # this call includes the probe of the batch size, so it is not timed
            return replace(tried(batch), batch=sampling.batch_size)
    except torch.OutOfMemoryError as error:
        raise BadInputError(f"device: one item alone does not fit the memory of {describe(device)}") from error
    memory = meter.before + batch * (first.memory - meter.before)
    return replace(first, batch=batch, memory=memory)


def _bytes(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())
