"""A trial that predicts the time and the memory of a whole run.

It samples, decodes and scores a few items of noise with all rows, and saves nothing.
"""

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
"""Limit in seconds. If a whole batch is expected to take longer, the trial does not process it."""


def try_out(sampling: Sampling, scoring: Scoring, *, resolution: int, device: torch.device) -> Trial:
    """Measure the time and the memory that a run needs for one item.

    Rows whose images are all made before the scoring stage, for example by another program, are left out.

    The trial first processes one item alone. In this call PyTorch also chooses its kernels. Then the trial processes a
    whole batch, as the run will. If the first item shows that a batch would take longer than `PATIENCE`, no batch is
    tried. The result then has the times of the first item, and the memory of a batch is extrapolated from the memory of
    the first item.

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
