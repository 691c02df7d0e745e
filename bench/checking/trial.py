"""A trial before a whole run: two items of noise sampled, decoded and scored with all rows, and nothing stored."""

from __future__ import annotations

import logging

import torch

from bench.checking.estimate import Meter, Trial, trial_items
from bench.errors import BadInputError
from bench.generation.decoding import made_beforehand
from bench.progress import Progress
from bench.sampling import Sampling
from bench.scoring import Scoring
from bench.store import Arrays

__all__ = ["try_out"]

log = logging.getLogger(__name__)


def try_out(sampling: Sampling, scoring: Scoring, *, resolution: int, device: torch.device) -> Trial:
    """What an item takes, without the rows whose images are made beforehand.

    Args:
        sampling: the run's.
        scoring: the run's.
        resolution: side of its items in pixels.
        device: where it runs.

    Raises:
        BadInputError: one item alone does not fit the device's memory.
    """
    made = {row for row, method in scoring.methods.items() if made_beforehand(method)}
    parts = [part for part in scoring.parts if part[0] not in made]
    block, meter = trial_items(resolution), Meter(device)
    log.info("trying %d items on %s", len(block), meter.name)
    progress = Progress("trial", len(block))  # a bar that nobody sees
    try:
        latents, sampled = meter.timed(lambda: sampling.block(block, progress))
        for _ in range(2):  # the first time, kernels are chosen too
            scores, scored = meter.timed(lambda: scoring.block(block, latents, parts, progress))
    except torch.OutOfMemoryError as error:
        raise BadInputError(f"device: one item alone does not fit the memory of {meter.name}") from error
    return Trial(
        items=len(block),
        sampling=sampled / len(block),
        scoring=scored / len(block),
        latents=_bytes(latents) / len(block),
        scores=sum(_bytes(arrays) for arrays in scores.values()) / len(block),
        memory=meter.memory(),
        device=meter.name,
    )


def _bytes(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())
