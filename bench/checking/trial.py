"""A trial before a whole run: items of noise sampled, decoded and scored with all rows, and nothing stored."""

from __future__ import annotations

import logging
from dataclasses import replace

import torch

from bench.checking.estimate import Meter, Trial, trial_items
from bench.device import describe
from bench.errors import BadInputError
from bench.generation.decoding import made_beforehand
from bench.progress import Progress
from bench.sampling import Sampling
from bench.scoring import Scoring
from bench.store import Arrays

__all__ = ["try_out"]

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that the trial of a whole batch may take."""


def try_out(sampling: Sampling, scoring: Scoring, *, resolution: int, device: torch.device) -> Trial:
    """What an item takes in a run, without the rows whose images are made beforehand.

    One item is worked on alone, which also chooses kernels; then as many as a batch of the run has, unless the first
    says that this takes longer than `PATIENCE`: times are then those of the first, and memory is reckoned from it.

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
    batch, meter = sampling.batches.most, Meter(device)
    log.info("trying items on %s", describe(device))

    def tried(count: int) -> Trial:
        block, progress = trial_items(resolution, count), Progress("trial", count)  # a bar that nobody sees
        latents, sampled = meter.timed(lambda: sampling.block(block, progress))
        scores, scored = meter.timed(lambda: scoring.block(block, latents, parts, progress))
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
                tried(batch)  # its time goes into finding how many to work on at once
            return replace(tried(batch), batch=sampling.batch_size)
    except torch.OutOfMemoryError as error:
        raise BadInputError(f"device: one item alone does not fit the memory of {describe(device)}") from error
    grown = meter.before + batch * (first.memory - meter.before)
    return replace(first, batch=batch, memory=grown)


def _bytes(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())
